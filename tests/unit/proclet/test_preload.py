"""What a process imports from which replicas are forked."""

import subprocess
import sys
from pathlib import Path

APPLICATION = """
import weaver

@weaver.component
class Web:
    http: weaver.Listener

    async def main(self) -> None: ...
"""
PROGRAM = """
import sys
from weaver.control.messages import Application
from weaver.proclet.http import prepare
from weaver.proclet.preload import load

load(Application("shop", "v1", "d1", "shop:Web", path=(sys.argv[1],)))
before = set(sys.modules)
prepare()
print(sorted(set(sys.modules) - before), "uvicorn.protocols.http.httptools_impl" in before)
"""


def test_what_serving_needs_is_imported_before_replicas_are_forked(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(APPLICATION)
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False)
    assert done.stdout == "[] True\n", done.stderr
