"""What HAProxy is told: colours, maps, servers; and what is read from its counters."""

import pytest

from weaver.control.ingress import Backend, Pinning, Table, VersionShare
from weaver.ingress import pinning
from weaver.ingress.haproxy_plan import (
    Sums,
    additions,
    map_changes,
    server_name,
    want,
)
from weaver.ingress.haproxy_socket import Figures, parse_figures

A, B = Backend("web/0", "unix:/run/a"), Backend("web/1", "10.0.0.1:80")


def table(pins: Pinning = Pinning(), **weights: int) -> Table:  # noqa: B008
    return Table(1, tuple(VersionShare(v, w, (A, B)) for v, w in weights.items()), pins)


def test_a_version_keeps_its_colour_and_the_next_one_gets_the_other() -> None:
    first = want(table(v1=1), {})
    assert first.versions == {"blue": "v1"}
    both = want(table(v1=3, v2=1), first.pins)
    assert both.versions == {"blue": "v1", "green": "v2"}
    assert both.weights == {"green": "2500"}
    alone = want(table(v2=1), both.pins)
    assert (alone.versions, alone.weights) == ({"green": "v2"}, {"green": "10000"})
    third = want(table(v3=1, v2=1), alone.pins)
    assert third.versions == {"green": "v2", "blue": "v3"}


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="3 versions"):
        want(table(v1=1, v2=1, v3=1), {})
    with pytest.raises(ValueError, match="negative"):
        want(table(v1=-1), {})
    assert want(table(v1=0), {}).weights == {"green": "0"}
    assert want(table(), {"version:blue": "gone"}).pins == {}


def test_pins_are_entries_of_a_map_and_only_for_versions_that_may_be_asked_for() -> None:
    pins = Pinning(cookie="c", secret=b"s", header="X")
    found = want(table(pins, v1=1, v2=0), {}).pins
    cookie = pinning.value_of("v1", pins)
    assert found == {
        "version:blue": "v1",
        "version:green": "v2",
        "v1": "blue",
        "v2": "green",
        cookie: "blue",
        "cookie:blue": cookie,
    }


def test_a_map_is_changed_by_as_little_as_possible() -> None:
    have, wanted = {"a": "1", "b": "2", "c": "3"}, {"b": "2", "c": "4", "d": "5"}
    assert map_changes("/m", have, wanted) == [
        "add map /m d 5",
        "set map /m c 4",
        "del map /m a",
    ]
    assert map_changes("/m", have, have) == []


def test_servers_are_added_by_names_that_haproxy_takes() -> None:
    names = {server_name(each): each for each in (A, B)}
    assert all(name.replace("-", "").isalnum() for name in names)
    commands = additions("weaver_blue", [server_name(A)], names)
    assert len(commands) == 3
    assert commands[0].startswith(f"add server weaver_blue/{server_name(B)} 10.0.0.1:80 check")
    assert " unix@/run/a " in additions("x", [], names)[0] + additions("x", [], names)[3]
    assert server_name(A) != server_name(Backend("web/0", "unix:/run/other"))


def figures(requests: int, errors: int = 0, server: str = "", ms: int = 3) -> Figures:
    return Figures("b", server, requests=requests, errors=errors, in_flight=1, milliseconds=ms)


def test_counts_begin_with_the_first_reading_and_go_to_the_version_of_the_moment() -> None:
    sums = Sums()
    sums.read([figures(1000, 10)], {"b": "v1"}, 0.0)
    assert sums.versions() == ()
    sums.read([figures(1010, 11), figures(10, 1, "s")], {"b": "v1"}, 5.0)
    sums.read([figures(1030, 11)], {"b": "v2"}, 6.0)
    first, second = sums.versions()
    assert (first.version, first.requests, first.errors) == ("v1", 10, 1)
    assert (second.version, second.requests, second.errors) == ("v2", 20, 0)
    assert sum(first.histogram) == 10
    (failure,) = sums.take_failures()
    assert (failure.version, failure.time, failure.backend) == ("v1", 5.0, "s")
    assert sums.take_failures() == ()


def test_a_haproxy_that_began_anew_counts_from_nothing() -> None:
    sums = Sums()
    for requests in (1000, 1010, 5):
        sums.read([figures(requests)], {"b": "v1"}, 0.0)
    assert sums.versions()[0].requests == 15


def test_the_columns_of_show_stat_are_found_by_name() -> None:
    text = (
        "# pxname,svname,scur,stot,hrsp_5xx,req_tot,cli_abrt,ttime,addr,\n"
        "www,FRONTEND,1,2,3,4,5,,,\n"
        "b,s,1,2,3,,5,6,/run/a,\n"
        "b,BACKEND,1,2,3,4,5,6,,\n"
    )
    server, backend = parse_figures(text)
    assert server == Figures("b", "s", "/run/a", 2, 3, 5, 1, 6)
    assert backend == Figures("b", "", "", 4, 3, 5, 1, 6)
