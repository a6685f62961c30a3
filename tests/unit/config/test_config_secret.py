"""Secrets come from the environment or a file, and no message shows them."""

from typing import Any

import pytest

from weaver.component.values import Secret
from weaver.config import load, secret_value
from weaver.errors import ConfigError, Problem

VARIABLE = "WEAVER__COMPONENTS__CART__TOKEN"


def no_file(path: str) -> str:
    raise FileNotFoundError(2, "No such file or directory", path)


def value(
    text: str = "",
    type_: Any = str,
    environ: dict[str, str] | None = None,
    files: dict[str, str] | None = None,
) -> Any:
    environ = environ or {}

    def read_file(path: str) -> str:
        return files[path] if files else no_file(path)

    config = load(text, environ=environ)
    return secret_value(config, "shop.cart.Cart", "Cart", "token", type_, environ, read_file)


def refused(*args: Any, **options: Any) -> Problem:
    with pytest.raises(ConfigError) as caught:
        value(*args, **options)
    assert caught.value.__cause__ is None
    (problem,) = caught.value.problems
    return problem


def test_secret_comes_from_its_own_variable() -> None:
    assert value(environ={VARIABLE: "abc"}) == "abc"
    assert value(environ={"WEAVER__COMPONENTS__SHOP_CART_CART__TOKEN": "abc"}) == "abc"


def test_text_of_a_variable_is_taken_as_it_is() -> None:
    assert value(environ={VARIABLE: '"007"'}) == '"007"'
    assert value(environ={VARIABLE: "007"}) == "007"
    assert value(environ={VARIABLE: "{env = 'X'}"}) == "{env = 'X'}"


def test_secret_comes_from_the_variable_that_the_section_names() -> None:
    text = '[components.Cart]\ntoken = { env = "CART_TOKEN" }'

    assert value(text, environ={"CART_TOKEN": "abc"}) == "abc"


def test_secret_comes_from_the_file_that_the_section_names_less_one_line_end() -> None:
    text = '[components."shop.cart.Cart"]\ntoken.file = "secrets/token"'

    assert value(text, files={"secrets/token": "abc\n"}) == "abc"
    assert value(text, files={"secrets/token": "abc\r\n"}) == "abc"
    assert value(text, files={"secrets/token": " a\n\n"}) == " a\n"


def test_own_variable_wins_over_the_section() -> None:
    text = '[components.Cart]\ntoken = { file = "missing" }'

    assert value(text, environ={VARIABLE: "abc"}) == "abc"


def test_variable_that_only_the_reader_knows_is_found() -> None:
    config = load("")

    found = secret_value(config, "m.Cart", "Cart", "token", str, {VARIABLE: "abc"}, no_file)

    assert found == "abc"


@pytest.mark.parametrize(
    ("type_", "text", "expected"),
    [(int, "5", 5), (Secret[int], "5", 5), (bytes, "YWJj", b"abc"), (str | None, "x", "x")],
)
def test_secret_is_converted_to_what_it_holds(type_: Any, text: str, expected: Any) -> None:
    assert value(type_=type_, environ={VARIABLE: text}) == expected


def test_missing_secret_names_all_ways_to_give_it() -> None:
    problem = refused("\n[components.Cart]")

    assert problem.what == "components.Cart: secret `token` is missing"
    assert problem.where == "weaver.toml:2"
    for way in (VARIABLE, '{ env = "NAME" }', '{ file = "path" }', "[components.Cart]"):
        assert way in problem.fix


@pytest.mark.parametrize("written", ['"hunter2"', "424242", '["hunter2"]', "true"])
def test_secret_in_the_file_itself_is_refused_and_not_shown(written: str) -> None:
    problem = refused(f"[components.Cart]\ntoken = {written}")

    assert problem.what == "[components.Cart] token: a secret cannot stand in weaver.toml"
    assert problem.where == "weaver.toml:2"
    assert VARIABLE in problem.fix
    assert "hunter2" not in str(problem)
    assert "424242" not in str(problem)


@pytest.mark.parametrize(
    "written",
    ['{ value = "hunter2" }', '{ env = "A", file = "hunter2" }', "{ env = 5 }", "{}"],
)
def test_source_of_unknown_form_is_refused_and_not_shown(written: str) -> None:
    problem = refused(f"[components.Cart]\ntoken = {written}")

    assert "token: expected { env = ... } or { file = ... }" in problem.what
    assert "hunter2" not in str(problem)


def test_variable_that_is_not_set_is_named() -> None:
    problem = refused('[components.Cart]\ntoken = { env = "CART_TOKEN" }')

    assert "environment variable CART_TOKEN is not set" in problem.what
    assert "set CART_TOKEN" in problem.fix
    assert problem.where == "weaver.toml:2"


def test_file_that_cannot_be_read_is_named() -> None:
    problem = refused('[components.Cart]\ntoken = { file = "secrets/token" }')

    assert "file secrets/token cannot be read" in problem.what
    assert problem.why == "No such file or directory"
    assert "relative to weaver.toml" in problem.fix


def test_file_that_is_not_text_is_refused_and_not_shown() -> None:
    def read_file(path: str) -> str:
        return b"hunter2\xff".decode()

    config = load('[components.Cart]\ntoken = { file = "t" }')
    with pytest.raises(ConfigError) as caught:
        secret_value(config, "m.Cart", "Cart", "token", str, {}, read_file)

    assert caught.value.problems[0].why == "it is not UTF-8 text"
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "environ", "place"),
    [
        ("", {VARIABLE: "hunter2"}, f"environment variable {VARIABLE}"),
        (
            '[components.Cart]\ntoken = { env = "T" }',
            {"T": "hunter2"},
            "environment variable T",
        ),
    ],
)
def test_secret_of_the_wrong_type_is_refused_and_not_shown(
    text: str, environ: dict[str, str], place: str
) -> None:
    problem = refused(text, int, environ)

    assert problem.what == f"[components.Cart] token: {place} does not hold an integer"
    assert "hunter2" not in str(problem)
