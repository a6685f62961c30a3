"""Who may import whom: the contracts of pyproject.toml hold, and cover the whole package."""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
]


def test_the_contracts_hold() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache", "--no-logo"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=50, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"Contracts: {len(CONTRACTS)} kept, 0 broken." in done.stdout


def test_every_package_has_a_layer() -> None:
    layers = next(contract for contract in CONTRACTS if contract["type"] == "layers")
    assert layers["exhaustive"] is True
    named = {name.strip(" ()") for layer in layers["layers"] for name in layer.split("|")}
    present = {
        path.stem
        for path in (ROOT / "weaver").iterdir()
        if path.suffix == ".py" or (path.is_dir() and path.name != "__pycache__")
    }
    assert present - named == {"__init__"}


def test_the_pure_packages_may_not_reach_the_clock_nor_the_network() -> None:
    purity = next(contract for contract in CONTRACTS if contract["type"] == "forbidden")
    assert {
        "weaver.errors", "weaver.component", "weaver.config", "weaver.frames", "weaver.rpc",
    } <= set(purity["source_modules"])  # fmt: skip
    assert {"asyncio", "socket", "time", "random", "os"} <= set(purity["forbidden_modules"])
