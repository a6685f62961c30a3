"""Which version a user means: a build id or the beginning of one, "running", or a PEX file.

Decides what such a word may be and how versions are called on the terminal. It must not know what
is done with them.
"""

import os
import time
from collections.abc import Collection
from pathlib import Path
from typing import Final

import click
from click.shell_completion import CompletionItem

from weaver.cli import completing
from weaver.cli.deployment import ago
from weaver.deployers import kept_versions, registry
from weaver.deployers.registry import Record
from weaver.errors import UsageError, did_you_mean

RUNNING: Final = "running"
LEAST: Final = 4
"""Digits that a build id must be told by."""
SHOWN: Final = 12


def short(build_id: str) -> str:
    """A build id as it is shown."""
    return build_id[:SHOWN]


def app_of(config: Path | None) -> str | None:
    """The application of a weaver.toml, by default of this folder's, without importing it."""
    from weaver.config.load import load

    path = config or Path("weaver.toml")
    path = path / "weaver.toml" if path.is_dir() else path
    if config is None and not path.is_file():
        return None
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} cannot be read", why=str(error), fix="name a weaver.toml"
        ) from error
    app = load(text, source=str(path), environ=os.environ).app
    return str(app.name or str(app.entry or "").partition(":")[0].partition(".")[0]) or None


def pex_of(word: str, app: str | None) -> Path:
    """The PEX of the version that a user names. Raises UsageError for one that there is not."""
    if word == RUNNING:
        return _kept(_running(app))
    path = Path(word)
    if path.suffix == ".pex" or "/" in word:
        if not path.is_file():
            raise UsageError(f"there is no file {word}", fix="name a PEX, or a build id")
        return path
    known = known_versions(app)
    return _kept(known[one_of(word, known)])


def one_of(word: str, known: Collection[str]) -> str:
    """The only one of these build ids that begins with `word`. Raises UsageError."""
    found = [build_id for build_id in known if build_id.startswith(word.lower())]
    if len(found) == 1 and len(word) >= LEAST:
        return found[0]
    names = ", ".join(short(build_id) for build_id in (found or known)) or "none"
    if len(found) > 1 or (found and len(word) < LEAST):
        raise UsageError(
            f'"{word}" does not tell which version is meant',
            why=f"versions that begin with it: {names}",
            fix=f"write more of the build id, at least {LEAST} digits",
        )
    near = did_you_mean(word, [RUNNING, *(short(build_id) for build_id in known)])
    raise UsageError(
        f'no version "{word}" is known here',
        why=f"known: {names}",
        fix=near if near.startswith("did you mean") else "see: weaver history",
    )


def known_versions(app: str | None) -> dict[str, Record]:
    """Build id to its last deployment, the newest first."""
    return {r.version: r for r in sorted(registry.records(app), key=lambda r: r.started)[::-1]}


def _running(app: str | None) -> Record:
    return registry.current(app)


def _kept(record: Record) -> Path:
    found = kept_versions.kept(record.app).get(record.version)
    if found is not None:
        return found
    revision = f" {record.revision[:12]}" if record.revision else ""
    raise UsageError(
        f"the PEX of version {short(record.version)} of {record.app} is not on this machine",
        why="it was deployed from elsewhere, by an older weaver, or is older than what "
        "[rollout] keep_versions keeps",
        fix=f"build it again from its git revision{revision}, and name the file",
    )


def complete(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Versions that can be compared, for the shell: those that are kept, and "running"."""
    running = CompletionItem(RUNNING, help="the version that runs")
    found = [running, *_kept_items(ctx, only_good=False)]
    return [item for item in found if item.value.startswith(incomplete.lower())]


def complete_good(
    ctx: click.Context, param: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Versions that can be gone back to; before them, an application can be named."""
    words: tuple[str, ...] = ctx.params.get("words") or ()
    ctx.params["app"] = words[0] if words else None
    found = _kept_items(ctx, only_good=True)
    apps = completing.apps(ctx, param, incomplete) if not words else []
    return [*apps, *(item for item in found if item.value.startswith(incomplete.lower()))]


def _kept_items(ctx: click.Context, *, only_good: bool) -> list[CompletionItem]:
    """Of the application that is named, or of ./weaver.toml's, or of all."""
    named: str | None = ctx.params.get("app")
    now = time.time()
    try:
        app = named or app_of(None)
        good = {r.version for r in registry.records(app) if r.good}
        known = known_versions(app).items()
        found = [(v, r) for v, r in known if v in kept_versions.kept(r.app)]
    except Exception:  # noqa: BLE001 # a shell shows no errors here
        return []
    return [
        CompletionItem(short(version), help=f"{r.app}, {ago(now - r.started)} ago, {state(r)}")
        for version, r in found
        if not only_good or (version in good and r.ended)
    ]


def state(record: Record) -> str:
    """How a deployment ended, in a word."""
    return record.result if record.ended else RUNNING
