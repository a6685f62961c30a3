"""A weaver that was installed, not linked to a clone, is packed too: no project lists it."""

from pathlib import Path

import pytest

from weaver.packaging.imports import find_sources


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that holds what pip leaves of weaver and of one other distribution."""
    for name, package in (("weaver_runtime", "weaver"), ("other_thing", "other")):
        info = tmp_path / f"{name}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        (info / "RECORD").write_text(f"{package}/__init__.py,,\n")
    (tmp_path / "needy_app.py").write_text("import weaver\nimport other\n")
    monkeypatch.syspath_prepend(str(tmp_path))  # pyright: ignore[reportUnknownMemberType] - pytest's own
    return tmp_path


def test_weaver_is_never_missing_in_the_list_of_a_project(installed: Path) -> None:
    found = find_sources(["needy_app"])
    assert [package.name for package in found.packages] == ["needy_app"]
    assert [imported.distribution for imported in found.imported] == ["other-thing"]
    assert found.imported[0].where == f"{installed / 'needy_app.py'}:2"
