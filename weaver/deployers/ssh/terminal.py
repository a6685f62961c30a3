"""A terminal on a host: fabric carries keys, window sizes and signals, over our own connection.

fabric by itself believes any host key. Here it opens no connection and reads no configuration: it
gets one that has been verified.
"""

import shlex
import sys

import fabric  # type: ignore[import-untyped]

from weaver.deployers.ssh.connection import Connection


def interact(connection: Connection, command: str) -> int:
    """Run a command line on the host with this process's terminal; its exit code.

    Without a terminal here, what stands on standard input is sent. Blocks until it ends.
    """
    settings = fabric.Config(overrides={"load_ssh_configs": False})
    terminal = fabric.Connection(
        "host", user="nobody", config=settings, forward_agent=False, connect_timeout=1
    )
    # Connected already, so it never opens one of its own.
    terminal.transport = connection.transport
    # With a terminal there and none here, the end of standard input would never be told.
    result = terminal.run(command, pty=sys.stdin.isatty(), warn=True, hide=False)
    code: int = result.exited
    return code


def shell_command(app: str, directory: str) -> str:
    """The user's shell in the current release of an application, whose Python is first on PATH.

    For any login shell: all words of ours are in single quotes.
    """
    root = directory or ".weaver"
    script = (
        'cd "$1/apps/$2/current/." 2>/dev/null || '
        '{ printf "error: no release of %s is current on this host\\n  where: %s\\n'
        '  fix:   deploy it: weaver deploy --ssh HOSTS\\n" "$2" "$1/apps/$2/current" >&2; '
        "exit 1; }; "
        'PATH="$PWD/venv/bin:$PATH"; export PATH; '
        'exec "${SHELL:-/bin/sh}"'
    )
    return f"exec sh -c {shlex.quote(script)} sh {shlex.quote(root)} {shlex.quote(app)}"
