"""What protoc makes of boutique.proto, made anew when that file has changed."""

import importlib
import os
import sys
import tempfile
from pathlib import Path
from types import ModuleType

PROTO = Path(__file__).with_name("boutique.proto")
TARGET = Path(__file__).with_name("build")


def load() -> tuple[ModuleType, ModuleType]:
    """The modules of messages and of services."""
    made = TARGET / "boutique_pb2.py"
    if not made.exists() or made.stat().st_mtime < PROTO.stat().st_mtime:
        _generate()
    if str(TARGET) not in sys.path:
        sys.path.append(str(TARGET))
    return importlib.import_module("boutique_pb2"), importlib.import_module("boutique_pb2_grpc")


def _generate() -> None:
    from grpc_tools import protoc

    TARGET.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=TARGET) as folder:
        options = (f"-I{PROTO.parent}", f"--python_out={folder}", f"--grpc_python_out={folder}")
        outcome = protoc.main(["protoc", *options, PROTO.name])
        if outcome:
            raise RuntimeError(f"protoc failed on {PROTO}: {outcome}")
        # Whole files only, the messages last: other processes may be about to read them.
        for name in ("boutique_pb2_grpc.py", "boutique_pb2.py"):
            os.replace(f"{folder}/{name}", TARGET / name)


pb, pb_grpc = load()
