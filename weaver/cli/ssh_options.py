"""The options of a deploy to hosts, as the command line gives them."""

from pathlib import Path

import msgspec


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says of a deploy to hosts; `folder` is that of weaver.toml."""

    folder: Path | None = None
    accept_new: bool = False
    plan_only: bool = False
    skip_unreachable: bool = False
    max_fail: int = 0
    batch: int = 16
    only_failed: bool = False
    service: bool = False
    steal: bool = False
    message: str = ""
    force: bool = False
    detach: bool = False
    follow: bool = False
    as_json: bool = False
