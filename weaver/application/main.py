"""The entry of a PEX: the application in one process, or a role of the runtime.

This file decides which role a process plays; each is imported only when it is played.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from weaver.errors import ConfigError, DefinitionError, UsageError, WeaverError, did_you_mean

if TYPE_CHECKING:
    from weaver.packaging.manifest import Manifest

ROLE = "WEAVER_ROLE"
# Role -> the module whose main(argv) plays it and returns the exit code.
ROLES = {
    "envelope": "weaver.envelope.main",
    "proclet": "weaver.envelope.child",
    "manager": "weaver.deployers.manager_process",
}

_USAGE = """\
usage: {program} [--strict-copies]
  Runs {app} (entry {entry}) in this process; Ctrl-C ends it in order.
  Values of its weaver.toml come from the environment too, as in
  WEAVER__LISTENERS__HTTP__ADDRESS=0.0.0.0:80. To run it as many processes: weaver multi run.
"""


def main() -> NoReturn:
    """Play the role that the first argument or WEAVER_ROLE names; without one, the application."""
    sys.exit(run(sys.argv[1:]))


def run(argv: Sequence[str]) -> int:
    """Play a role; returns the exit code. Errors of the application's own role are printed."""
    asked, rest = os.environ.get(ROLE, ""), list(argv)
    if rest and rest[0] in ROLES:
        asked = rest.pop(0)
    try:
        if asked:
            return _play(asked, rest)
        return _application(rest)
    except WeaverError as error:
        if os.environ.get("WEAVER_DEBUG"):
            raise
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 - the command line of a PEX
        return 2 if isinstance(error, (ConfigError, DefinitionError, UsageError)) else 1


def manifest_here() -> "Manifest":
    """The manifest of the PEX this code was installed from. Raises UsageError outside of one."""
    import weaver
    from weaver.packaging.manifest import MANIFEST, decode

    path = Path(weaver.__file__).parents[1] / MANIFEST
    if not path.is_file():
        raise UsageError(
            "this weaver is not part of a PEX",
            why=f"there is no {path}",
            fix="run the file that `weaver build` writes, or use `weaver run`",
        )
    return decode(path.read_bytes(), str(path))


def _play(role: str, argv: list[str]) -> int:
    if role not in ROLES:
        raise UsageError(f'{ROLE} is "{role}", which is no role', fix=did_you_mean(role, ROLES))
    import importlib

    code: int = importlib.import_module(ROLES[role]).main(argv)
    return code


def _application(argv: list[str]) -> int:
    from weaver.application.run import run_target
    from weaver.application.target import Target
    from weaver.config.load import load
    from weaver.proclet.importing import entry_of, import_name

    manifest = manifest_here()
    if {"-h", "--help"} & set(argv):
        program = Path(os.environ.get("PEX", sys.argv[0])).name
        usage = _USAGE.format(program=program, app=manifest.app, entry=manifest.entry)
        print(usage, end="")  # noqa: T201
        return 0
    unknown = [argument for argument in argv if argument != "--strict-copies"]
    if unknown:
        raise UsageError(
            f'"{unknown[0]}" is neither a role nor an option',
            fix=did_you_mean(unknown[0], [*ROLES, "--strict-copies", "--help"]),
        )
    config = load(manifest.config, source=manifest.source, environ=os.environ)
    for name, value in config.app.env.items():
        os.environ.setdefault(name, value)
    entry = entry_of(import_name(manifest.entry), manifest.entry)
    target = Target(entry, config, Path.cwd(), manifest.app)
    return run_target(target, strict_copies=bool(argv))


if __name__ == "__main__":
    main()
