import py_compile
import tomllib
from pathlib import Path

import pytest

from weaver.cli.main import execute


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_it_writes_a_project_and_says_what_next(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["init", "My-Shop"]) == 0
    shown = capsys.readouterr().out
    assert "cd My-Shop" in shown
    assert "weaver run" in shown
    project = directory / "My-Shop"
    assert {str(path.relative_to(project)) for path in project.rglob("*") if path.is_file()} == {
        ".gitignore",
        "README.md",
        "my_shop/__init__.py",
        "my_shop/greeter.py",
        "my_shop/web.py",
        "pyproject.toml",
        "tests/test_greeter.py",
        "weaver.toml",
    }
    assert tomllib.loads((project / "weaver.toml").read_text())["app"] == {
        "name": "My-Shop",
        "entry": "my_shop.web:Web",
    }
    assert tomllib.loads((project / "pyproject.toml").read_text())["project"]["name"] == "My-Shop"
    for path in project.rglob("*.py"):
        py_compile.compile(str(path), doraise=True)
        assert "$" not in path.read_text()


def test_an_empty_directory_is_used(directory: Path) -> None:
    (directory / "shop").mkdir()
    assert execute(["init", "shop"]) == 0
    assert (directory / "shop" / "weaver.toml").exists()


def test_a_directory_with_files_is_left_alone(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (directory / "shop").mkdir()
    (directory / "shop" / "notes").write_text("mine")
    assert execute(["init", "shop"]) == 2
    assert "the directory shop is not empty" in capsys.readouterr().err
    assert [path.name for path in (directory / "shop").iterdir()] == ["notes"]


def test_a_file_of_that_name_is_left_alone(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (directory / "shop").write_text("mine")
    assert execute(["init", "shop"]) == 2
    assert "it is a file" in capsys.readouterr().err
    assert (directory / "shop").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("2 shops!", "such as shops;"),
        ("../shop", "such as shop;"),
        ("", "such as shop;"),
        ("größe", "such as gr-e;"),
        ("shop-", "such as shop;"),
        ("json", "json-app"),
        ("class", "class-app"),
        ("Weaver", "Weaver-app"),
        ("tests", "tests-app"),
    ],
)
def test_a_bad_name_is_refused_with_a_better_one(
    directory: Path, capsys: pytest.CaptureFixture[str], name: str, advice: str
) -> None:
    assert execute(["init", name]) == 2
    shown = capsys.readouterr().err
    assert f'"{name}" cannot name an application' in shown
    assert advice in shown
    assert list(directory.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory.rmdir()  # the current directory is gone: nobody can create anything in it
    assert execute(["init", "shop"]) == 1
    shown = capsys.readouterr().err
    assert "cannot be written" in shown
    assert "Traceback" not in shown
