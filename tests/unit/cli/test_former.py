"""What runs here already, as an envelope recalls it: may another version be deployed beside it?"""

import socket
import tempfile
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from weaver.cli.former import formers_here, refuse_keeping
from weaver.control.messages import Application
from weaver.control.stream import Codec, Receiver, encode
from weaver.control.succession import Memo, Recall
from weaver.deployers import registry
from weaver.deployers.estate import Estate, encode_estate
from weaver.deployers.multiprocess import HOST
from weaver.errors import UsageError
from weaver.manager.hosts import HostSpec
from weaver.manager.placement import Group
from weaver.manager.state import Desired, Spec


@contextmanager
def envelope(path: Path, memo: Memo) -> Generator[None]:
    """An envelope's control socket that answers the first one who recalls."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(path))
        server.listen()
        server.settimeout(30)

        def answer() -> None:
            client, _ = server.accept()
            with client:
                receiver: Receiver[Any] = Receiver(Codec(Recall))
                assert list(receiver.feed(client.recv(65536))) == [Recall()]
                client.sendall(encode(memo))

        thread = threading.Thread(target=answer, name="weaver-fake-envelope")
        thread.start()
        yield
        thread.join(30)


def estate(listeners: dict[str, str]) -> Estate:
    application = Application("shop", "a" * 64, "d1", "shop:Web")
    group = Group(components=("shop.Web",), entry="shop.Web", listeners=listeners)
    spec = Spec(application=application, groups={"web": group}, hosts={HOST: HostSpec()})
    return Estate(spec=spec, desired=Desired(), epoch=1)


@pytest.fixture(autouse=True)
def sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with tempfile.TemporaryDirectory(prefix="weaver-") as folder:  # paths of sockets are short
        path = Path(folder) / "m1.sock"
        registry.write(
            registry.Record(
                app="shop", deployment="d1", version="a" * 64, pid=0, socket=str(path), started=1.0
            )
        )
        yield Path(folder)


def test_a_version_of_an_older_weaver_has_to_be_stopped_before_the_next_is_deployed(
    sockets: Path,
) -> None:
    memo = Memo("d1", 1, encode_estate(estate({"http": "127.0.0.1:8080"})))
    with envelope(sockets / f"{HOST}.sock", memo):
        formers = formers_here("shop")
    with pytest.raises(UsageError) as refused:
        refuse_keeping(formers)
    assert "shop aaaaaaaaaaaa cannot hand its listeners over" in refused.value.what
    assert "older weaver" in refused.value.why
    assert "weaver stop shop" in refused.value.fix
    assert not registry.records("shop")[0].ended


@pytest.mark.parametrize(
    ("hands_over", "listeners"),
    [(True, {"http": "127.0.0.1:8080"}), (False, {})],
    ids=["it hands them over", "it has none"],
)
def test_other_versions_may_be_deployed_beside_it(
    sockets: Path, hands_over: bool, listeners: dict[str, str]
) -> None:
    memo = Memo("d1", 1, encode_estate(estate(listeners)), hands_over=hands_over)
    with envelope(sockets / f"{HOST}.sock", memo):
        formers = formers_here("shop")
    assert len(formers) == 1
    refuse_keeping(formers)
