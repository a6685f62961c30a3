"""Everything that can be wrong with a project or a PEX says what, where, why and what to do."""

import errno
import json
import sys
import zipfile
from pathlib import Path

import pytest

from weaver.config.schema import PackageTable
from weaver.errors import DefinitionError, UsageError, WeaverError
from weaver.packaging import build as building
from weaver.packaging import freeze, inputs, manifest, requirements
from weaver.packaging.build import build
from weaver.packaging.complete import check_complete
from weaver.packaging.errors import BuildError, PexError
from weaver.packaging.imports import FirstParty, Imported, Sources
from weaver.packaging.installed import install
from weaver.packaging.manifest import Manifest
from weaver.packaging.suits import unsuited
from weaver.packaging.unpack import UnknownLayout, unpack

TOML = '[app]\nname = "shop"\nentry = "shopapp:Web"\n'
PROJECT = '[project]\nname = "shop"\nversion = "1"\ndependencies = [{}]\n'
APP = """
import weaver

@weaver.component
class Web:
    async def main(self) -> None: ...
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "weaver"


def project(folder: Path, *, app: str = APP, dependencies: str = "", toml: str = TOML) -> Path:
    (folder / "shopapp.py").write_text(app)
    (folder / "pyproject.toml").write_text(PROJECT.format(dependencies))
    (folder / "weaver.toml").write_text(toml)
    return folder / "weaver.toml"


def a_pex(path: Path, held: Manifest | None, distributions: list[str] | None = None) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        hashes = dict.fromkeys(distributions or [], "")
        archive.writestr("PEX-INFO", json.dumps({"distributions": hashes}))
        if held is not None:
            archive.writestr(manifest.MANIFEST, manifest.encode(held))
    return path


HERE = f"{sys.version_info.major}.{sys.version_info.minor}"
HELD = Manifest(weaver="1", app="shop", entry="shop:Web", python=HERE)


def test_a_requirement_that_is_not_installed_is_named_with_the_command(tmp_path: Path) -> None:
    config = project(tmp_path, dependencies='"no-such-package>=2"')
    with pytest.raises(BuildError, match="no-such-package>=2 is not installed") as caught:
        build(config)
    assert 'pip install "no-such-package>=2"' in caught.value.fix
    assert caught.value.where == str(tmp_path / "pyproject.toml")


def test_a_module_that_does_not_import_is_named_with_its_line(tmp_path: Path, cache: Path) -> None:
    config = project(tmp_path, app="import weaver\nraise ValueError('no licence')\n")
    with pytest.raises(BuildError, match="importing shopapp failed: ValueError") as caught:
        build(config)
    assert caught.value.where == f"{tmp_path / 'shopapp.py'}:2"
    assert not list(cache.rglob("work-*"))


def test_a_module_that_ends_the_process_is_an_error(tmp_path: Path) -> None:
    config = project(tmp_path, app="import sys\nprint('bye', file=sys.stderr)\nsys.exit(3)\n")
    with pytest.raises(BuildError, match="exit code 3") as caught:
        build(config)
    assert "bye" in caught.value.why


def test_definition_problems_are_all_reported(tmp_path: Path) -> None:
    wrong = (
        APP + "    async def get(self, user) -> str: ...\n    async def put(self, x) -> int: ...\n"
    )
    with pytest.raises(DefinitionError) as caught:
        build(project(tmp_path, app=wrong))
    assert len(caught.value.problems) == 2


def test_there_must_be_a_weaver_toml_with_an_entry(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no .*weaver\.toml"):
        build(tmp_path / "weaver.toml")
    with pytest.raises(UsageError, match="no entry"):
        build(project(tmp_path, toml=""))


def test_a_project_without_metadata_must_say_what_it_imports(tmp_path: Path) -> None:
    imported = Imported("jinja2", "jinja2", "shop/web.py:3")
    sources = Sources((), (imported,))
    with pytest.raises(BuildError, match="no metadata, and imports Jinja2") as caught:
        check_complete(sources, {"click"}, tmp_path)
    assert 'dependencies = ["Jinja2"]' in caught.value.fix
    assert check_complete(sources, {"jinja2"}, tmp_path) == []


def test_an_undeclared_import_is_an_error_at_the_top_and_a_warning_below(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(PROJECT.format(""))
    firm = Imported("jinja2", "jinja2", "shop/web.py:3")
    with pytest.raises(BuildError, match="imports Jinja2, which the project does not require"):
        check_complete(Sources((), (firm,)), set(), tmp_path)
    maybe = Imported("jinja2", "jinja2", "shop/web.py:3", optional=True)
    [warning] = check_complete(Sources((), (maybe,)), set(), tmp_path)
    assert "shop/web.py:3 imports jinja2" in warning


def test_metadata_that_is_no_toml_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[project")
    with pytest.raises(BuildError, match="cannot be read"):
        requirements.requirements_of(tmp_path)


def test_dynamic_dependencies_of_a_project_that_is_not_installed(tmp_path: Path) -> None:
    text = '[project]\nname = "never-installed"\ndynamic = ["dependencies"]\n'
    (tmp_path / "pyproject.toml").write_text(text)
    with pytest.raises(BuildError, match="known to its build tool only") as caught:
        requirements.requirements_of(tmp_path)
    assert "pip install --editable" in caught.value.fix


def test_weaver_brings_what_it_needs_but_not_what_only_the_command_line_needs(
    tmp_path: Path,
) -> None:
    names = {requirements.name_of(r) for r in requirements.requirements_of(tmp_path)}
    assert {"msgspec", "uvicorn", "tomli"} <= names
    assert not names & {"pex", "rich", "paramiko", "fabric", "weaver-runtime"}


def test_a_pex_that_was_cut_short_is_called_so(tmp_path: Path) -> None:
    whole = a_pex(tmp_path / "app.pex", HELD)
    assert manifest.read(whole) == HELD
    cut = tmp_path / "cut.pex"
    cut.write_bytes(whole.read_bytes()[:-30])
    with pytest.raises(PexError, match="cut short or damaged"):
        manifest.read(cut)


@pytest.mark.parametrize(
    ("content", "why"), [(b"hello", "not a zip file"), (b"", "the file is empty")]
)
def test_a_file_that_is_no_pex_is_called_so(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "app.pex"
    path.write_bytes(content)
    with pytest.raises(PexError, match="is not a PEX") as caught:
        manifest.read(path)
    assert why in caught.value.why


def test_a_foreign_pex_and_a_missing_file_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(PexError, match="holds no weaver application"):
        manifest.read(a_pex(tmp_path / "other.pex", None))
    with pytest.raises(PexError, match="cannot be read"):
        manifest.read(tmp_path / "missing.pex")
    with zipfile.ZipFile(tmp_path / "plain.zip", "w"):
        pass
    with pytest.raises(PexError, match="is not a PEX"):
        manifest.read(tmp_path / "plain.zip")


def test_a_manifest_of_another_weaver_is_read_as_far_as_it_is_known() -> None:
    data = b'{"weaver": "9", "app": "a", "entry": "a:A", "invented_later": [1]}'
    assert manifest.decode(data, "x.pex") == Manifest(weaver="9", app="a", entry="a:A")
    with pytest.raises(PexError, match=r"manifest in x\.pex"):
        manifest.decode(b"{}", "x.pex")


def test_a_pex_for_another_python_is_not_installed(tmp_path: Path) -> None:
    held = Manifest(weaver="1", app="shop", entry="shop:Web", python="2.7")
    with pytest.raises(PexError, match="cannot run here") as caught:
        install(a_pex(tmp_path / "old.pex", held))
    assert "built for Python 2.7" in caught.value.why


def test_wheels_of_another_platform_do_not_suit() -> None:
    assert unsuited(HELD, ["click-8-py3-none-any.whl"]) == ""
    python = "cp{}{}".format(*sys.version_info)
    assert "another platform" in unsuited(HELD, [f"uvloop-1-{python}-{python}-plan9_mips.whl"])


def test_an_unknown_layout_is_left_to_pex(tmp_path: Path) -> None:
    path = a_pex(tmp_path / "app.pex", HELD)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(".deps/click-8-py3-none-any.whl/click/__init__.py", "")
    with pytest.raises(UnknownLayout):
        unpack(path, tmp_path / "venv", compiled=tmp_path / "compiled")


def test_no_member_leaves_the_environment(tmp_path: Path) -> None:
    path = a_pex(tmp_path / "app.pex", HELD)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("../../escaped.py", "")
    with pytest.raises(UnknownLayout):
        unpack(path, tmp_path / "venv", compiled=tmp_path / "compiled")
    assert not list(tmp_path.rglob("escaped.py"))


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("PermissionError: [Errno 13] Permission denied: '/x'", "cannot be written"),
        ("Failed to resolve requirements", "lacks a package"),
        ("something else", "exit code 1"),
    ],
)
def test_what_pex_says_is_told_in_our_shape(said: str, what: str) -> None:
    error = freeze.failure(said, 1)
    assert what in error.what
    assert error.fix
    assert said in error.why


def test_a_full_disk_names_the_place_and_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with building._work_folder(tmp_path / "builds") as work:
            (work / "part").write_text("x")
            raise OSError(errno.ENOSPC, "No space left on device", str(work / "part"))

    with pytest.raises(BuildError, match="cannot be written") as caught:
        fail()
    assert caught.value.why == "No space left on device"
    assert list((tmp_path / "builds").iterdir()) == []


def test_what_a_killed_build_has_left_is_swept(tmp_path: Path) -> None:
    (tmp_path / "work-999999999").mkdir()
    with building._work_folder(tmp_path):
        assert [path.name for path in tmp_path.iterdir()] != []
        assert not (tmp_path / "work-999999999").exists()


def test_a_cache_that_cannot_be_made_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(WeaverError, match="cannot be written"):
        build(project(tmp_path))
    with pytest.raises(PexError, match="cannot be installed"):
        install(a_pex(tmp_path / "app.pex", HELD))


def test_patterns_of_files_are_checked(tmp_path: Path) -> None:
    for pattern, what in (("../x", "leaves the project"), ("no/*.json", "nothing matches")):
        with pytest.raises(BuildError, match=what):
            inputs.own_files((), tmp_path, PackageTable(include=(pattern,)))


def test_a_change_of_any_file_changes_the_digest(tmp_path: Path) -> None:
    assert inputs.digest_of([("a", b"1")], []) != inputs.digest_of([("a", b"2")], [])
    assert inputs.digest_of([("a", b"1")], []) != inputs.digest_of([("b", b"1")], [])
    assert inputs.digest_of([], [b"a", b"b"]) != inputs.digest_of([], [b"ab", b""])
    (tmp_path / "x.py").write_text("")
    package = FirstParty("x", str(tmp_path), str(tmp_path / "x.py"))
    assert list(inputs.own_files((package,), tmp_path, PackageTable())) == ["x.py"]
