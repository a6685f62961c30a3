"""The command line as a whole: help, errors, exit codes."""

import json
import os
import pty
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from weaver.cli.main import COMMANDS, cli, execute
from weaver.errors import ConfigError, DefinitionError, Problem, StartError, UsageError, WeaverError

WEAVER = [sys.executable, "-m", "weaver.cli.main"]


@pytest.fixture
def application(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Makes `weaver.application.load_target` raise an error."""

    def install(error: BaseException) -> None:
        def load_target(*_: object, **__: object) -> None:
            raise error

        module = types.ModuleType("weaver.application")
        for name in ("check_target", "describe_graph", "run_target"):
            setattr(module, name, None)
        vars(module)["load_target"] = load_target
        monkeypatch.setitem(sys.modules, "weaver.application", module)

    return install


def test_help_names_every_command_without_importing_one() -> None:
    before = {name for name in sys.modules if name.startswith("weaver.cli.commands.")}
    result = CliRunner().invoke(cli, ["--help"])
    assert result.exit_code == 0
    for name, text in COMMANDS.items():
        assert f"{name} " in result.output
        assert text in result.output
    after = {name for name in sys.modules if name.startswith("weaver.cli.commands.")}
    assert after == before


def test_help_imports_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "weaver.cli.main", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "click" in imported
    assert not imported & {"rich", "uvicorn", "asyncio", "msgspec", "uvloop", "weaver.application"}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_exists_and_its_own_help_agrees_with_the_table(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.name == name
    assert command.help
    result = CliRunner().invoke(cli, [name, "--help"])
    assert result.exit_code == 0


def test_no_arguments_show_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute([]) == 0
    assert "Commands:" in capsys.readouterr().out


def test_version_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["--version"]) == 0
    assert capsys.readouterr().out.startswith("weaver ")


def test_version_command_as_text_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["version"]) == 0
    assert f"Python    {sys.version.split()[0]}" in capsys.readouterr().out
    assert execute(["version", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found.keys() == {"weaver", "python", "implementation", "platform", "core", "records"}
    assert {found["core"], found["records"]} <= {"pure Python", "compiled"}


def test_an_unknown_command_gets_the_nearest_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["chekc"]) == 2
    shown = capsys.readouterr().err
    assert shown == (
        'error: there is no command "chekc"\n  fix:   did you mean "check"? See: weaver --help\n'
    )


@pytest.mark.parametrize(
    ("args", "what", "command"),
    [
        (["version", "--jsn"], "No such option", "weaver version"),
        (["--bad"], "No such option", "weaver"),
        (["init"], "Missing argument", "weaver init"),
        (["completion", "tcsh"], "'tcsh' is not one of", "weaver completion"),
        (["completion"], "Choose from: bash, zsh, fish\n", "weaver completion"),
        (["multi"], "Missing command\n", "weaver multi"),
    ],
)
def test_wrong_usage_has_the_shape_of_all_errors(
    capsys: pytest.CaptureFixture[str], args: list[str], what: str, command: str
) -> None:
    assert execute(args) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("error: ")
    assert what in shown
    assert f"  fix:   see: {command} --help\n" in shown


def problem(number: int) -> Problem:
    return Problem(f"what {number}", where=f"file:{number}", why="reason", fix="remedy\nin two")


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("wrong"), 2),
        (ConfigError([problem(1)]), 2),
        (DefinitionError([problem(1)]), 2),
        (WeaverError("failed"), 1),
        (StartError("failed", component="Web"), 1),
        (click.ClickException("failed"), 1),
        (LookupError("surprise"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_exit_codes(
    application: Callable[[BaseException], None],
    capsys: pytest.CaptureFixture[str],
    error: BaseException,
    code: int,
) -> None:
    application(error)
    assert execute(["run"]) == code
    assert "Traceback" not in capsys.readouterr().err


def test_all_problems_are_shown_with_their_parts(
    application: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    application(ConfigError([problem(1), problem(2)]))
    execute(["run"])
    one, two = (
        f"error: what {n}\n  where: file:{n}\n  why:   reason\n  fix:   remedy\n         in two\n"
        for n in (1, 2)
    )
    assert capsys.readouterr().err == one + two + "2 config problems\n"


def test_an_unexpected_error_is_one_line_its_place_and_a_hint(
    application: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    application(LookupError("surprise"))
    execute(["run"])
    what, where, hint = capsys.readouterr().err.splitlines()
    assert what == "error: LookupError: surprise"
    assert where.startswith(f"  where: {__file__}:")
    assert hint == "run again with --debug for the traceback"


def test_the_cause_of_an_error_is_its_reason(
    application: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    error = StartError("Web did not start", component="Web")
    error.__cause__ = OSError("no database")
    application(error)
    execute(["run"])
    shown = capsys.readouterr().err
    assert "  why:   OSError: no database\n" in shown
    assert "--debug" in shown


def test_an_error_that_explains_itself_has_no_hint(
    application: Callable[[BaseException], None], capsys: pytest.CaptureFixture[str]
) -> None:
    error = WeaverError("port in use", why="held by pid 1")
    error.__cause__ = OSError("in use")
    application(error)
    assert execute(["run"]) == 1
    assert capsys.readouterr().err == "error: port in use\n  why:   held by pid 1\n"


@pytest.mark.parametrize("args", [["--debug", "run"], ["run", "--debug"]])
def test_debug_shows_the_traceback_wherever_it_stands(
    application: Callable[[BaseException], None],
    capsys: pytest.CaptureFixture[str],
    args: list[str],
) -> None:
    application(LookupError("surprise"))
    assert execute(args) == 1
    shown = capsys.readouterr().err
    assert "Traceback (most recent call last)" in shown
    assert "run again" not in shown


def test_debug_from_the_environment(
    application: Callable[[BaseException], None],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("WEAVER_DEBUG", "1")
    application(UsageError("wrong"))
    assert execute(["run"]) == 2
    assert "Traceback" in capsys.readouterr().err


def test_a_reader_that_leaves_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [*WEAVER, "version"], stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert done.stderr == ""
    assert done.returncode == 1


def on_terminal(environment: dict[str, str]) -> str:
    """What a wrong command writes to stderr when that is a terminal."""
    master, slave = pty.openpty()
    subprocess.run([*WEAVER, "nothing"], stderr=slave, env=os.environ | environment, check=False)
    os.close(slave)
    with os.fdopen(master, "rb", buffering=0) as terminal:
        return terminal.read(65536).decode()


def test_colour_is_for_terminals_that_want_it() -> None:
    plain = 'error: there is no command "nothing"'
    assert "\x1b[" in on_terminal({"TERM": "xterm", "NO_COLOR": ""})
    for environment in ({"TERM": "xterm", "NO_COLOR": "1"}, {"TERM": "dumb"}):
        shown = on_terminal(environment)
        assert "\x1b[" not in shown
        assert shown.startswith(plain)


def test_the_bash_script_completes_commands_and_options(tmp_path: Path) -> None:
    command = tmp_path / "weaver"
    command.write_text(f'#!/bin/sh\nexec {" ".join(WEAVER)} "$@"\n')
    command.chmod(0o755)
    script = """
    eval "$(weaver completion bash)"
    COMP_WORDS=(weaver c) COMP_CWORD=1; _weaver_completion weaver; echo "${COMPREPLY[@]}"
    unset COMPREPLY
    COMP_WORDS=(weaver run --str) COMP_CWORD=2; _weaver_completion weaver; echo "${COMPREPLY[@]}"
    complete -p weaver
    """
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    commands, options, registered = done.stdout.splitlines()
    assert commands.split() == ["check", "config", "completion"]
    assert options.split() == ["--strict-copies"]
    assert "_weaver_completion weaver" in registered
    assert done.stderr == ""


@pytest.mark.parametrize(("shell", "marker"), [("zsh", "#compdef weaver"), ("fish", "complete ")])
def test_the_other_shells_get_their_scripts(
    capsys: pytest.CaptureFixture[str], shell: str, marker: str
) -> None:
    assert execute(["completion", shell]) == 0
    shown = capsys.readouterr().out
    assert marker in shown
    assert "_WEAVER_COMPLETE" in shown
