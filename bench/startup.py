"""What starting, keeping and shipping the boutique costs, beside other ways to ship Python.

Start: until the first page, from nothing unpacked (cold) and from the second time on (warm).
Memory: PSS of one more replica, from four beside one. Bytes: the file that a deploy has to carry;
weaver sends only what has changed of it, which bench/ssh.py measures. The file of shiv and that of
PyInstaller hold weaver's command line, too, which a PEX of weaver leaves at home.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parents[1]
BOUTIQUE = ROOT / "examples" / "boutique"
SHOP = Path(__file__).with_name("boutique")
sys.path.insert(0, str(SHOP))

from processes import pss_of, tree  # noqa: E402

WEAVER = str(Path(sys.executable).with_name("weaver"))
ADDRESS = re.compile(r"http://(127\.0\.0\.1:\d+)")
PACKAGES = Path(sysconfig.get_path("platlib"))
PATIENCE = 120.0
FREE = {"WEAVER__LISTENERS__HTTP__ADDRESS": "127.0.0.1:0"}
Environment = dict[str, str]


@contextmanager
def serving(command: list[str], environment: Environment) -> Iterator[tuple[float, int]]:
    """Start it; the seconds until its first page, and its pid."""
    with tempfile.TemporaryFile("w+") as log:
        begin = time.perf_counter()
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env={**os.environ, **FREE, **environment}, cwd=SHOP
        )
        try:
            while not _answers(log):
                if process.poll() is not None or time.perf_counter() > begin + PATIENCE:
                    log.seek(0)
                    raise RuntimeError(f"{command} did not serve:\n{log.read()[-1500:]}")
                time.sleep(0.01)
            yield time.perf_counter() - begin, process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answers(log: object) -> bool:
    assert hasattr(log, "seek")
    log.seek(0)
    found = ADDRESS.search(log.read())  # type: ignore[attr-defined]
    with suppress(OSError):
        return bool(found) and urllib.request.urlopen(f"http://{found[1]}/").status == 200
    return False


def seconds(command: list[str], **environment: str) -> float:
    """Until the first page."""
    with serving(command, environment) as (taken, _pid):
        return taken


def memory(command: Callable[[int], tuple[list[str], Environment]]) -> float:
    """MiB that one more replica takes."""
    used = []
    for count in (1, 4):
        with serving(*command(count)) as (_seconds, pid):
            time.sleep(2.0)  # until the last of four has started
            used.append(pss_of(tree([pid])))
    return (used[1] - used[0]) / 3


def weaver(folder: Path) -> dict[str, float]:
    """`weaver build`, then `weaver multi run` of one replica with everything in it."""
    here: Environment = {"XDG_CACHE_HOME": str(folder), "WEAVER__APP__NAME": "bench-startup"}
    begin = time.perf_counter()
    file = folder / "boutique.pex"
    toml = str(SHOP / "together" / "weaver.toml")
    command = [WEAVER, "build", toml, "-o", str(file)]
    subprocess.run(command, env={**os.environ, **here}, check=True, capture_output=True)
    built = time.perf_counter() - begin
    run = [WEAVER, "multi", "run", toml]
    one = here | {"WEAVER__GROUPS__SHOP__REPLICAS": "1"}

    def replicas(count: int) -> tuple[list[str], Environment]:
        return run, here | {"WEAVER__GROUPS__SHOP__REPLICAS": str(count)}

    seconds(run, **one)  # the build of this configuration
    for unpacked in folder.rglob("releases"):
        shutil.rmtree(unpacked)
    return {
        "build": built,
        "bytes": file.stat().st_size,
        "cold": seconds(run, **one),
        "warm": min(seconds(run, **one) for _ in range(3)),
        "memory": memory(replicas),
    }


def shiv(folder: Path) -> dict[str, float]:
    """One file of shiv, run as one process."""
    packages, file = folder / "packages", folder / "boutique.pyz"
    pip = [sys.executable, "-m", "pip", "-qq", "install", "--target", str(packages)]
    begin = time.perf_counter()
    subprocess.run([*pip, str(ROOT), str(BOUTIQUE)], check=True, capture_output=True)
    command = [sys.executable, "-m", "shiv.cli", "--site-packages", str(packages), "--compressed"]
    entry = ["-e", "weaver.cli.main:main", "-o", str(file)]
    subprocess.run([*command, *entry], check=True, capture_output=True)
    built = time.perf_counter() - begin
    run = [sys.executable, str(file), "run", "boutique.web:Web"]
    root = {"SHIV_ROOT": str(folder / "root")}
    cold = seconds(run, **root)
    warm = min(seconds(run, **root) for _ in range(3))
    return {"build": built, "bytes": file.stat().st_size, "cold": cold, "warm": warm}


def pyinstaller(folder: Path) -> dict[str, float]:
    """One executable of PyInstaller."""
    script = folder / "shop.py"
    script.write_text("import weaver\nfrom boutique.web import Web\n\nweaver.run(Web)\n")
    collected = ("boutique", "weaver", "uvicorn", "a2wsgi")
    options = [option for name in collected for option in ("--collect-all", name)]
    # What mypyc compiled (tomli) imports modules of its own that PyInstaller does not see.
    compiled = {path.name.split(".")[0] for path in PACKAGES.glob("*__mypyc*.so")}
    options += [option for name in sorted(compiled) for option in ("--hidden-import", name)]
    places = ["--distpath", str(folder), "--workpath", str(folder / "w"), "--specpath", str(folder)]
    command = [sys.executable, "-m", "PyInstaller", "--onefile", "--log-level", "ERROR"]
    begin = time.perf_counter()
    done = subprocess.run(
        [*command, *options, *places, str(script)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"PyInstaller failed: {done.stderr[-300:]}")
    built, file = time.perf_counter() - begin, folder / "shop"
    cold, warm = seconds([str(file)]), min(seconds([str(file)]) for _ in range(3))
    return {"build": built, "bytes": file.stat().st_size, "cold": cold, "warm": warm}


def uvicorn(_folder: Path) -> dict[str, float]:
    """uvicorn --workers, in an environment that is already there."""

    def workers(count: int) -> tuple[list[str], Environment]:
        options = ["--factory", "whole:app", "--port", "0", "--workers", str(count)]
        return [sys.executable, "-m", "uvicorn", *options], {}

    return {"warm": min(seconds(workers(1)[0]) for _ in range(3)), "memory": memory(workers)}


CONTESTANTS = {"weaver": weaver, "shiv": shiv, "PyInstaller": pyinstaller, "uvicorn": uvicorn}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(CONTESTANTS))
    options = parser.parse_args()
    titles = ("build s", "MB a deploy", "cold s", "warm s", "MiB/replica")
    print(f"{'':14}" + "".join(f"{title:>13}" for title in titles))
    for name in options.names:
        with tempfile.TemporaryDirectory() as folder:
            try:
                row = CONTESTANTS[name](Path(folder))
            except (RuntimeError, subprocess.CalledProcessError) as error:
                print(f"{name:14} left out: {str(error).splitlines()[0][:100]}")
                continue
        if "bytes" in row:
            row["bytes"] /= 1e6
        keys = ("build", "bytes", "cold", "warm", "memory")
        cells = (f"{row[key]:13.2f}" if key in row else f"{'-':>13}" for key in keys)
        print(f"{name:14}" + "".join(cells), flush=True)


if __name__ == "__main__":
    main()
