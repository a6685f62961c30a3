"""Where replicas go: nothing is refused that there is room for, and they are spread."""

import collections

from hypothesis import given, settings
from hypothesis import strategies as st

from weaver.manager.hosts import HostSpec, Places, Slot, allowed, selectors, shortage
from weaver.manager.placement import Group

LABELS = ("a", "b", "c")
hosts = st.dictionaries(
    st.sampled_from([f"h{n}" for n in range(6)]),
    st.builds(
        HostSpec,
        labels=st.lists(st.sampled_from(LABELS), max_size=2, unique=True).map(tuple),
        slots=st.one_of(st.none(), st.integers(0, 3)),
    ),
    min_size=1,
)
groups = st.dictionaries(
    st.sampled_from(["web", "cart", "mail", "stock"]),
    st.tuples(
        st.lists(st.sampled_from([f"tag:{label}" for label in LABELS]), max_size=2).map(tuple),
        st.integers(0, 5),
    ),
    min_size=1,
)


def made(chosen: dict[str, tuple[tuple[str, ...], int]]) -> dict[str, Group]:
    return {
        name: Group(components=(name,), replicas=count, hosts=names)
        for name, (names, count) in chosen.items()
    }


def fits(found: dict[str, Group], there: dict[str, HostSpec]) -> bool:
    """By Hall's theorem: every set of groups fits into the hosts that they may run on."""
    names = list(found)
    for chosen in range(1, 2 ** len(names)):
        some = [name for bit, name in enumerate(names) if chosen >> bit & 1]
        where = {host for name in some for host in allowed(found[name], there)}
        wanted = sum(found[name].replicas for name in some)
        room = sum(100 if there[h].slots is None else there[h].slots or 0 for h in where)
        if wanted > room:
            return False
    return True


@settings(max_examples=300)
@given(hosts, groups)
def test_there_is_a_shortage_exactly_if_no_placement_exists(
    there: dict[str, HostSpec], chosen: dict[str, tuple[tuple[str, ...], int]]
) -> None:
    found = made(chosen)
    fault = shortage(found, there, {name: group.replicas for name, group in found.items()})
    assert (fault is None) == fits(found, there)
    if fault is not None:
        assert fault.what.startswith("group ")
        assert fault.fix


@settings(max_examples=300)
@given(hosts, groups, st.data())
def test_slots_and_selectors_are_honoured_and_what_has_a_place_keeps_it(
    there: dict[str, HostSpec], chosen: dict[str, tuple[tuple[str, ...], int]], data: st.DataObject
) -> None:
    found = made(chosen)
    asked = [name for name, group in found.items() for _ in range(group.replicas)]
    first = [slot for slot in Places(found, there, ()).find(asked) if slot is not None]
    taken = data.draw(st.lists(st.sampled_from(first), unique=True)) if first else []
    closed = data.draw(st.sets(st.sampled_from(sorted(there))))
    second = Places(found, there, taken, closed).find(asked)
    assert [slot.group for slot in second if slot] == [
        name for name, slot in zip(asked, second, strict=True) if slot
    ]
    load = collections.Counter(slot.host for slot in [*taken, *second] if slot is not None)
    for slot in second:
        if slot is not None:
            assert slot.host in allowed(found[slot.group], there)
            assert slot.host not in closed
    for host, spec in there.items():
        if spec.slots is not None and host not in closed:
            assert load[host] <= spec.slots


@given(st.integers(1, 5), st.integers(0, 12))
def test_replicas_of_a_group_are_on_different_hosts_as_far_as_there_are_some(
    count: int, replicas: int
) -> None:
    there = {f"h{n}": HostSpec() for n in range(count)}
    found = {"web": Group(components=("Web",)), "cart": Group(components=("Cart",))}
    places = Places(found, there, ()).find(["web"] * replicas + ["cart"] * replicas)
    for name in found:
        per_host = collections.Counter(s.host for s in places if s is not None and s.group == name)
        spread = [per_host[host] for host in there]
        assert max(spread) - min(spread) <= 1
    total = collections.Counter(s.host for s in places if s is not None)
    assert max(total.values(), default=0) - min((total[h] for h in there), default=0) <= 1


def test_one_that_can_go_elsewhere_makes_room() -> None:
    there = {"h1": HostSpec(labels=("big",), slots=1), "h2": HostSpec(slots=1)}
    found = {"any": Group(components=("A",)), "big": Group(components=("B",), hosts=("tag:big",))}
    assert Places(found, there, ()).find(["any", "big"]) == [Slot("any", "h2"), Slot("big", "h1")]
    assert Places(found, there, [Slot("any", "h1")]).find(["big"]) == [None]


def test_hosts_are_selected_by_name_group_and_tag() -> None:
    there = {
        "h1": HostSpec(labels=("big",), groups=("web",)),
        "h2": HostSpec(labels=("zone=a",), groups=("web", "db")),
    }
    assert selectors(there) == ["h1", "web", "tag:big", "h2", "db", "tag:zone=a"]
    for written, expected in {
        ("h2",): ["h2"],
        ("web",): ["h1", "h2"],
        ("db", "tag:big"): ["h1", "h2"],
        ("tag:zone=a",): ["h2"],
        ("big",): [],
        (): ["h1", "h2"],
    }.items():
        assert allowed(Group(components=(), hosts=written), there) == expected
