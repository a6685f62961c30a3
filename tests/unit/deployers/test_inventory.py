"""What the lines of a hosts.txt mean, and what is said of those that mean nothing."""

import msgspec
import pytest

from weaver.deployers.ssh.inventory import Host, limited, parse, parse_inline
from weaver.errors import ConfigError

FULL = """\
# the machines of the shop
web.example.com

[front]   # in front
deploy@web[01:03].example.com:2222 labels=big,ssd slots=4
web.example.com

[data]
root@[::1]:22 address=10.0.0.7 jump=ops@gate:2200,inner
2001:db8::5 dir="/srv/my weaver" python=~/.pyenv/bin/python3
10.0.0.9 python=python3.12
"""


def names(text: str) -> list[str]:
    return [host.name for host in parse(text, "hosts.txt")]


def problems(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse(text, "hosts.txt")
    return [f"{p.where}: {p.what}" for p in caught.value.problems]


def problem(text: str) -> str:
    """The one fault of a line, whole."""
    with pytest.raises(ConfigError) as caught:
        parse(text, "hosts.txt")
    assert len(caught.value.problems) == 1
    return str(caught.value)


def test_a_file_with_everything_in_it() -> None:
    hosts = {host.name: host for host in parse(FULL, "hosts.txt")}
    assert list(hosts) == [
        "web.example.com",
        "web01.example.com:2222",
        "web02.example.com:2222",
        "web03.example.com:2222",
        "[::1]:22",
        "2001:db8::5",
        "10.0.0.9",
    ]
    assert hosts["web02.example.com:2222"] == Host(
        name="web02.example.com:2222",
        host="web02.example.com",
        user="deploy",
        port=2222,
        groups=("front",),
        labels=("big", "ssd"),
        slots=4,
        where="hosts.txt:5",
    )
    assert hosts["web.example.com"].groups == ("front",)
    assert hosts["[::1]:22"] == Host(
        name="[::1]:22",
        host="::1",
        user="root",
        port=22,
        groups=("data",),
        address="10.0.0.7",
        jump="ops@gate:2200,inner",
        where="hosts.txt:9",
    )
    assert hosts["2001:db8::5"].directory == "/srv/my weaver"
    assert hosts["2001:db8::5"].python == "~/.pyenv/bin/python3"
    assert hosts["10.0.0.9"].python == "python3.12"


def test_hosts_can_be_sent_to_the_manager() -> None:
    hosts = parse(FULL, "hosts.txt")
    sent = msgspec.msgpack.encode(hosts)
    assert msgspec.msgpack.decode(sent, type=tuple[Host, ...]) == hosts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web[1:3]", ["web1", "web2", "web3"]),
        ("web[08:10]", ["web08", "web09", "web10"]),
        ("r[1:2]n[1:2].net", ["r1n1.net", "r1n2.net", "r2n1.net", "r2n2.net"]),
        ("[01:02]", ["01", "02"]),
        ("web[1:2]:22", ["web1:22", "web2:22"]),
        ("web[5:5]", ["web5"]),
    ],
)
def test_ranges(text: str, expected: list[str]) -> None:
    assert names(text) == expected


@pytest.mark.parametrize("text", ["::1", "[::1]", "0:0:0:0:0:0:0:1"])
def test_an_ipv6_address_has_one_form(text: str) -> None:
    assert parse(text, "hosts.txt")[0].host == "::1"


def test_one_machine_may_be_several_hosts_by_their_ports() -> None:
    assert names("localhost:2201\nlocalhost:2202\n") == ["localhost:2201", "localhost:2202"]


def test_comments_and_quotes() -> None:
    (host,) = parse("web dir='/a #b' labels=x # not labels=y", "hosts.txt")
    assert (host.directory, host.labels) == ("/a #b", ("x",))


@pytest.mark.parametrize(
    ("line", "what", "fix"),
    [
        ("web lables=big", 'no key "lables"', 'did you mean "labels"?'),
        ("web big", '"big" is no key=value', "its own line"),
        ("web labels=", '"labels" has no value', "remove it"),
        ("web labels=a,,b", '"" cannot be a label', "labels=big,ssd"),
        ("web slots=0", 'slots="0"', "slots=8"),
        ("web slots=many", 'slots="many"', "slots=8"),
        ("web slots=1 slots=2", '"slots" is given twice', "remove one"),
        ("web dir=weaver", '"weaver" is not an absolute path', "begin it with / or ~/"),
        ("web address=0.0.0.0", "stands for every address", "the one address"),
        ("web address=[::]", "stands for every address", "the one address"),
        ("web address=10.0.0.1:80", "no IPv6 address", ""),
        ("web address=a/b", "cannot be an address that peers dial", "without a port"),
        ("web jump=-oProxyCommand=x", "cannot be a host", ""),
        ("web:0", '"0" is no port', "from 1 to 65535"),
        ("web:65536", '"65536" is no port', "from 1 to 65535"),
        ("web:", '"" is no port', "from 1 to 65535"),
        ("web:ssh", '"ssh" is no port', "from 1 to 65535"),
        ("web:" + "9" * 5000, "is no port", ""),
        ("[::1]:x", '"x" is no port', ""),
        ("[::g]", '"::g" is no IPv6 address', ""),
        ("-oProxyCommand=evil", "not with", "write: host key=value"),
        ("-web", "cannot be a host", ""),
        ("a@b@c", "cannot be a user", "user@host"),
        ("@web", "cannot be a user", "user@host"),
        ("-l@web", "cannot be a user", "user@host"),
        ("slots=3", "a line begins with a host", ""),
        ("web[3:1]", "ends before it begins", "[1:3]"),
        ("web[1:99999]", "stands for 99999 hosts", "smaller"),
        ("'web", "a quote is not closed", ""),
        ("web dir='/a", "a quote is not closed", ""),
        ("[front] web", "nothing may follow [front]", "its own line"),
        ("[my front]", 'the brackets of "[my" are not closed', "without spaces"),
        ("[1front]", "cannot be the name of a group", "begin with a letter"),
        ("[front:children]", "[front:children] is not known here", "under each of their groups"),
    ],
)
def test_a_line_that_means_nothing(line: str, what: str, fix: str) -> None:
    text = problem(f"good\n{line}\n")
    assert what in text
    assert "where: hosts.txt:2" in text
    assert fix in text


def test_all_faults_are_told_at_once() -> None:
    assert problems("web:0\nok\nweb lables=a\n") == [
        'hosts.txt:1: "0" is no port in "web:0"',
        'hosts.txt:3: there is no key "lables" of a host',
    ]


def test_a_host_is_listed_once_in_a_group() -> None:
    assert problems("web\nweb\n") == ["hosts.txt:2: web is listed twice: see hosts.txt:1"]
    assert problems("[a]\nweb[1:3]\nroot@web2\n") == [
        "hosts.txt:3: web2 is listed twice: see hosts.txt:2"
    ]


def test_a_host_of_several_groups_is_described_once() -> None:
    (host,) = parse("[a]\nroot@web slots=2\n[b]\nweb\n[c]\nroot@web\n", "hosts.txt")
    assert host.groups == ("a", "b", "c")
    assert problems("[a]\nweb\n[b]\nweb slots=2\n") == [
        "hosts.txt:4: web is described twice: see hosts.txt:2"
    ]


def test_a_file_without_hosts_is_a_fault() -> None:
    assert "there are no hosts" in problem("# nothing\n\n[front]\n")


def test_hosts_on_the_command_line() -> None:
    hosts = parse_inline("web, root@db:22,,r[1:2]")
    assert [host.name for host in hosts] == ["web", "db:22", "r1", "r2"]
    assert hosts[0].where == "--ssh"
    with pytest.raises(ConfigError, match="is no port"):
        parse_inline("web:x")


def test_a_limit_names_groups_and_hosts() -> None:
    hosts = parse(FULL, "hosts.txt")
    assert [host.name for host in limited(hosts, ["data", "web.example.com"])] == [
        "web.example.com",
        "[::1]:22",
        "2001:db8::5",
        "10.0.0.9",
    ]
    with pytest.raises(ConfigError, match='no host or group "fornt"') as caught:
        limited(hosts, ["fornt"])
    assert 'did you mean "front"?' in str(caught.value)


@pytest.mark.parametrize("line", ["[big one]", "[grp", "web[01:20", "[::1:22"])
def test_brackets_that_are_not_closed_are_called_so(line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(f"web1\n{line}\n", "hosts.txt")
    [problem] = caught.value.problems
    assert problem.where == "hosts.txt:2"
    assert "are not closed" in problem.what
    assert "write [group], a name without spaces" in problem.fix
