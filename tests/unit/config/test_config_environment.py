"""Environment variables over the file, and where each effective value comes from."""

from typing import Any

import pytest

from weaver.config import Config, load
from weaver.config.records import is_table
from weaver.errors import ConfigError

FULL = """
[app]
name = "boutique"
entry = "boutique.web:Web"
timeout = "5s"
env = { LOG_LEVEL = "info" }

[groups.front]
components = ["Web"]
replicas = 2
[groups.shop]
components = ["Cart", "Catalog"]
replicas = { min = 1, max = 8, target_load = 0.5 }

[listeners.http]
address = "127.0.0.1:8080"

[components.Cart]
capacity = 5000
opened = 2026-01-02
limits.daily = 5

[rollout]
steps = ["5%", 0.5, "100%"]
"""


def refused(text: str, /, **environ: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(text, environ=environ)
    return caught.value


OVERRIDES: list[tuple[str, str, str, Any]] = [
    # variable, value, attribute path, effective value
    ("WEAVER__APP__TIMEOUT", "7s", "app.timeout", 7.0),
    ("WEAVER__APP__TIMEOUT", "7", "app.timeout", 7.0),
    ("WEAVER__APP__NAME", "2048", "app.name", "2048"),
    ("WEAVER__APP__NAME", '"quoted"', "app.name", "quoted"),
    ("WEAVER__APP__ENV__LOG_LEVEL", "debug", "app.env.LOG_LEVEL", "debug"),
    ("WEAVER__APP__ENV__NEW_Name", "1", "app.env.NEW_Name", "1"),
    ("WEAVER__APP__ENV", '{A = "b"}', "app.env", {"A": "b"}),
    ("weaver__app__threads", "8", "app.threads", 8),
    ("WEAVER__GROUPS__FRONT__REPLICAS", "5", "groups.front.replicas", 5),
    ("WEAVER__GROUPS__SHOP__REPLICAS__MAX", "9", "groups.shop.replicas.max", 9),
    ("WEAVER__GROUPS__SHOP__REPLICAS__MAX", "9", "groups.shop.replicas.min", 1),
    ("WEAVER__GROUPS__FRONT__REPLICAS__MAX", "9", "groups.front.replicas.max", 9),
    ("WEAVER__GROUPS__FRONT__REPLICAS", "{max = 3}", "groups.front.replicas.max", 3),
    ("WEAVER__GROUPS__FRONT__PRELOAD", "false", "groups.front.preload", False),
    ("WEAVER__GROUPS__FRONT__PRELOAD", "0", "groups.front.preload", False),
    ("WEAVER__GROUPS__FRONT__HOSTS", '["a", "b"]', "groups.front.hosts", ("a", "b")),
    ("WEAVER__GROUPS__NEW__COMPONENTS", '["Ads"]', "groups.new.components", ("Ads",)),
    ("WEAVER__LISTENERS__HTTP__ADDRESS", "0.0.0.0:80", "listeners.http.address", "0.0.0.0:80"),
    ("WEAVER__LISTENERS__ADMIN__ADDRESS", "[::1]:80", "listeners.admin.address", "[::1]:80"),
    ("WEAVER__ROLLOUT__STEPS", '["1%", 1]', "rollout.steps", (0.01, 1)),
    ("WEAVER__ROLLOUT__ABORT_ON__ERROR_RATE", "2%", "rollout.abort_on.error_rate", 0.02),
    ("WEAVER__SSH__USER", "007", "ssh.user", "007"),
    ("WEAVER__SSH__USER", "2026-01-02", "ssh.user", "2026-01-02"),
    ("WEAVER__SSH__USER", "a\nb = 1", "ssh.user", "a\nb = 1"),
    ("WEAVER__ROLLOUT__BEFORE", "make migrate # now", "rollout.before", "make migrate # now"),
]


def at(config: Config, path: str) -> Any:
    value: Any = config
    for part in path.split("."):
        value = value[part] if is_table(value) else getattr(value, part)
    return value


@pytest.mark.parametrize(("variable", "value", "path", "effective"), OVERRIDES)
def test_environment_overrides_the_file(
    variable: str, value: str, path: str, effective: Any
) -> None:
    config = load(FULL, environ={variable: value, "PATH": "/bin", "WEAVER_DEBUG": "1"})

    assert at(config, path) == effective


@pytest.mark.parametrize(
    ("variable", "fix"),
    [
        ("WEAVER__AP__TIMEOUT", "WEAVER__APP"),
        ("WEAVER__APP__TIMEOT", "WEAVER__APP__TIMEOUT"),
        ("WEAVER__APP__TIMEOUT__MS", "unset WEAVER__APP__TIMEOUT__MS"),
        ("WEAVER__GROUPS__FRONT__REPLICA", "WEAVER__GROUPS__FRONT__REPLICAS"),
        ("WEAVER__GROUPS__FRONT__REPLICAS__MAXX", "WEAVER__GROUPS__FRONT__REPLICAS__MAX"),
        ("WEAVER__", "WEAVER__"),
        ("WEAVER__APP__", "WEAVER__APP__"),
    ],
)
def test_variable_that_matches_nothing_is_named_with_the_nearest(variable: str, fix: str) -> None:
    (problem,) = refused(FULL, **{variable: "s3cret"}).problems

    assert problem.what == f"environment variable {variable} matches nothing"
    assert problem.where == f"environment {variable}"
    assert fix in problem.fix
    assert "s3cret" not in str(problem)


@pytest.mark.parametrize(
    ("variable", "value", "what"),
    [
        ("WEAVER__APP__TIMEOUT", "soon", '[app] timeout: expected a duration such as "250ms"'),
        ("WEAVER__APP__THREADS", "0", "[app] threads: expected an integer >= 1"),
        ("WEAVER__APP__THREADS", "x", '[app] threads: expected an integer, got "x"'),
        ("WEAVER__APP", "x", '[app]: expected a table, got "x"'),
        ("WEAVER__APP", "{x = 1}", 'unknown key "x" in [app]'),
        ("WEAVER__GROUPS__FRONT__COMPONENTS", "Web", "[groups.front] components: expected a list"),
        ("WEAVER__GROUPS__FRONT__COMPONENTS", "[1]", "[groups.front] components[0]: expected a"),
        ("WEAVER__GROUPS__SHPO__REPLICAS", "1", "[groups.shpo]: field `components`"),
    ],
)
def test_bad_value_of_a_variable_names_the_variable(variable: str, value: str, what: str) -> None:
    (problem,) = refused(FULL, **{variable: value}).problems

    assert what in problem.what
    assert problem.where == f"environment {variable}"


@pytest.mark.parametrize(
    "environ",
    [
        {"WEAVER__APP__TIMEOUT": "1s", "weaver__app__timeout": "2s"},
        {"WEAVER__APP": "{}", "WEAVER__APP__TIMEOUT": "2s"},
        {"WEAVER__GROUPS__FRONT__REPLICAS": "2", "WEAVER__GROUPS__FRONT__REPLICAS__MAX": "2"},
    ],
)
def test_two_variables_for_one_value_are_refused(environ: dict[str, str]) -> None:
    (problem,) = refused(FULL, **environ).problems

    assert "set the same value" in problem.what
    assert all(name in problem.what for name in environ)


def test_provenance_tells_file_environment_and_default() -> None:
    config = load(
        FULL,
        environ={
            "WEAVER__APP__TIMEOUT": "1s",
            "WEAVER__GROUPS__SHOP__REPLICAS__MAX": "9",
            "WEAVER__COMPONENTS__CART__CAPACITY": "9",
            "WEAVER__APP__ENV": '{A = "b"}',
        },
    )

    assert config.provenance("app.timeout") == "environment WEAVER__APP__TIMEOUT"
    assert config.provenance("app.name") == "weaver.toml:3"
    assert config.provenance("app.env.A") == "environment WEAVER__APP__ENV"
    assert config.provenance("app.threads") == "default"
    assert config.provenance("groups.shop.components[1]") == "default"
    assert config.provenance(("groups", "shop", "components", 1)) == "weaver.toml:12"
    assert config.provenance("groups.shop.replicas.min") == "weaver.toml:13"
    assert (
        config.provenance("groups.shop.replicas.max")
        == "environment WEAVER__GROUPS__SHOP__REPLICAS__MAX"
    )
    expected = "environment WEAVER__COMPONENTS__CART__CAPACITY"
    assert config.provenance("components.Cart.capacity") == expected
    assert config.provenance('components."shop.Cart".capacity') == expected
    assert config.provenance("components.Cart.limits.daily") == "weaver.toml:21"


def test_representation_does_not_show_values_of_the_environment() -> None:
    config = load("", environ={"WEAVER__COMPONENTS__CART__TOKEN": "s3cret"})

    assert "s3cret" not in repr(config)
    assert "s3cret" not in repr(config.sources.sections)


def test_listener_of_the_environment_is_found_without_regard_to_case() -> None:
    config = load(FULL, environ={"WEAVER__LISTENERS__ADMINHTTP__ADDRESS": "a:1"})

    assert config.listener("adminHttp").address == "a:1"
    assert config.listener("http").address == "127.0.0.1:8080"
    assert config.listener("HTTP").address == "127.0.0.1:0"
    assert config.listener("other").address == "127.0.0.1:0"
