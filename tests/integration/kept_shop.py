"""Versions of a shop as this machine would keep them, without building any."""

import json
import zipfile
from pathlib import Path

from weaver.deployers import kept_versions, registry
from weaver.deployers.registry import Record
from weaver.packaging.manifest import (
    MANIFEST,
    Manifest,
    ManifestComponent,
    ManifestMethod,
    build_id,
    encode,
)


def manifest_of(
    signature: str = "(user: str) -> int", config: str = "", listeners: tuple[str, ...] = ("http",)
) -> Manifest:
    cart = ManifestComponent(
        "shop.Cart", "Cart", methods=(ManifestMethod("get", "async", signature),)
    )
    web = ManifestComponent("shop.Web", "Web", references=("shop.Cart",), listeners=listeners)
    components = (web, cart)
    return Manifest(
        "0.1", "shop", "shop:Web", components=components, listeners=listeners, config=config
    )


def pex_in(folder: Path, manifest: Manifest, wheels: tuple[str, ...] = ()) -> Path:
    """A file that can be read as a PEX."""
    path = folder / f"{len(list(folder.glob('*.pex')))}.pex"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("PEX-INFO", json.dumps({"distributions": dict.fromkeys(wheels, "")}))
        archive.writestr(MANIFEST, encode(manifest))
    return path


def deployed(
    folder: Path,
    manifest: Manifest,
    *,
    started: float = 1.0,
    ended: bool = False,
    result: str = "",
    good: bool = True,
    socket: str = "/nowhere",
    keep: bool = True,
) -> Record:
    """The record of a version, whose PEX is kept."""
    path = pex_in(folder, manifest)
    version = build_id(path)
    if keep:
        kept_versions.keep(manifest.app, path, version)
    record = Record(
        app=manifest.app,
        deployment=f"d{started:.0f}",
        version=version,
        pid=0,
        socket=socket,
        started=started,
        ended=started + 1 if ended else 0.0,
        result=result,
        user="ada",
        revision="abcdef0123456789",
        good=started if good else 0.0,
    )
    registry.write(record)
    return record
