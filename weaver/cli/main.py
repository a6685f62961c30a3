"""The `weaver` command: finds the command that was asked for, and ends with its exit code.

This file decides what every command has in common: global options, lazy loading, exit codes. The
help texts of all commands stand here, so that `weaver --help` imports none of them.
"""

import errno
import importlib
import os
import sys
import threading
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

try:  # Ctrl-C may come while these are read: half of the time that a short command takes
    import click
    from click.shell_completion import CompletionItem

    from weaver.cli.errors import FAILED, show
    from weaver.errors import UsageError, WeaverError, did_you_mean
except KeyboardInterrupt:
    sys.exit(130)

# Command -> its line in `weaver --help`. The module is weaver.cli.commands.<command>.
COMMANDS = {
    "run": "Run an application in this process.",
    "check": "Report all definition and configuration errors at once.",
    "config": "Show the configuration and where each value is set.",
    "graph": "Show the components of an application and who calls whom.",
    "build": "Freeze an application into one PEX file.",
    "inspect": "Show what is in a PEX, without running it.",
    "diff": "Show what differs between two versions.",
    "doctor": "Show what would fail on hosts or this machine, before it does.",
    "multi": "Run an application as many processes on this machine.",
    "deploy": "Deploy an application, here or on hosts; it goes on by itself.",
    "rollout": "Show or follow the rollout of a new version.",
    "promote": "Give all traffic to the new version now.",
    "pause": "Hold a rollout where it is, or go on with it.",
    "rollback": "Go back to the version before, or to another good one.",
    "abort": "End a rollout, and give all traffic back to the old version.",
    "status": "Show what runs: deployments, groups, replicas, methods.",
    "logs": "Show or follow the log of a deployment.",
    "metrics": "Print the metrics of a deployment in Prometheus' text format.",
    "events": "Show what has happened to a deployment.",
    "profile": "Show what a replica is doing.",
    "traces": "Show what took how long in requests that were traced.",
    "history": "Show past and present deployments.",
    "scale": "Change how many replicas of a group run.",
    "exec": "Run a command beside a replica, in its environment.",
    "shell": "Open a shell on a host, in the current release.",
    "prune": "Remove old releases, here or from hosts.",
    "attach": "Put a new manager in charge of a deployment without one.",
    "stop": "Stop a deployment in order.",
    "init": "Create a small application to start from.",
    "completion": "Print a shell completion script.",
    "version": "Show the versions of weaver, Python and the platform.",
}

_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
_INTERRUPTED = 130  # what shells report for a command that was ended by Ctrl-C
_FOR_HOSTS = ("weaver-deploy", "weaver-preflight", "weaver-leave")  # threads


class LazyGroup(click.Group):
    """A group whose commands are imported when they are invoked."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All of them, in the order of help."""
        del ctx
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command of that name, if there is one."""
        del ctx
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"weaver.cli.commands.{cmd_name}")
        command = module.command
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with an error in our shape for an unknown name."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            raise UsageError(
                f'there is no command "{name}"',
                fix=did_you_mean(name, COMMANDS) + " See: weaver --help",
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table above; click would import every command."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """The names and options that complete `incomplete`."""
        commands = [
            CompletionItem(name, help=text)
            for name, text in COMMANDS.items()
            if name.startswith(incomplete)
        ]
        return commands + click.Command.shell_complete(self, ctx, incomplete)


def _print_version(ctx: click.Context, _option: click.Parameter, asked: bool) -> None:
    if asked:
        from weaver.cli.commands.version import weaver_version

        click.echo(f"weaver {weaver_version()}")
        ctx.exit()


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Run `weaver COMMAND --help` for the options of a command.",
)
@click.option("--debug", is_flag=True, help="Show tracebacks. Also: WEAVER_DEBUG=1.")
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_print_version,
    help="Show the version and exit.",
)
def cli(*, debug: bool) -> None:
    """One program of typed components; one process or many; one file to ship."""
    # `debug` is read by execute(), which has to know it before the arguments are parsed.
    del debug


def execute(args: Sequence[str]) -> int:
    """Run one command line, without the program's name; return its exit code."""
    rest = list(args)
    end = rest.index("--") if "--" in rest else len(rest)
    debug = os.environ.get("WEAVER_DEBUG", "") not in {"", "0"} or "--debug" in rest[:end]
    # A global option counts wherever it stands.
    rest = [arg for arg in rest[:end] if arg != "--debug"] + rest[end:]
    try:
        result: object = cli.main(rest or ["--help"], prog_name="weaver", standalone_mode=False)
        sys.stdout.flush()
    except (KeyboardInterrupt, click.Abort):
        return _INTERRUPTED
    except BrokenPipeError:  # the reader (`| head`) has left
        _drop_output()
        return 1
    except Exception as error:  # noqa: BLE001 - the outermost frame: everything gets one shape
        if isinstance(error, OSError) and _is_of_output(error):
            return _unwritten(error, debug=debug)
        return show(error, debug=debug)
    return result if isinstance(result, int) else 0


def _is_of_output(error: OSError) -> bool:
    """Whether it was raised by whatever prints: such an error names no file."""
    if error.filename is not None or error.errno not in _UNWRITABLE:
        return False
    last = Path(traceback.extract_tb(error.__traceback__)[-1].filename)
    return bool({"click", "rich", "cli"} & {*last.parts})


def _unwritten(error: OSError, *, debug: bool) -> int:
    _drop_output()
    failure = WeaverError(
        "what the command prints cannot be written",
        where="standard output",
        why=error.strerror or str(error),
        fix="free space where it goes, or send it elsewhere",
    )
    show(failure, debug=debug)
    return FAILED


def _drop_output() -> None:
    """Let Python's flush at exit succeed."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def main() -> NoReturn:
    """The console script."""
    code = execute(sys.argv[1:])
    if code == _INTERRUPTED and any(t.name.startswith(_FOR_HOSTS) for t in threading.enumerate()):
        from weaver.application.ending import leave

        leave(code)  # Python would wait for threads that wait for hosts
    sys.exit(code)


if __name__ == "__main__":
    main()
