"""What an ingress worker is told, and what it reports. Tagged maps as in `weaver.control.messages`.

Decides the vocabulary. It must not know how a version is chosen, nor who decides the weights.
"""

import msgspec

from weaver.control.certificates import Certificates
from weaver.control.message import Fault, Message


class Backend(msgspec.Struct, frozen=True):
    """One replica that serves the listener, at "unix:/path", "host:port" or "tls:host:port".

    At "tls:" both sides show certificates of the version: see `Identities`.
    """

    id: str
    address: str


class VersionShare(msgspec.Struct, frozen=True, omit_defaults=True):
    """One version: its share of the requests is `weight` of the sum of all weights.

    `beyond` are replicas on other hosts, which get requests while none of `backends` takes them.
    """

    version: str
    weight: int
    backends: tuple[Backend, ...] = ()
    beyond: tuple[Backend, ...] = ()


class Pinning(msgspec.Struct, frozen=True, omit_defaults=True):
    """What overrides the weights; each is off while its name is empty.

    `cookie` names a cookie, signed with `secret`, that keeps a client in the version it was given.
    `header` names a request header by which a client in one of the `trusted` networks (CIDR)
    chooses its version. `key` names a header, or as "cookie:NAME" a cookie, whose value decides:
    equal values meet one version while the weights stay.
    """

    cookie: str = ""
    secret: bytes = b""
    header: str = ""
    key: str = ""
    trusted: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """All but the secret: tables and orders of traffic are shown in messages."""
        shown = (self.cookie, self.header, self.key, self.trusted)
        return "Pinning(cookie={!r}, header={!r}, key={!r}, trusted={!r})".format(*shown)


class Table(Message, frozen=True):
    """Where requests go, from the next one on. An older `number` than the last is ignored."""

    number: int
    shares: tuple[VersionShare, ...] = ()
    pinning: Pinning = Pinning()


class Identities(Message, frozen=True):
    """What is shown to replicas on other hosts, and what they have to show, by version.

    It holds keys: it travels on sockets only. Without one, a version is reached on this host alone.
    """

    versions: dict[str, Certificates]


class Drain(Message, frozen=True):
    """Stop accepting, finish what is in flight within `seconds`, and end.

    Tunnels (WebSockets) have `tunnels` seconds. `others`: other processes accept on these sockets,
    and go on with connections that wait there or are idle.
    """

    seconds: float = 30.0
    tunnels: float = 600.0
    others: bool = True


class Report(Message, frozen=True):
    """Ask for `Counts` now."""


class ReloadCertificate(Message, frozen=True):
    """Read certificate and key of TLS again, for connections from now on."""


class VersionCounts(msgspec.Struct, frozen=True):
    """Requests of one version, since the worker started.

    `errors` are answers of 500 and above and requests that failed; `aborted` those that the client
    gave up. `histogram` is that of `weaver.telemetry.histogram`, from a request's head to the last
    byte of its answer; tunnels are not in it.
    """

    version: str
    requests: int = 0
    errors: int = 0
    aborted: int = 0
    in_flight: int = 0
    histogram: tuple[int, ...] = ()


class FailedRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """One request that failed, or was answered with 500 or above: evidence against a version.

    `time` in seconds since the epoch, `status` 0 for no answer; `path` is without its query.
    """

    version: str
    time: float
    method: str
    path: str
    status: int = 0
    backend: str = ""
    why: str = ""


class Counts(Message, frozen=True):
    """What a worker has counted under the table `number`."""

    number: int
    connections: int = 0
    refused: int = 0
    versions: tuple[VersionCounts, ...] = ()


class Failures(Message, frozen=True):
    """Requests that failed since the last time; of many, the first ones."""

    requests: tuple[FailedRequest, ...]


class Serving(Message, frozen=True):
    """The worker accepts connections."""

    pid: int


class NotTaken(Message, frozen=True):
    """What was sent is of no use; the worker goes on as before."""

    fault: Fault


class Quiet(Message, frozen=True):
    """While draining: no request is in flight any more, and none will come; tunnels may be."""


class Drained(Message, frozen=True):
    """Nothing is in flight any more; the worker ends. `cut` connections were closed early."""

    cut: int = 0


ToIngress = Table | Identities | Drain | Report | ReloadCertificate
FromIngress = Serving | Counts | Failures | Quiet | Drained | NotTaken
