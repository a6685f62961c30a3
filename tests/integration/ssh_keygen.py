"""Keys as ssh-keygen makes and shows them."""

import subprocess
from pathlib import Path

PATIENCE = 30.0  # seconds


def make_key(path: Path, passphrase: str = "", kind: str = "ed25519") -> None:
    command = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", path.name, "-f", str(path)]
    command += ["-b", "2048"] if kind == "rsa" else []  # quick to make
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, timeout=PATIENCE)


def fingerprint(path: Path) -> str:
    """As ssh-keygen tells it."""
    command = ["ssh-keygen", "-l", "-f", str(path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=PATIENCE)
    return done.stdout.split()[1]
