"""Real builds of a small shop: what is in the PEX, when it is built again, and how it runs."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from weaver.cli.main import execute
from weaver.packaging import freeze, manifest, skeleton
from weaver.packaging.build import Built, build
from weaver.packaging.freeze import in_virtual_environment
from weaver.packaging.installed import install
from weaver.packaging.skeleton import Skeleton, Unfit
from weaver.rpc.codec.compiled import record_codec

pytestmark = pytest.mark.skipif(
    not in_virtual_environment(), reason="wheels are taken from a virtual environment"
)

FILES = {
    "weaver.toml": """
[app]
name = "shop"
entry = "shop.web:Web"
[package]
include = ["data/*.json"]
exclude = ["shop/dev"]
[groups.front]
components = ["Web"]
[listeners.http]
address = "127.0.0.1:0"
[components.Greeter]
greeting = "Hello"
""",
    "pyproject.toml": '[project]\nname = "shop"\nversion = "1"\ndependencies = ["jinja2>=3"]\n',
    "shop/__init__.py": "",
    "shop/greeter.py": """
import dataclasses
import weaver

@dataclasses.dataclass
class Settings:
    greeting: str

@weaver.component
class Greeter:
    config: Settings
    @weaver.idempotent
    @weaver.routed(by="name")
    async def greet(self, name: str) -> str:
        import extra
        return f"{self.config.greeting}, {name}{extra.MARK}"
""",
    "shop/web.py": """
import weaver
from shop.greeter import Greeter
print("imported")

@weaver.component
class Web:
    greeter: Greeter
    http: weaver.Listener
    async def main(self) -> None:
        print(await self.greeter.greet("PEX"), flush=True)
""",
    "shop/page.html": "<p>",
    "shop/.password": "secret",
    "shop/dev/tool.py": "",
    "extra.py": 'MARK = "!"\n',
    "data/prices.json": "{}",
    "tests/test_shop.py": "",
    ".env": "TOKEN=secret",
    "unrelated.py": "",
}


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder / "weaver.toml"


@pytest.fixture(autouse=True)
def _caches(caches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(caches / "cache"))
    monkeypatch.setenv("PEX_ROOT", str(caches / "pex"))


@pytest.fixture
def shop(caches: Path) -> Iterator[Path]:
    """The weaver.toml of the shop, held until the test ends: it is never changed."""
    with (caches / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        config = caches / "shop" / "weaver.toml"
        if not config.is_file():
            write(config.parent, FILES)
        yield config


@pytest.fixture
def built(shop: Path) -> Built:
    return build(shop)


def copy_of(shop: Path, folder: Path) -> Path:
    return write(folder / "copy", FILES)


def names_in(pex: Path) -> set[str]:
    with zipfile.ZipFile(pex) as archive:
        return set(archive.namelist())


def wheels_in(pex: Path) -> set[str]:
    return {name for name in names_in(pex) if name.startswith(".deps/")}


def run(command: list[str | Path], code: int = 0) -> str:
    environment = {k: v for k, v in os.environ.items() if not k.startswith("WEAVER")}
    # A file that runs alone looks here for its Python; a shim of that name may stand for none.
    own = Path(sys.base_prefix, "bin")
    environment["PATH"] = f"{own}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        [str(part) for part in command],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert done.returncode == code, done.stderr
    return done.stdout


def test_the_manifest_tells_what_the_application_is(built: Built) -> None:
    found = manifest.read(built.path)
    assert found == built.manifest
    assert (found.app, found.entry) == ("shop", "shop.web:Web")
    assert found.edges == (("shop.web.Web", "shop.greeter.Greeter"),)
    assert found.listeners == ("http",)
    assert found.groups == {"front": ("shop.web.Web",)}
    assert "greeting" in found.config
    assert found.python == f"{sys.version_info.major}.{sys.version_info.minor}"
    [method] = next(c for c in found.components if c.short_name == "Greeter").methods
    assert method.name == "greet"
    assert method.signature == "(name: str) -> str"
    assert (method.routed_by, method.idempotent, method.kind) == ("name", True, "async")


def test_only_what_the_application_needs_is_packed(built: Built) -> None:
    names = names_in(built.path)
    own = {name for name in names if name.startswith(("shop/", "data/", "extra", "unrelated"))}
    assert {name for name in own if not name.endswith("/")} == {
        "shop/__init__.py", "shop/greeter.py", "shop/web.py", "shop/page.html",
        "data/prices.json", "extra.py",
    }  # fmt: skip
    assert not [name for name in names if "tests/" in name or ".env" in name or "pycache" in name]
    wheels = {name.partition("-")[0].lower() for name in names if name.startswith(".deps/")}
    assert ".deps/jinja2" in wheels
    assert not {f".deps/{name}" for name in ("pex", "rich", "paramiko", "fabric")} & wheels
    assert built.path.stat().st_size < 9_000_000


def test_what_is_unchanged_is_not_built_again(built: Built, shop: Path) -> None:
    again = build(shop)
    assert not again.fresh
    assert (again.path, again.build_id) == (built.path, built.build_id)
    assert built.build_id == manifest.build_id(built.path)


def test_a_damaged_build_is_not_taken(built: Built, shop: Path) -> None:
    whole = built.path.read_bytes()
    built.path.write_bytes(whole[:-100])
    again = build(shop)
    assert again.fresh
    assert again.path.read_bytes() == whole


def test_the_same_input_gives_the_same_bytes_in_any_folder(
    built: Built, shop: Path, tmp_path: Path
) -> None:
    other = copy_of(shop, tmp_path)
    again = build(other)
    assert again.fresh
    assert again.build_id == built.build_id
    greeter = other.parent / "shop" / "greeter.py"
    greeter.write_text(greeter.read_text() + "# changed\n")
    changed = build(other)
    assert changed.fresh
    assert changed.build_id != built.build_id
    assert wheels_in(changed.path) == wheels_in(built.path)
    greeter.write_text(FILES["shop/greeter.py"])
    back = build(other, tmp_path / "app.pex")
    assert not back.fresh
    assert (tmp_path / "app.pex").read_bytes() == built.path.read_bytes()
    assert os.access(tmp_path / "app.pex", os.X_OK)


def test_what_is_kept_of_a_pex_makes_what_pex_would_make(
    built: Built, shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = copy_of(shop, tmp_path)
    (other.parent / "shop" / "greeter.py").write_text(FILES["shop/greeter.py"] + "# other\n")
    (other.parent / "shop" / "deep" / "er").mkdir(parents=True)
    (other.parent / "shop" / "deep" / "er" / "\u00e9 data.bin").write_bytes(bytes(100_000))
    with monkeypatch.context() as patched:
        patched.delattr(freeze, "Pex")  # is not needed
        filled = build(other)
    assert filled.fresh
    assert filled.build_id != built.build_id
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))  # in which nothing is kept
    assert build(other).build_id == filled.build_id


def test_what_is_kept_of_a_pex_is_for_one_state_of_an_environment(
    built: Built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    metadata = tmp_path / "site" / "odd-1.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text("Name: odd\nVersion: 1\n")
    monkeypatch.setattr(sys, "path", [str(metadata.parent), *sys.path])
    with zipfile.ZipFile(built.path) as archive:
        names = [name for name in archive.namelist() if not name.startswith((".", "__", "PEX"))]
        files = {name: archive.read(name) for name in names if not name.endswith("/")}
    skeleton.keep(built.path, files, ["odd"], ["odd"], tmp_path)
    kept = Skeleton.find(["odd"])
    assert kept is not None
    assert Skeleton.find(["odd>=1"]) is None
    (metadata / "METADATA").write_text("Name: odd\nVersion: 2\n")
    assert Skeleton.find(["odd"]) is None
    with pytest.raises(Unfit):
        kept.fill({"__main__.py": b""}, tmp_path / "x.pex")
    shutil.rmtree(tmp_path / "skeleton", ignore_errors=True)
    del files["shop/web.py"]  # then it would not be what pex has made
    skeleton.keep(built.path, files, ["odd"], ["odd"], tmp_path)
    assert Skeleton.find(["odd"]) is None


def test_the_file_alone_runs_the_application(built: Built, tmp_path: Path) -> None:
    app = Path(shutil.copy(built.path, tmp_path / "app.pex"))
    assert "Hello, PEX!" in run([app])
    assert "runs shop" in run([app, "--help"]).lower()
    run([app, "no-such-role"], code=2)


@pytest.mark.parametrize("left", [200, 100_000, -1])
def test_a_file_that_was_cut_short_says_so(built: Built, tmp_path: Path, left: int) -> None:
    cut = tmp_path / "cut.pex"
    cut.write_bytes(built.path.read_bytes()[:left])
    cut.chmod(0o755)
    done = subprocess.run([cut], capture_output=True, text=True, timeout=50, check=False)
    assert done.returncode == 1
    assert done.stderr == f"error: {cut} is cut short: copy it again\n"
    assert execute(["inspect", str(cut)]) == 1


def test_a_pex_does_not_tell_where_it_was_built(built: Built, caches: Path) -> None:
    assert str(caches).encode() not in built.path.read_bytes()[:20_000]


def test_an_installed_release_runs_the_same(built: Built) -> None:
    python = install(built.path)
    assert install(built.path) == python
    command: list[str | Path] = [python, "-I", "-m", "weaver.application.main"]
    assert "Hello, PEX!" in run(command)
    where = run([python, "-I", "-c", "import shop, jinja2; print(shop.__file__, shop.__cached__)"])
    source, bytecode = where.split()
    assert source.startswith(str(python.parents[1]))
    assert Path(bytecode).is_file()
    asked = "from weaver.rpc.codec.compiled import record_codec; print(record_codec() is None)"
    assert run([python, "-I", "-c", asked]).strip() == str(record_codec() is None)


def test_two_installations_at_once_make_one(built: Built) -> None:
    shutil.rmtree(install(built.path).parents[2])
    code = "from pathlib import Path; from weaver.packaging.installed import install as i; "
    code += f"print(i(Path({str(built.path)!r})))"
    both = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    outputs = {process.communicate(timeout=50)[0] for process in both}
    assert [process.returncode for process in both] == [0, 0]
    assert len(outputs) == 1
    release = Path(outputs.pop().strip()).parents[2]
    assert {path.name for path in release.iterdir()} == {"venv", "lock"}


def test_inspect_shows_it_without_running_it(
    built: Built, capsys: pytest.CaptureFixture[str]
) -> None:
    assert execute(["inspect", str(built.path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["build_id"] == built.build_id
    assert found["calls"] == [["shop.web.Web", "shop.greeter.Greeter"]]
    assert found["runs_here"] is True
    assert execute(["inspect", str(built.path)]) == 0
    text = capsys.readouterr().out
    assert "async greet(name: str) -> str  [routed by name, idempotent]" in text
    assert "imported" not in text


def test_the_build_command_says_what_it_has_made(
    built: Built, shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "x.pex"
    assert execute(["build", str(shop), "-o", str(output), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["path"], found["build_id"]) == (str(output), built.build_id)
    assert execute(["build", str(shop)]) == 0
    assert built.build_id[:12] in capsys.readouterr().out


def test_an_output_that_cannot_be_written_is_an_error(
    built: Built, shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "missing" / "x.pex"
    assert execute(["build", str(shop), "-o", str(output)]) == 1
    assert f"{output} cannot be written" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    config = write(tmp_path / "shop", FILES)
    process = subprocess.Popen(
        [sys.executable, "-m", "weaver", "build", str(config), "-o", str(tmp_path / "x.pex")],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stderr is not None
    assert any(line.startswith("packing") for line in process.stderr)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == 130
    assert not (tmp_path / "x.pex").exists()
    [builds] = (tmp_path / "cache" / "weaver" / "builds").iterdir()
    assert list(builds.iterdir()) == []
