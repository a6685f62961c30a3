"""From text and environment to a configuration, and every way in which that fails."""

import json
import subprocess
import sys

import msgspec
import pytest

from weaver.config import load
from weaver.config.schema import ReplicaRange
from weaver.config.units import Duration, Percent
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


def test_values_arrive_with_their_types() -> None:
    config = load(FULL)

    assert config.app.name == "boutique"
    assert config.app.entry == "boutique.web:Web"
    assert config.app.timeout == 5.0
    assert config.app.env == {"LOG_LEVEL": "info"}
    assert config.groups["front"].replicas == 2
    assert config.groups["shop"].replicas == ReplicaRange(min=1, max=8, target_load=Percent(0.5))
    assert config.groups["shop"].components == ("Cart", "Catalog")
    assert config.listeners["http"].address == "127.0.0.1:8080"
    assert config.components["Cart"]["limits"] == {"daily": 5}
    assert config.rollout.steps == tuple(map(Percent, (0.05, 0.5, 1)))


@pytest.mark.parametrize("text", ["", "\n", "# nothing", "\ufeff", "\ufeff# BOM\r\n", "[app]"])
def test_file_without_values_gives_the_defaults(text: str) -> None:
    config = load(text)

    assert config.app.timeout == Duration(30)
    assert config.app.max_message == 64 * 1024**2
    assert config.app.stop_timeout == Duration(10)
    assert config.placement.default == "split"
    assert config.groups == {}
    assert config.rollout.steps == tuple(map(Percent, (0.05, 0.25, 0.5, 1)))
    assert config.provenance("app.timeout") == "default"


def test_byte_order_mark_and_crlf_do_not_move_lines() -> None:
    config = load("\ufeff" + FULL.replace("\n", "\r\n"))

    assert config.app.name == "boutique"
    assert config.provenance("app.name") == "weaver.toml:3"


def test_configuration_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        load(FULL).app.name = "other"  # type: ignore[misc,assignment]  # pyright: ignore[reportAttributeAccessIssue]


BAD: list[tuple[str, str, str, str]] = [
    # text, what, where, fix
    ("[ap]\nx = 1", "unknown table [ap]", "weaver.toml:1", 'did you mean "app"?'),
    ("timeout = 1", 'unknown key "timeout"', "weaver.toml:1", "valid names"),
    ('[app]\ntimeot = "1s"', 'unknown key "timeot" in [app]', ":2", '"timeout"'),
    ("[package]\nprojct = 1", 'unknown key "projct" in [package]', ":2", '"project"'),
    (
        '[groups.a]\ncomponents = []\n"x.y" = 1',
        'unknown key "x.y" in [groups.a]',
        ":3",
        "valid names: components",
    ),
    (
        "[groups.a]\ncomponents = []\nreplicas = {\n  max = 1, maxx = 1 }",
        'unknown key "maxx" in [groups.a.replicas]',
        ":4",
        '"max"',
    ),
    ("[placement]\ndefalt = 1", 'unknown key "defalt" in [placement]', ":2", '"default"'),
    ("[listeners.h]\nadress = 1", 'unknown key "adress" in [listeners.h]', ":2", '"address"'),
    (
        "[listeners.h]\ntls = { crt = 1, cert = '', key = '' }",
        'unknown key "crt" in [listeners.h.tls]',
        ":2",
        '"cert"',
    ),
    ("[ssh]\nhost = 1", 'unknown key "host" in [ssh]', ":2", '"hosts"'),
    ("[rollout]\nstep = 1", 'unknown key "step" in [rollout]', ":2", '"steps"'),
    (
        "[rollout.abort_on]\nerror = 1",
        'unknown key "error" in [rollout.abort_on]',
        ":2",
        '"error_rate"',
    ),
    ("[app]\nTimeout = 1", 'unknown key "Timeout" in [app]', ":2", '"timeout"'),
    ("app = 1", "[app]: expected a table, got 1", ":1", "write [app] and"),
    ("[[app]]", "[app]: expected a table, got a list", ":1", ""),
    ("groups.a = 1", "[groups.a]: expected a table, got 1", ":1", ""),
    ("components.Cart = 1", "[components.Cart]: expected a table, got 1", ":1", ""),
    (
        "[app]\n\ntimeout = true",
        '[app] timeout: expected a duration such as "250ms", "30s", "10m" or "1h", got true',
        "weaver.toml:3",
        "",
    ),
    ('[app]\ntimeout = "soon"', 'got "soon"', ":2", ""),
    ("[app]\nname = 5", "[app] name: expected a name", ":2", ""),
    ('[app]\nhung_after = "100ms"', "`hung_after` must be at least 0.5s", ":1", "values of [app]"),
    ("[app]\nstart_timeout = 0", "`start_timeout` must be more than 0", ":1", "values of [app]"),
    ('[app]\nentry = "web.py"', '[app] entry: expected a target such as "shop.web:Web"', ":2", ""),
    ("[app]\nenv = { A = 1 }", "[app] env.A: expected a string, got 1", ":2", 'in quotes: "1"'),
    ("[app]\nthreads = 0", "[app] threads: expected an integer >= 1, got 0", ":2", "threads = 10"),
    ("[app]\nthreads = 1.5", "[app] threads: expected an integer, got 1.5", ":2", ""),
    ("[app]\nthreads = 2026-01-02", "[app] threads: expected an integer, got 2026-01-02", ":2", ""),
    (
        '[app]\ntls = "alway"',
        '[app] tls: expected one of "auto", "always", got "alway"',
        ":2",
        '"always"',
    ),
    ("[app]\nmax_message = -1", "[app] max_message: expected a size", ":2", ""),
    (
        '[package]\ninclude = "a"',
        '[package] include: expected a list, got "a"',
        ":2",
        'in brackets: ["a"]',
    ),
    (
        '[groups.a]\ncomponents = [\n "A",\n 5]',
        "[groups.a] components[1]: expected a string, got 5",
        ":4",
        "",
    ),
    (
        "\n[groups.a]\nreplicas = 1",
        "[groups.a]: field `components` (a list) is missing",
        ":2",
        "under [groups.a]",
    ),
    ("groups.a = {components = [], replicas = 0}", "replicas: expected an integer >= 1", ":1", ""),
    (
        'groups.a = {components = [], replicas = "2"}',
        '[groups.a] replicas: expected an integer or a table, got "2"',
        ":1",
        "without quotes: 2",
    ),
    (
        "groups.a = {components = [], replicas = {min = 3, max = 2}}",
        "[groups.a] replicas: min (3) is larger than max (2)",
        ":1",
        "",
    ),
    (
        "groups.a = {components = [], replicas = {min = 3}}",
        "[groups.a] replicas: field `max` (an integer) is missing",
        ":1",
        "WEAVER__GROUPS__A__REPLICAS__MAX",
    ),
    ('[groups.a]\ncomponents = []\npreload = "no"', "expected true or false", ":3", ""),
    ('[listeners.h]\naddress = "80"', "[listeners.h] address: expected an address", ":2", ""),
    ('[listeners.h]\ningress = "nginx"', 'one of "shared", "proxy", "haproxy"', ":2", ""),
    ("[listeners.h]\nhaproxy = 5", "[listeners.h] haproxy: expected a string", ":2", ""),
    (
        '[listeners.h.tls]\ncert = "a"',
        "[listeners.h] tls: field `key` (a string) is missing",
        ":1",
        "",
    ),
    ('[ssh]\non_manager_lost = "die"', '"continue" or "stop after 10m", got "die"', ":2", ""),
    (
        '[rollout]\nsteps = ["5%",\n "fifty"]',
        '[rollout] steps[1]: expected a percentage such as "5%"',
        ":3",
        'steps = ["5%"]',
    ),
    ("[rollout]\nsteps = [5]", "[rollout] steps[0]: expected a percentage", ":2", ""),
    ('[rollout]\nsteps = ["5%"]', 'the last of `steps` must be "100%"', ":1", ""),
    ("[rollout]\nsteps = []", 'the last of `steps` must be "100%"', ":1", ""),
    ('[rollout]\nsteps = ["50%", "5%", "100%"]', "larger than the one before", ":1", ""),
    ('[rollout]\nsteps = ["0%", "100%"]', "above 0%", ":1", ""),
    (
        "[rollout]\nabort_on = { p99_factor = 0.5 }",
        "p99_factor: expected a number >= 1",
        ":2",
        "number >= 1",
    ),
    ("[rollout]\nmax_versions = 1", "[rollout] max_versions: expected an integer >= 2", ":2", ""),
]


@pytest.mark.parametrize(("text", "what", "where", "fix"), BAD, ids=[bad[1] for bad in BAD])
def test_bad_value_is_named_with_place_and_fix(text: str, what: str, where: str, fix: str) -> None:
    (problem,) = refused(text).problems

    assert what in problem.what
    assert problem.where.endswith(where)
    assert problem.where.startswith("weaver.toml")
    assert problem.fix
    assert fix in problem.fix


@pytest.mark.parametrize(
    ("text", "where", "why", "fix"),
    [
        ("[app]\nname = boutique", "weaver.toml:2:8", "invalid value", "quotes"),
        ("[app", "weaver.toml:1:5", "at the end of a table", "brackets"),
        ("a = 1\na = 2", "weaver.toml:2:6", "overwrite", "only once"),
        ("[app]\n[app]", "weaver.toml:2:5", "declare", "only once"),
        ('a = "x\n', "weaver.toml:1:7", "illegal character", "triple"),
        ("a = 'x", "weaver.toml:1:7", "expected", "close the text"),
        ('a = """x', "weaver.toml:1:9", "unterminated", "close the text"),
        ('a = "c:\\x"', "weaver.toml:1:10", "hex value", "backslash"),
        ("a b = 1", "weaver.toml:1:3", "'='", "quote keys"),
        ("a = 1 b = 2", "weaver.toml:1:7", "expected newline", "one key"),
        ("[app]\n\nx = [1,\n", "weaver.toml:4:1", "invalid value", "close the list with ]"),
        ("x = [", "weaver.toml:1:6", "invalid value", "close the list with ]"),
        ("x = [1\n", "weaver.toml:2:1", "unclosed array", "close the list with ]"),
        ("x = [1 2]", "weaver.toml:1:8", "unclosed array", "commas"),
        ("x = [1,\n[b]\ny = 1", "weaver.toml:2:2", "invalid value", "the list above it"),
        ("x = {", "weaver.toml:1:6", "key part", "close the inline table"),
        ("x = \ny = 1", "weaver.toml:1:5", "invalid value", "write a value after the ="),
        ("x =", "weaver.toml:1:4", "invalid value", "write a value after the ="),
        ("x = True", "weaver.toml:1:5", "invalid value", "write true"),
        ("x = [off]", "weaver.toml:1:6", "invalid value", "write false"),
    ],
)
def test_invalid_toml_is_one_problem_at_line_and_column(
    text: str, where: str, why: str, fix: str
) -> None:
    (problem,) = refused(text).problems

    assert problem.what == "weaver.toml is not valid TOML"
    assert problem.where == where
    assert why in problem.why
    assert fix in problem.fix


def test_invalid_toml_does_not_show_the_text() -> None:
    error = refused('password = "hunter2\n')

    assert "hunter2" not in str(error)
    assert error.__cause__ is None
    assert error.__suppress_context__


def test_all_problems_come_at_once_in_the_order_of_the_file() -> None:
    error = refused(
        "[rollout]\nx = 1\n[app]\ny = 1\ntimeout = true\n[groups.a]\nz = 1",
        WEAVER__APP__THREADS="many",
    )

    assert [problem.where for problem in error.problems] == [
        "weaver.toml:2",
        "weaver.toml:4",
        "weaver.toml:5",
        "weaver.toml:6",
        "weaver.toml:7",
        "environment WEAVER__APP__THREADS",
    ]


def test_source_is_how_messages_call_the_file() -> None:
    with pytest.raises(ConfigError, match=r"conf/prod\.toml:2"):
        load("[app]\nx = 1", source="conf/prod.toml")


def test_tables_encode_as_json() -> None:
    config = load(FULL)

    text = msgspec.json.encode(
        [config.app, config.groups, config.rollout],
        enc_hook=lambda value: value.text if hasattr(value, "text") else str(value),
    )

    app, groups, rollout = json.loads(text)
    assert app["name"] == "boutique"
    assert groups["front"]["replicas"] == 2
    assert rollout["keep_versions"] == 3


def test_import_is_light() -> None:
    script = (
        "import sys, weaver.config;"
        "print(*[m for m in ('tomli', 'asyncio', 'socket', 'pydantic') if m in sys.modules])"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=30
    )

    assert not done.stdout.strip()
