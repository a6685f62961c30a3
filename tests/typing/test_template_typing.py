"""What `weaver init` writes is accepted by mypy and pyright in their strict modes, and by ruff."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("typed")
    done = run(folder, "weaver", "init", "shop")
    assert done.returncode == 0, done.stderr
    return folder / "shop"


def run(folder: Path, module: str, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *args],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=250,
        check=False,
    )


@pytest.mark.timeout(300)
def test_mypy_accepts_the_template(project: Path) -> None:
    done = run(project, "mypy", "--strict", "shop", "tests")
    assert done.returncode == 0, done.stdout


@pytest.mark.timeout(300)
def test_pyright_accepts_the_template(project: Path) -> None:
    if run(project, "pyright", "--version").returncode:
        pytest.skip("pyright needs node, and could not get it")
    settings = '{"typeCheckingMode": "strict"}'
    (project / "pyrightconfig.json").write_text(settings)
    done = run(project, "pyright", "--pythonpath", sys.executable, ".")
    assert done.returncode == 0, done.stdout


def test_ruff_accepts_the_template(project: Path) -> None:
    assert run(project, "ruff", "check", "--isolated", ".").stdout == "All checks passed!\n"
    done = run(project, "ruff", "format", "--isolated", "--check", ".")
    assert done.returncode == 0, done.stdout
