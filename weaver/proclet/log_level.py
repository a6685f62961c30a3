"""Which log records are wanted: what LOG_LEVEL says, alike in every way to run an application."""

import logging
import os

from weaver.errors import did_you_mean

log = logging.getLogger("weaver")


def wanted_level() -> int:
    """The level that LOG_LEVEL names, by default INFO; a warning is logged for an unknown one."""
    asked = os.environ.get("LOG_LEVEL", "").strip().upper() or "INFO"
    levels = logging.getLevelNamesMapping()
    if asked.isdecimal():
        return int(asked)
    if asked not in levels:
        log.warning(
            'LOG_LEVEL is "%s", which is no level; INFO is used. %s',
            asked.lower(), did_you_mean(asked, levels),
        )  # fmt: skip
    return levels.get(asked, logging.INFO)
