"""Ask a host everything in one round trip: a program for its sh goes there, its answer comes back.

Decides how the program is sent. What the answer means is `facts`'.
"""

import json
import shlex
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from weaver.deployers.ssh.inventory import Host
from weaver.deployers.ssh.preflight.facts import Facts, Moment, read_facts
from weaver.deployers.ssh.remote import Remote
from weaver.errors import WeaverError

DIRECTORY: Final = "~/.weaver"
_HERE: Final = Path(__file__).parent


class Listener(NamedTuple):
    """An address that users will reach; port 0 is any."""

    name: str
    host: str
    port: int


def probe(
    remote: Remote,
    host: Host,
    listeners: Iterable[Listener],
    *,
    timeout: float,
    clock: Callable[[], float] = time.time,
    meeting: Mapping[str, object] | None = None,
) -> Facts:
    """What is so on a host; `timeout` is in seconds. Nothing is changed there.

    `meeting` is what peers.py asks it about other hosts. Raises Unreachable, or WeaverError if the
    host cannot be examined.
    """
    program = program_for(host, listeners, meeting)
    sent = clock()
    # Whatever the login shell is, it can start sh, which reads the program from its input.
    done = remote.run("sh -s", stdin=program.encode(), timeout=timeout)
    moment = Moment(sent, clock())
    try:
        return read_facts(done.stdout.decode(errors="replace"), moment)
    except WeaverError as error:
        said = done.stderr.decode(errors="replace").strip().splitlines()[-3:]
        if said or done.exit_code:
            error.why += f" (exit code {done.exit_code}) " + "\n".join(said)
        raise


def program_for(
    host: Host, listeners: Iterable[Listener], meeting: Mapping[str, object] | None = None
) -> str:
    """The program for a host's sh."""
    assigned = {
        "directory": host.directory or DIRECTORY,
        "python": host.python,
        "question": json.dumps({"listeners": [list(each) for each in listeners]}),
        "facts": (_HERE / "host_facts.py").read_text(encoding="utf-8"),
        "meeting": json.dumps(meeting) if meeting else "",
        "peers": (_HERE / "peer_program.py").read_text(encoding="utf-8") if meeting else "",
    }
    text = (_HERE / "probe.sh").read_text(encoding="utf-8")
    settings = "".join(f"{name}={shlex.quote(value)}\n" for name, value in assigned.items())
    return f"{settings}{text}\nmain </dev/null\n"
