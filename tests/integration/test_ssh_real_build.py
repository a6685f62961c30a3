"""A build as `weaver build` makes it, on a host: installed, and sent again after an edit."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from ssh_fakes import host_at, local

import weaver
from weaver.deployers.ssh.host_call import RemotePython
from weaver.deployers.ssh.releases import make_current, prune, releases
from weaver.deployers.ssh.upload import Parcel, Uploaded, upload
from weaver.packaging import build as build_module
from weaver.packaging.build import build
from weaver.packaging.imports import FirstParty

FILES = {
    "weaver.toml": '[app]\nname = "tiny"\nentry = "tiny.main:Main"\n',
    "pyproject.toml": '[project]\nname = "tiny"\nversion = "1"\ndependencies = []\n',
    "tiny/__init__.py": "",
    "tiny/main.py": """\
from weaver import component

GREETING = "hello"


@component
class Main:
    async def main(self) -> None:
        print(GREETING)
""",
}


def said(done: Uploaded) -> str:
    program = "from tiny.main import GREETING; import uvloop, weaver; print(GREETING)"
    found = subprocess.run(
        [done.python, "-I", "-c", program], capture_output=True, check=True, text=True, timeout=30
    )
    return found.stdout.strip()


@pytest.mark.timeout(180)
def test_a_real_build_is_installed_and_an_edit_sends_less_than_20_kb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    runtime = shutil.copytree(Path(weaver.__file__).parent, tmp_path / "runtime" / "weaver")
    snapshot = FirstParty("weaver", str(runtime.parent), str(runtime))
    monkeypatch.setattr(build_module, "_weaver_itself", lambda: snapshot)  # edits of it are large
    for name, text in FILES.items():
        (tmp_path / "tiny" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tiny" / name).write_text(text)
    host = host_at(tmp_path / "home of a host")._replace(python=sys.executable)

    first = Parcel("tiny", build(tmp_path / "tiny" / "weaver.toml").path)
    installed = upload(host, first)
    assert said(installed) == "hello"

    local(host).sent = 0
    again = edited(host, tmp_path / "tiny")
    assert said(again) == "good morning"
    assert 0 < again.sent < local(host).sent < 20_000  # the second is with programs and digests

    newest = releases(host)[0]
    make_current(host, "tiny", newest.build_id, good=True)
    assert prune(host, "tiny", keep=1).removed == (first.build_id,)
    assert said(again) == "good morning"


def edited(host: RemotePython, project: Path) -> Uploaded:
    main = project / "tiny" / "main.py"
    main.write_text(main.read_text().replace("hello", "good morning"))
    return upload(host, Parcel("tiny", build(project / "weaver.toml").path))
