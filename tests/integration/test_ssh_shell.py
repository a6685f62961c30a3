"""`weaver shell`: a terminal on a host, in the release of an application."""

import os
import pty
import subprocess
import sys
import threading
from pathlib import Path

from ssh_hosts import Operator, eventually

DONE = "it-is-done"  # typed with quotes in it, so that what is echoed is something else


def release(home: Path) -> Path:
    """What a deploy leaves on a host, as far as a shell sees it."""
    folder = home / ".weaver" / "releases" / "b1"
    (folder / "venv" / "bin").mkdir(parents=True)
    program = folder / "venv" / "bin" / "shop-migrate"
    program.write_text("#!/bin/sh\necho migrating $1\nexit 7\n")
    program.chmod(0o755)
    current = home / ".weaver" / "apps" / "shop" / "current"
    current.parent.mkdir(parents=True)
    current.symlink_to(folder)
    return folder


def in_terminal(command: list[str], typed: str, env: dict[str, str]) -> tuple[int, str]:
    """Run a command in a terminal of its own, type, and read until it ends."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        # The terminal has to be the controlling one, or nobody reads what is typed.
        ["setsid", "--ctty", "--wait", *command],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=env,
    )
    os.close(theirs)
    said = bytearray()

    def read() -> None:
        try:
            while data := os.read(ours, 4096):
                said.extend(data)
        except OSError:
            return  # the terminal has gone with its last process

    reader = threading.Thread(target=read)
    reader.start()
    try:
        if typed:  # what is typed before somebody asks for it may be dropped
            eventually(lambda: said.rstrip().endswith((b"$", b"#")), 40)
            os.write(ours, typed.encode())
        code = process.wait(40)
    finally:
        process.kill()
        process.wait()
        reader.join(30)
        os.close(ours)
    return code, said.decode(errors="replace")


def test_a_shell_has_a_terminal_and_the_programs_of_the_release(ssh_hosts: Operator) -> None:
    release(ssh_hosts["beta"].home)
    command = [sys.executable, "-m", "weaver", "shell", "shop", "beta"]
    command += ["--ssh", str(ssh_hosts.hosts_txt)]
    typed = "shop-migrate 'a b'; code=$?; test -t 0 && echo it-is-''done; exit $code\n"
    code, said = in_terminal(command, typed, dict(os.environ))
    assert "migrating a b" in said
    assert f"\n{DONE}" in said.replace("\r", "")
    assert code == 7


def test_what_was_never_deployed_ends_with_a_reason(ssh_hosts: Operator) -> None:
    command = [sys.executable, "-m", "weaver", "shell", "shop", "beta"]
    command += ["--ssh", str(ssh_hosts.hosts_txt)]
    code, said = in_terminal(command, "", dict(os.environ))
    assert code == 1
    assert "error: no release of shop is current on this host" in said
    assert "apps/shop/current" in said


def test_without_a_terminal_it_takes_its_commands_from_standard_input(ssh_hosts: Operator) -> None:
    release(ssh_hosts["beta"].home)
    command = [sys.executable, "-m", "weaver", "shell", "shop", "beta"]
    command += ["--ssh", str(ssh_hosts.hosts_txt)]
    done = subprocess.run(
        command,
        input="shop-migrate x; exit 5\n",
        capture_output=True,
        check=False,
        text=True,
        timeout=40,
    )
    assert (done.returncode, done.stdout) == (5, "migrating x\n"), done.stderr
