"""The hosts that `--ssh` or weaver.toml means, and who asks for the passphrase of a key."""

import contextlib
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from weaver.cli import completing
from weaver.errors import UsageError, WeaverError

if TYPE_CHECKING:
    from weaver.config.configuration import Config
    from weaver.deployers.ssh.inventory import Host
    from weaver.deployers.ssh.keys import AskPassphrase

ssh_option = click.option(
    "--ssh",
    metavar="HOSTS",
    shell_complete=completing.files,
    help="A file with a host per line, or hosts with commas between them.",
)
here_option = click.option(
    "--here", is_flag=True, help="This machine, though weaver.toml names hosts."
)
limit_option = click.option(
    "--limit", metavar="NAMES", help="Only these of the hosts: names or groups, with commas."
)
accept_new_option = click.option(
    "--accept-new",
    is_flag=True,
    help="Learn the keys of hosts that are not in known_hosts yet; a changed key is refused.",
)


def hosts_of(
    ssh: str | None,
    limit: str | None = None,
    *,
    config: Path | None = None,
    here: bool = False,
    lenient: bool = False,
    quiet: bool = False,
) -> "tuple[Host, ...] | None":
    """The hosts of `--ssh`, or else of `[ssh] hosts`; None where neither names any, or `here`.

    `config` is a weaver.toml or its folder, ./weaver.toml if None; what else its `[ssh]` says of
    connecting holds for all hosts. With `lenient`, one that cannot be read counts as none. Raises
    ConfigError with all faults, or UsageError.
    """
    import msgspec

    from weaver.deployers.ssh.inventory import limited

    if here and ssh is not None:
        raise UsageError("--here and --ssh exclude each other", fix="leave one of them out")
    if here:
        return None
    path = _config_path(config)
    found: Config | None = None
    with contextlib.ExitStack() as stack:
        if lenient or ssh is not None:  # what it lacks is said by those who need it
            stack.enter_context(contextlib.suppress(WeaverError))
        found = _read_config(path)
    if ssh is not None:
        hosts = _listed(ssh)
    elif found is not None and found.ssh.hosts is not None:
        hosts = hosts_in_config(found, path.parent) or ()
        if not quiet:
            named, where = path.parent / found.ssh.hosts, _where(found)
            click.echo(f"hosts: {named} ({where}; --here means this machine)", err=True)
    else:
        return None
    if found is not None:
        written = found.provenance("ssh.connect_timeout") != "default"
        seconds = float(found.ssh.connect_timeout) if written else 0.0
        said = {"default_user": found.ssh.user or "", "connect_timeout": seconds}
        hosts = tuple(msgspec.structs.replace(host, **said) for host in hosts)
    return limited(hosts, limit.split(",")) if limit else hosts


def hosts_in_config(config: "Config", folder: Path) -> "tuple[Host, ...] | None":
    """The hosts of the file that `[ssh] hosts` names, relative to `folder`; None if it names none.

    Raises ConfigError with all faults, or UsageError.
    """
    named = config.ssh.hosts
    return None if named is None else _in_file(folder / named, _where(config))


def _where(config: "Config") -> str:
    return f"[ssh] hosts, {config.provenance('ssh.hosts')}"


def _listed(text: str) -> "tuple[Host, ...]":
    """What `--ssh` says."""
    from weaver.deployers.ssh.inventory import parse_inline

    path = Path(text)
    if path.exists() or "/" in text or path.suffix == ".txt":
        return _in_file(path, "--ssh", "or write hosts: --ssh web1,web2")
    return parse_inline(text)


def _in_file(path: Path, where: str, other: str = "") -> "tuple[Host, ...]":
    from weaver.deployers.ssh.inventory import parse

    if not path.exists() or path.is_dir():
        fix = "name a file with a host per line" + (f", {other}" if other else "")
        raise UsageError(f"there is no file {path}", where=where, fix=fix)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} cannot be read",
            where=where,
            why=getattr(error, "strerror", None) or str(error),
            fix="it must be UTF-8 text that you may read",
        ) from error
    return parse(text, str(path))


def _config_path(config: Path | None) -> Path:
    path = config or Path("weaver.toml")
    return path / "weaver.toml" if path.is_dir() else path


def _read_config(path: Path) -> "Config | None":
    """The configuration in a weaver.toml; None where there is no such file, or it is a PEX."""
    from weaver.config.load import load

    if path.suffix != ".toml" or not path.is_file():
        return None
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        fix = "it must be UTF-8 text that you may read"
        raise UsageError(f"{path} cannot be read", why=why, fix=fix) from error
    return load(text, source=str(path), environ=os.environ)


def ask_passphrase(key: Path) -> str | None:
    """Ask on the terminal, if there is one."""
    if not sys.stdin.isatty():
        return None
    answer: str = click.prompt(f"passphrase of {key}", hide_input=True, default="", err=True)
    return answer or None


def passphrases_of() -> "tuple[AskPassphrase, dict[str, str]]":
    """Who is asked for passphrases, and where the answers are: a manager connects with them too."""
    answers: dict[str, str] = {}

    def ask(key: Path) -> str | None:
        answer = ask_passphrase(key)
        if answer is not None:
            answers[str(key)] = answer
        return answer

    return ask, answers
