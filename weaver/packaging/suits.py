"""Whether a PEX can run on an interpreter: told from its manifest and the names of its wheels."""

import platform
import sys
from collections.abc import Iterable

from weaver.packaging.manifest import Manifest


def unsuited(manifest: Manifest, distributions: Iterable[str]) -> str:
    """Why this interpreter cannot run the PEX; "" if it can."""
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    if manifest.python and manifest.python != here:
        return f"it was built for Python {manifest.python}, and this is Python {here}"
    machine, system = platform.machine().lower(), sys.platform
    for wheel in distributions:
        tag = wheel.removesuffix(".whl").rpartition("-")[2].lower()
        if tag == "any":
            continue
        fits_system = {"linux": "linux", "darwin": "macosx", "win32": "win"}.get(system, "") in tag
        fits_machine = machine in tag or "universal2" in tag
        if not (fits_system and fits_machine):
            return f"{wheel} is for another platform, and this is {system} on {machine}"
    return ""
