"""What the figures were taken on: machine, Python, and versions that matter."""

import os
import platform
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

from weaver.cli.commands.version import core

PACKAGES = (
    "weaver-runtime", "grpcio", "protobuf", "fastapi", "httpx", "pydantic", "starlette", "uvicorn",
    "uvloop", "h11", "httptools", "jinja2", "msgspec", "locust",
)  # fmt: skip


def describe() -> dict[str, object]:
    """As a record for the raw data."""
    return {
        "taken": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release()}",
        "python": sys.version.split()[0],
        "load_before": round(os.getloadavg()[0], 2),
        "packages": {name: _version(name) for name in PACKAGES},
        "core": core(),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "none"
