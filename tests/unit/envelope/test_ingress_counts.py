from hypothesis import given
from hypothesis import strategies as st

from weaver.control.ingress import Counts, FailedRequest, VersionCounts
from weaver.envelope.ingress_counts import MOST_FAILURES, Evidence, add, ended

numbers = st.integers(0, 1000)
versions = st.builds(
    VersionCounts,
    st.sampled_from(["old", "new", "newer"]),
    numbers,
    numbers,
    numbers,
    numbers,
    st.lists(numbers, max_size=5).map(tuple),
)
counts = st.builds(
    Counts,
    numbers,
    numbers,
    numbers,
    st.lists(versions, max_size=3, unique_by=lambda v: v.version).map(tuple),
)


def totals(of: Counts) -> tuple[int, ...]:
    return (
        of.connections,
        of.refused,
        sum(v.requests for v in of.versions),
        sum(v.errors for v in of.versions),
        sum(v.aborted for v in of.versions),
        sum(v.in_flight for v in of.versions),
        sum(sum(v.histogram) for v in of.versions),
    )


@given(st.lists(counts, max_size=5))
def test_nothing_is_lost_in_a_sum(several: list[Counts]) -> None:
    summed = add(several)
    columns = [totals(each) for each in several]
    assert totals(summed) == tuple(map(sum, zip(*columns, strict=True))) if columns else True
    assert summed.number == min((each.number for each in several), default=0)
    assert len({v.version for v in summed.versions}) == len(summed.versions)


@given(counts, st.integers(0, 99))
def test_what_has_ended_has_nothing_in_flight_and_keeps_its_requests(
    last: Counts, number: int
) -> None:
    left = ended(last, number)
    assert left.number == number
    assert left.connections == 0
    assert totals(left)[2:5] == totals(last)[2:5]
    assert totals(left)[5] == 0


def test_the_slots_of_histograms_are_added_one_by_one() -> None:
    one = Counts(1, versions=(VersionCounts("v", histogram=(1, 2)),))
    other = Counts(1, versions=(VersionCounts("v", histogram=(10, 20, 30)),))
    assert add((one, other)).versions[0].histogram == (11, 22, 30)


def test_evidence_of_one_version_leaves_room_for_the_other() -> None:
    evidence = Evidence()
    evidence.add(FailedRequest("bad", float(i), "GET", "/") for i in range(10_000))
    evidence.add([FailedRequest("other", 0.0, "GET", "/")])
    taken = evidence.take()
    assert len(taken) == MOST_FAILURES + 1
    assert taken[0].time == 0.0
    assert evidence.take() == ()
