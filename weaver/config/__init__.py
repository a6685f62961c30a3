"""weaver.toml and the environment as frozen records: pure, nothing here opens a file."""

from weaver.config.configuration import Config
from weaver.config.effective import Row, rows
from weaver.config.load import load, load_mapping
from weaver.config.section import build_section, check_section, secret_value

__all__ = [
    "Config",
    "Row",
    "build_section",
    "check_section",
    "load",
    "load_mapping",
    "rows",
    "secret_value",
]
