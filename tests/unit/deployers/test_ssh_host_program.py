import ast
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

import weaver.deployers.ssh.host as host_package
from weaver.deployers.ssh.host_program import command, program
from weaver.errors import UsageError

FOLDER = Path(host_package.__file__).parent
MODULES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")


@pytest.mark.parametrize("module", MODULES)
def test_every_module_is_of_python_38_and_the_standard_library(module: str) -> None:
    tree = ast.parse((FOLDER / f"{module}.py").read_text(), feature_version=(3, 8))
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            top = name.partition(".")[0]
            assert name.startswith("weaver.deployers.ssh.host.") or top in sys.stdlib_module_names


@pytest.mark.parametrize("module", MODULES)
def test_every_module_loads_from_what_is_sent(module: str) -> None:
    """Without anything of weaver on the path; the reply is a fault, for there is no request."""
    done = subprocess.run(
        ["/bin/sh", "-c", command(sys.executable)],
        input=program(frozenset([module])) + b"0\n",
        capture_output=True,
        check=False,
        timeout=30,
    )
    assert b"weaver-reply-1" in done.stdout
    assert done.stderr == b""


def test_a_program_holds_only_what_its_calls_need() -> None:
    sent = program(frozenset(["missing"]))
    size, _, packed = sent.partition(b"\n")
    source = zlib.decompress(packed).decode()
    assert len(packed) == int(size)
    assert "def missing(" in source
    assert "def receive(" not in source
    assert '"""' not in source


@pytest.mark.parametrize("python", ["python3", "/a'b", '/a"b', "/a!b", "/a\\b", "/a\nb", ""])
def test_a_path_that_shells_read_differently_is_refused(python: str) -> None:
    with pytest.raises(UsageError, match="cannot be the Python of a host"):
        command(python)


def test_a_path_with_spaces_is_one_word() -> None:
    assert command("/opt/my python/bin/python3").startswith("exec '/opt/my python/bin/python3' -I")
