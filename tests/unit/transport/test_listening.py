import os
import re
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from weaver.errors import ListenerError
from weaver.transport.listening import address_of, bind
from weaver.transport.port_owner import describe_port_owner


def problem(address: str) -> ListenerError:
    with pytest.raises(ListenerError) as caught:
        bind(address).close()
    return caught.value


def test_a_tcp_socket_is_ready_for_a_server() -> None:
    with bind("127.0.0.1:0") as sock:
        assert sock.proto == socket.IPPROTO_TCP  # asyncio looks at this
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) != 0
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) == 0
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) != 0
        assert not sock.getblocking()
        assert not sock.get_inheritable()


def test_an_accepted_socket_has_tcp_nodelay_too() -> None:
    with bind("127.0.0.1:0") as sock:
        sock.setblocking(True)
        with socket.create_connection(sock.getsockname()):
            accepted, _ = sock.accept()
            with accepted:
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0


def test_port_zero_is_the_systems_choice_and_the_address_tells() -> None:
    with bind("127.0.0.1:0") as sock:
        address = address_of(sock)
        assert re.fullmatch(r"127\.0\.0\.1:[1-9]\d*", address)
    with bind(address) as again:  # the form that bind() takes, and free at once (SO_REUSEADDR)
        assert address_of(again) == address


def test_localhost_is_ipv4() -> None:
    with bind("localhost:0") as sock:
        assert address_of(sock).startswith("127.0.0.1:")


def test_ipv6_is_written_in_brackets() -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("this host has no IPv6")
    with bind("[::1]:0") as sock:
        assert address_of(sock).startswith("[::1]:")


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("8080", "no port"),
        (":8080", "no host"),
        ("127.0.0.1:", "not a port number"),
        ("127.0.0.1:http", "not a port number"),
        ("127.0.0.1:65536", "not a port number"),
        ("127.0.0.1:-1", "not a port number"),
        ("127.0.0.1:٨٠", "not a port number"),
        ("http://127.0.0.1:8080", "URL"),
        ("::1:8080", "brackets"),
        ("unix:", "no path"),
        ("", "no port"),
    ],
)
def test_bad_syntax_is_explained_with_examples(address: str, why: str) -> None:
    error = problem(address)
    assert f'"{address}"' in error.what
    assert why in error.why
    assert "127.0.0.1:8080" in error.fix


def test_an_unknown_host_is_named() -> None:
    error = problem("no-such-host.invalid:80")
    assert "no-such-host.invalid" in error.what
    assert error.fix


def test_an_address_of_another_host_is_refused() -> None:
    error = problem("192.0.2.1:8080")  # reserved for documentation
    assert "192.0.2.1:8080 is not an address of this host" in error.what
    assert "0.0.0.0" in error.fix


def test_a_port_in_use_by_this_process_says_so() -> None:
    with bind("127.0.0.1:0") as sock:
        error = problem(address_of(sock))
        assert error.what == f"{address_of(sock)} is in use"
        if sys.platform == "linux":
            assert error.why == "this process itself already listens there"


@pytest.mark.skipif(sys.platform != "linux", reason="the owner is read from /proc")
def test_a_port_in_use_names_the_process_that_holds_it() -> None:
    script = (
        "import socket, sys; s = socket.create_server(('127.0.0.1', 0));"
        "print(s.getsockname()[1], flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, "squatter"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        port = int(child.stdout.readline())
        error = problem(f"127.0.0.1:{port}")
        assert f"held by pid {child.pid} ({Path(sys.executable).name} -c " in error.why
        assert "choose another port" in error.fix
        child.communicate()


def test_an_owner_that_is_not_visible_is_no_error() -> None:
    assert "not visible" in describe_port_owner(0)


def lowest_free_port() -> int:
    try:
        return int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    except OSError:
        return 1024


@pytest.mark.skipif(lowest_free_port() < 1024, reason="this host lets every user bind all ports")
def test_a_port_below_1024_needs_permission() -> None:
    reader, writer = os.pipe()
    child = os.fork()  # a process of its own, because it gives up the administrator's rights
    if child == 0:
        if os.geteuid() == 0:
            os.setuid(65534)
        try:
            bind("127.0.0.1:80")
        except ListenerError as error:
            os.write(writer, str(error).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        message = told.read()
    os.waitpid(child, 0)
    assert "no permission to listen on 127.0.0.1:80" in message
    assert "choose a port of 1024 or above" in message


def test_a_unix_socket_is_private(tmp_path: Path) -> None:
    path = tmp_path / "web.sock"
    with bind(f"unix:{path}") as sock:
        assert address_of(sock) == f"unix:{path}"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))


def test_a_stale_unix_socket_is_replaced_and_a_live_one_is_not(tmp_path: Path) -> None:
    address = f"unix:{tmp_path / 'web.sock'}"
    bind(address).close()  # leaves its file behind
    with bind(address):
        error = problem(address)
        assert "in use" in error.what
        assert "listening" in error.why


def test_a_file_that_is_no_socket_is_never_removed(tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("data")
    assert "not a socket" in problem(f"unix:{path}").why
    assert path.read_text() == "data"


@pytest.mark.parametrize("name", ["missing/web.sock", "x" * 200])
def test_an_impossible_unix_path_is_explained(tmp_path: Path, name: str) -> None:
    error = problem(f"unix:{tmp_path / name}")
    assert "cannot listen" in error.what
    assert error.why
    assert error.fix
