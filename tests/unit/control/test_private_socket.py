from hypothesis import given
from hypothesis import strategies as st

from weaver.control.private_socket import private_name

names = st.text(min_size=1)


@given(names, st.integers(1, 10**9), names)
def test_the_name_is_short_and_a_name_of_a_socket(replica: str, number: int, listener: str) -> None:
    name = private_name(replica, number, listener)
    assert len(name.encode()) == 20
    assert name.endswith(".sock")
    assert "/" not in name


def test_incarnations_and_listeners_have_names_of_their_own() -> None:
    found = {
        private_name(replica, number, listener)
        for replica in ("web-1", "web-2")
        for number in (1, 2)
        for listener in ("http", "admin")
    }
    assert len(found) == 8
    assert private_name("web-1", 1, "http") == private_name("web-1", 1, "http")
