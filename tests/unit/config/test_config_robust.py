"""Whatever is written, `load` answers with a configuration or with problems that name a place."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weaver.config import load, rows
from weaver.errors import ConfigError, Problem

TEXT = (Path(__file__).parents[3] / "weaver.toml.example").read_text("utf-8")
LINES = TEXT.splitlines()
NAMES = sorted({name for line in LINES for name in line.partition("#")[0].split() if name})
VALUES = ["5", '"x"', "true", "[]", "[1]", "{}", "{ a = 1 }", "1.5", "07:32:00", "-1", "nan"]


def problems_of(text: str, environ: Mapping[str, str] = MappingProxyType({})) -> list[Problem]:
    """The problems of a text; a good one must also have rows."""
    try:
        config = load(text, environ=environ)
    except ConfigError as caught:
        return list(caught.problems) or [Problem("an error without problems")]
    tables = {row.path.partition(".")[0] for row in rows(config)}
    return [] if tables >= {"app", "rollout"} else [Problem("a configuration without rows")]


def check(text: str, environ: dict[str, str]) -> None:
    for problem in problems_of(text, environ):
        assert problem.what
        assert problem.where.startswith(("weaver.toml", "environment WEAVER__"))


@given(st.text(max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    check(text, {})


@given(
    st.lists(
        st.tuples(st.integers(0, len(LINES) - 1), st.sampled_from([*VALUES, *NAMES])), max_size=4
    ),
    st.integers(0, len(TEXT)),
)
def test_any_damage_to_a_good_file_is_read_or_refused(
    damage: list[tuple[int, str]], cut: int
) -> None:
    lines = list(LINES)
    for index, written in damage:
        key, equals, _ = lines[index].partition("=")
        lines[index] = f"{key}{equals} {written}" if equals else f"{key} = {written}"

    check("\n".join(lines), {})
    check(TEXT[:cut], {})


@given(
    st.dictionaries(
        st.lists(
            st.sampled_from(["APP", "TIMEOUT", "GROUPS", "X", "REPLICAS", "MAX", "ENV", "", "_"]),
            max_size=4,
        ).map(lambda parts: "WEAVER__" + "__".join(parts)),
        st.one_of(st.text(max_size=8), st.sampled_from(VALUES)),
        max_size=3,
    )
)
def test_any_environment_is_read_or_refused(environ: dict[str, str]) -> None:
    check(TEXT, environ)


SCALARS = [
    (index, line.partition(" = ")[0])
    for index, line in enumerate(LINES)
    if " = " in line.partition("#")[0] and "capacity" not in line and "currency" not in line
]


@pytest.mark.parametrize(("index", "key"), SCALARS, ids=str)
def test_table_in_place_of_any_value_is_a_problem_of_its_line(index: int, key: str) -> None:
    lines = [*LINES[:index], f"{key} = {{ nonsense = [] }}", *LINES[index + 1 :]]

    found = problems_of("\n".join(lines))

    if key == "token":  # sections are checked when the components are known
        assert not found
    else:
        assert {problem.where for problem in found} == {f"weaver.toml:{index + 1}"}
