"""A PEX that was altered, and one that is named where a weaver.toml belongs."""

import zipfile
from pathlib import Path

import pytest

from weaver.cli.main import execute
from weaver.errors import UsageError
from weaver.packaging import manifest
from weaver.packaging.build import build
from weaver.packaging.errors import PexError
from weaver.packaging.manifest import Manifest


@pytest.fixture
def pex(tmp_path: Path) -> Path:
    """A file as `weaver build` writes it, as far as it is read here."""
    path = tmp_path / "app.pex"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("PEX-INFO", '{"distributions": {}}')
        file.writestr(manifest.MANIFEST, manifest.encode(Manifest("1", "shop", "shop:Web")))
        file.writestr("shop.py", b"import weaver\n" * 100)
    return path


def test_one_altered_byte_is_found(pex: Path, capsys: pytest.CaptureFixture[str]) -> None:
    manifest.check_whole(pex)
    data = bytearray(pex.read_bytes())
    data[data.index(b"import weaver") + 3] ^= 0xFF
    pex.write_bytes(data)
    assert manifest.read(pex).app == "shop"
    with pytest.raises(PexError, match="is damaged") as caught:
        manifest.check_whole(pex)
    assert "shop.py" in caught.value.why
    assert execute(["inspect", str(pex)]) == 1
    assert "is damaged" in capsys.readouterr().err


@pytest.mark.parametrize("start", [b"", b"#!/bin/sh\n"])
def test_a_pex_is_not_taken_for_a_broken_weaver_toml(pex: Path, start: bytes) -> None:
    pex.write_bytes(start + pex.read_bytes())
    with pytest.raises(UsageError, match=r"is a PEX, and no weaver\.toml"):
        build(pex)
