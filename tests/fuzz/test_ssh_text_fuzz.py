"""Text that users and other programs write: it is understood or refused, and nothing else."""

import contextlib

from hypothesis import given
from hypothesis import strategies as st

from weaver.deployers.ssh.inventory import Host, limited, parse, parse_inline
from weaver.deployers.ssh.known_hosts import Key, KnownHosts
from weaver.deployers.ssh.known_hosts import parse as parse_known
from weaver.errors import ConfigError

PIECES = st.sampled_from(
    [
        *"[]@:=#\"', \n\t-_.~/|*?!\\%",
        "web",
        "root",
        "[1:3]",
        "::1",
        "22",
        "99999",
        "slots",
        "labels",
    ]
)
NEAR = st.lists(PIECES, max_size=40).map("".join)
TEXT = NEAR | st.text(max_size=200)
KNOWN = st.sampled_from(["web", "ssh-ed25519", "AAAA", "|1|", "@revoked", "@cert-authority"])
KEY = Key("ssh-ed25519", b"key")


@given(TEXT)
def test_a_list_of_hosts_is_read_or_refused_by_line(text: str) -> None:
    hosts: tuple[Host, ...] = ()
    refused: ConfigError | None = None
    try:
        hosts = parse(text, "hosts.txt")
    except ConfigError as error:
        refused = error
    if refused is not None:
        assert all(problem.where.startswith("hosts.txt") for problem in refused.problems)
        return
    assert hosts
    assert len({host.name for host in hosts}) == len(hosts)
    for host in hosts:
        assert not host.host.startswith("-")
        assert not host.user.startswith("-")
        assert host.port is None or 0 < host.port < 65536
    assert limited(hosts, [hosts[0].name])[0] == hosts[0]


@given(TEXT)
def test_hosts_of_the_command_line_are_read_or_refused(text: str) -> None:
    with contextlib.suppress(ConfigError):
        assert all(isinstance(host, Host) for host in parse_inline(text))


@given(st.lists(PIECES | KNOWN, max_size=40).map("".join) | st.text(max_size=200), TEXT)
def test_known_hosts_never_fail(text: str, name: str) -> None:
    known = KnownHosts(parse_known(text, "kh"), name, 22)
    assert known.judge(KEY) in {"known", "unknown", "changed", "revoked"}
    mine = KnownHosts(parse_known(f"{text}\nweb {KEY}\n", "kh"), "web", 22)
    assert mine.judge(KEY) in {"known", "revoked"}
