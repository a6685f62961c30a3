"""Which version a request gets, and which replica."""

from collections import Counter
from collections.abc import Callable, Collection

import pytest

from weaver.control.ingress import Backend, Pinning, Table, VersionShare
from weaver.ingress import pinning
from weaver.ingress.ejection import FIRST_PAUSE, LONGEST_PAUSE, Ejection
from weaver.ingress.fleet import Fleet
from weaver.ingress.replica import Lane, Replica, least_loaded
from weaver.ingress.routing import Choice, Router
from weaver.ingress.upstream import Pool

A, B = Backend("a", "unix:/a"), Backend("b", "unix:/b")
SECRET = b"secret"


def table(number: int = 1, pins: Pinning = Pinning(), **weights: int) -> Table:  # noqa: B008
    shares = tuple(VersionShare(name, weight, (A,)) for name, weight in weights.items())
    return Table(number, shares, pins)


def headers(**values: str) -> Callable[[str], str]:
    return lambda name: values.get(name.replace("-", "_").lower(), "")


def chosen(router: Router, client: str = "", **values: str) -> str:
    choice = router.choose(headers(**values), client)
    return choice.share.version if choice else ""


def test_weights_hold_exactly_over_every_hundred_requests() -> None:
    router = Router(table(old=90, new=10))
    for _ in range(10):
        assert Counter(chosen(router) for _ in range(100)) == {"old": 90, "new": 10}


def test_a_version_without_weight_gets_nothing() -> None:
    router = Router(table(old=1, new=0))
    assert {chosen(router) for _ in range(50)} == {"old"}
    assert Router(table(old=0)).choose(headers(), "") is None
    assert Router(table()).choose(headers(), "") is None


def test_a_new_table_counts_from_the_next_request_and_an_older_one_does_not() -> None:
    router = Router(table(2, old=1, new=0))
    assert not router.set_table(table(1, old=0, new=1))
    assert chosen(router) == "old"
    assert router.set_table(table(3, old=0, new=1))
    assert chosen(router) == "new"


def test_a_table_that_is_wrong_changes_nothing() -> None:
    router = Router(table(1, old=1))
    with pytest.raises(ValueError, match="negative"):
        router.set_table(table(2, old=-1))
    with pytest.raises(ValueError, match="nonsense"):
        router.set_table(table(2, Pinning(trusted=("nonsense",)), new=1))
    assert (chosen(router), router.table.number) == ("old", 1)


def test_a_header_pins_only_from_a_trusted_network() -> None:
    pins = Pinning(header="X-Version", trusted=("10.0.0.0/8", "fd00::/8"))
    router = Router(table(1, pins, old=1, new=0))
    assert chosen(router, "10.1.2.3", x_version="new") == "new"
    assert chosen(router, "fd00::1", x_version="new") == "new"
    assert chosen(router, "11.1.2.3", x_version="new") == "old"
    assert chosen(router, "", x_version="new") == "old"
    assert chosen(router, "10.1.2.3", x_version="gone") == "old"


def test_a_signed_cookie_keeps_a_client_in_its_version() -> None:
    pins = Pinning(cookie="v", secret=SECRET)
    router = Router(table(1, pins, old=1, new=1))
    cookie = f"a=b; v={pinning.value_of('new', pins)}; c=d"
    assert router.choose(headers(cookie=cookie), "") == Choice(router.table.shares[1], "cookie")
    assert {chosen(router, cookie=cookie) for _ in range(20)} == {"new"}
    router.set_table(table(2, pins, old=1, new=0))
    assert chosen(router, cookie=cookie) == "old"


@pytest.mark.parametrize("value", ["new.", "new", ".", "", "new.0123", "new.é", "new..", "=;="])
def test_a_cookie_with_a_wrong_signature_pins_nothing(value: str) -> None:
    router = Router(table(1, Pinning(cookie="v", secret=SECRET), old=1000, new=1))
    assert {chosen(router, cookie=f"v={value}") for _ in range(100)} == {"old"}
    forged = pinning.value_of("new", Pinning(cookie="v", secret=b"other"))
    assert chosen(router, cookie=f"v={forged}") == "old"


def test_without_a_secret_nothing_is_pinned() -> None:
    pins = Pinning(cookie="v")
    assert pinning.value_of("new", pins) == ""
    assert pinning.version_in("v=." + pinning.signature("", b""), pins) == ""


def test_equal_keys_meet_one_version_and_shifting_weight_moves_no_key_back() -> None:
    pins = Pinning(key="X-User")
    users = [f"user{i}" for i in range(1000)]
    before: set[str] = set()
    for weight in (0, 10, 50, 100):
        router = Router(table(1, pins, new=weight, old=100 - weight))
        now = {user for user in users if chosen(router, x_user=user) == "new"}
        assert before <= now
        assert abs(len(now) - 10 * weight) < 60
        before = now
    router = Router(table(1, Pinning(key="cookie:u"), old=50, new=50))
    assert len({chosen(router, cookie="u=ada") for _ in range(9)}) == 1


def test_the_replica_with_the_least_in_flight_is_taken_and_equal_ones_in_turn() -> None:
    a, b, c = replicas = tuple(Replica(Backend(name, name), Pool(name, 1)) for name in "abc")
    assert [least_loaded(replicas, turn) for turn in range(4)] == [a, b, c, a]
    assert least_loaded(replicas, 0, {"a", "b", "c"}) is None
    assert least_loaded((), 0) is None
    a.in_flight, b.in_flight, c.in_flight = 2, 1, 2
    assert least_loaded(replicas, 0) is b
    a.in_flight, b.in_flight, c.in_flight = 0, 5, 5
    assert least_loaded(replicas, 0, {"a"}) is b


def lane_of(table: Table, version: str) -> Lane:
    """A version of a table, as a worker has it."""
    return Fleet(1).use(table)[version]


def entered(lane: Lane, tried: Collection[str] = (), now: float = 0.0) -> str:
    """Where the next request goes; it ends there at once."""
    replica = lane.enter(now, tried)
    if replica is None:
        return ""
    lane.leave(replica, good=None)
    return replica.id


NEAR, FAR = (A, B), (Backend("far-1", "tls:10.0.0.2:1"), Backend("far-2", "tls:10.0.0.3:1"))


def test_replicas_of_other_hosts_get_requests_only_while_none_of_this_host_takes_any() -> None:
    lane = lane_of(Table(1, (VersionShare("v", 1, NEAR, FAR),)), "v")
    assert {entered(lane) for _ in range(8)} == {"a", "b"}
    lane.ejection.failed("a", 0.0, refused=True)
    assert {entered(lane) for _ in range(8)} == {"b"}
    lane.ejection.mute("b")
    assert {entered(lane) for _ in range(8)} == {"far-1", "far-2"}
    assert entered(lane, ("far-1",)) == "far-2"
    assert entered(lane, now=FIRST_PAUSE) == "a", "one request tries whether it is back"
    lane.ejection.succeeded("a")
    assert {entered(lane) for _ in range(8)} == {"a"}
    only = lane_of(Table(1, (VersionShare("v", 1, (), FAR),)), "v")
    assert {entered(only) for _ in range(8)} == {"far-1", "far-2"}


def test_a_request_that_two_replicas_here_have_refused_is_taken_to_another_host() -> None:
    three = (*NEAR, Backend("c", "unix:/c"))
    lane = lane_of(Table(1, (VersionShare("v", 1, three, FAR),)), "v")
    assert entered(lane, ("a",)) in {"b", "c"}
    assert entered(lane, ("a", "b")) in {"far-1", "far-2"}
    alone = lane_of(Table(1, (VersionShare("v", 1, three),)), "v")
    assert entered(alone, ("a", "b")) == "c"
    for backend in (*three, *FAR):
        lane.ejection.mute(backend.id)
    assert entered(lane), "rather one that has failed than none"
    assert entered(lane, [backend.id for backend in (*three, *FAR)]) == ""


def test_replicas_of_one_id_in_two_versions_fail_each_for_itself() -> None:
    shares = (VersionShare("old", 1, (A, B)), VersionShare("new", 1, (Backend("a", "unix:/n"),)))
    fleet = Fleet(1)
    lanes = fleet.use(Table(1, shares))
    lanes["new"].ejection.mute("a")
    assert {entered(lanes["old"]) for _ in range(4)} == {"a", "b"}
    fleet.use(Table(2, shares))
    assert lanes["new"].ejection.records
    fleet.use(Table(3, (shares[0], VersionShare("new", 1, (Backend("a", "unix:/again"),)))))
    assert not lanes["new"].ejection.records, "it has been started anew since"


def test_a_version_that_only_other_hosts_have_answers_for_one_without_replicas() -> None:
    shares = (VersionShare("new", 9), VersionShare("old", 1, (), FAR))
    lanes = Fleet(1).use(Table(1, shares))
    assert lanes["new"].fallback is lanes["old"]


AB = ("a", "b")


def test_a_replica_that_refuses_is_out_until_its_pause_is_over() -> None:
    ejection = Ejection()
    ejection.failed("a", 0.0, refused=True)
    assert list(ejection.out(AB, 0.01)) == ["a"]
    assert list(ejection.out(AB, FIRST_PAUSE)) == []
    ejection.tries("a", FIRST_PAUSE)
    assert list(ejection.out(AB, FIRST_PAUSE)) == ["a"], "one request at a time tries it"
    ejection.succeeded("a")
    assert list(ejection.out(AB, FIRST_PAUSE)) == []


def test_the_pause_doubles_up_to_its_limit() -> None:
    ejection, now = Ejection(), 0.0
    pauses: list[float] = []
    for _ in range(8):
        ejection.failed("a", now, refused=True)
        after = now
        while ejection.out(AB, after):
            after += 0.001
        pauses.append(round(after - now, 2))
        now = after
    assert pauses[:3] == [0.05, 0.1, 0.2]
    assert pauses[-1] == LONGEST_PAUSE


def test_one_failure_is_tolerated_and_two_in_a_row_are_not() -> None:
    ejection = Ejection()
    ejection.failed("a", 0.0, refused=False)
    assert list(ejection.out(AB, 0.0)) == []
    ejection.succeeded("a")
    ejection.failed("a", 0.0, refused=False)
    assert list(ejection.out(AB, 0.0)) == []
    ejection.failed("a", 0.0, refused=False)
    assert list(ejection.out(AB, 0.0)) == ["a"]


def test_the_last_replica_is_never_out() -> None:
    ejection = Ejection()
    for name, now in (("a", 0.0), ("b", 0.01)):
        ejection.failed(name, now, refused=True)
    assert list(ejection.out(("a",), 0.02)) == []
    assert list(ejection.out(AB, 0.02)) == ["b"]
    ejection.keep({"a"})
    assert list(ejection.out(AB, 0.02)) == ["a"]


def test_a_replica_that_answers_no_probe_is_out_until_it_does() -> None:
    ejection = Ejection()
    ejection.mute("a")
    assert list(ejection.out(AB, 1e9)) == ["a"]
    ejection.failed("a", 0.0, refused=True)
    assert list(ejection.out(AB, 1e9)) == ["a"], "a request of it that fails does not free it"
    ejection.mute("b")
    assert len(ejection.out(AB, 1e9)) == 1, "the last one is never out"
    ejection.succeeded("a")
    assert list(ejection.out(AB, 1e9)) == ["b"]


def test_weights_that_stay_keep_their_turn_when_replicas_come_and_go() -> None:
    router = Router(table(0, old=99, new=1))
    seen: Counter[str] = Counter()
    for number in range(1000):
        router.set_table(table(number, old=99, new=1))
        seen[chosen(router)] += 1
    assert seen == {"old": 990, "new": 10}
