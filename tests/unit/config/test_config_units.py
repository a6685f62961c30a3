"""Durations, sizes, shares and the texts that have a form."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaver.config.units import Duration, Percent, Size
from weaver.config.words import Address, ManagerLost, Name, Target


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("250ms", 0.25),
        ("30s", 30),
        ("1.5s", 1.5),
        ("10m", 600),
        ("1h", 3600),
        ("2d", 172800),
        (" 5 s ", 5),
        ("1_000s", 1000),
        (7, 7),
        (0.5, 0.5),
        (0, 0),
    ],
)
def test_duration_is_read_in_seconds(written: object, seconds: float) -> None:
    assert Duration.parse(written) == seconds


@pytest.mark.parametrize(
    ("written", "size"),
    [("64MiB", 64 * 1024**2), ("1GB", 10**9), ("2kB", 2000), ("1.5KiB", 1536), ("7B", 7), (9, 9)],
)
def test_size_is_read_in_bytes(written: object, size: int) -> None:
    assert Size.parse(written) == size


@pytest.mark.parametrize(
    ("written", "share"), [("5%", 0.05), ("100%", 1), ("0.5%", 0.005), (0.7, 0.7), (1, 1), (0, 0)]
)
def test_share_is_read_from_zero_to_one(written: object, share: float) -> None:
    assert Percent.parse(written) == share


BAD: list[tuple[Callable[[object], object], str, list[object]]] = [
    (
        Duration.parse,
        '"30s"',
        ["", "s", "-1s", "5", "5 weeks", True, None, [], -1, float("nan"), float("inf")],
    ),
    (Size.parse, '"64MiB"', ["64", "64Mb", -1, 1.5, "0.5B", False]),
    (Percent.parse, '"5%"', ["5", "101%", 5, -0.1, "x%", True]),
    (
        Address.parse,
        '"127.0.0.1:8080"',
        ["8080", ":80", "http://a:80", "a:b", "::1:80", "a:99999", "unix:", 80],
    ),
    (Name.parse, "letters", ["", "a b", "-a", "a/b", "x" * 64, 5]),
    (Target.parse, "shop.web:Web", ["shop.web", "a:", ":B", "a b:C", "1:A"]),
    (
        ManagerLost.parse,
        '"stop after 10m"',
        ["stop", "stop after ", "go on", "x stop after 1m", 5],
    ),
    (ManagerLost.parse, '"30s"', ["stop after ages"]),
]


@pytest.mark.parametrize(
    ("parse", "written", "named"),
    [(parse, written, named) for parse, named, bad in BAD for written in bad],
)
def test_bad_value_is_refused_naming_the_valid_form(
    parse: Callable[[object], object], written: object, named: str
) -> None:
    with pytest.raises(ValueError, match=r"^expected ") as caught:
        parse(written)
    assert named in str(caught.value)


@pytest.mark.parametrize(
    "written", ["127.0.0.1:8080", "[::1]:0", "localhost:65535", "unix:/run/x.sock", "*:80"]
)
def test_address_is_kept_as_written(written: str) -> None:
    assert Address.parse(written) == written


def test_policy_for_a_lost_manager_tells_after_how_long_to_stop() -> None:
    assert ManagerLost.parse("continue").stop_after is None
    assert ManagerLost.parse("stop after 10m").stop_after == Duration(600)


@given(st.integers(0, 10**7).map(lambda ms: Duration(ms / 1000)))
def test_text_of_a_duration_reads_back(duration: Duration) -> None:
    assert Duration.parse(duration.text) == pytest.approx(duration, rel=1e-12)


@given(st.integers(0, 2**50).map(Size))
def test_text_of_a_size_reads_back(size: Size) -> None:
    assert Size.parse(size.text) == size


@given(st.integers(0, 10**6).map(lambda millionths: Percent(millionths / 10**6)))
def test_text_of_a_share_reads_back(share: Percent) -> None:
    assert Percent.parse(share.text) == pytest.approx(share)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Duration(30), "30s"),
        (Duration(90), "90s"),
        (Duration(600), "10m"),
        (Duration(0.25), "250ms"),
        (Duration(0), "0s"),
        (Size(64 * 1024**2), "64MiB"),
        (Size(10**9), "1GB"),
        (Size(0), "0B"),
        (Percent(0.05), "5%"),
    ],
)
def test_text_is_the_spelling_that_people_use(value: Duration | Size | Percent, text: str) -> None:
    assert value.text == text
