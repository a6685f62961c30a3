"""The hosts that `--ssh` means, and who asks the user for the passphrase of a key."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from weaver.errors import UsageError

if TYPE_CHECKING:
    from weaver.deployers.ssh.inventory import Host
    from weaver.deployers.ssh.keys import AskPassphrase

ssh_option = click.option(
    "--ssh",
    metavar="HOSTS",
    help="A file with a host per line, or hosts with commas between them.",
)
limit_option = click.option(
    "--limit", metavar="NAMES", help="Only these of the hosts: names or groups, with commas."
)
accept_new_option = click.option(
    "--accept-new",
    is_flag=True,
    help="Learn the keys of hosts that are not in known_hosts yet; a changed key is refused.",
)


def hosts_of(text: str, limit: str | None = None) -> "tuple[Host, ...]":
    """What `--ssh` and `--limit` say. Raises ConfigError with all faults, or UsageError."""
    from weaver.deployers.ssh.inventory import limited, parse, parse_inline

    path = Path(text)
    if path.is_file():
        hosts = parse(_read(path), text)
    elif path.is_dir() or "/" in text or path.suffix == ".txt":
        raise UsageError(
            f"there is no file {text}",
            where="--ssh",
            fix="name a file with a host per line, or write hosts: --ssh web1,web2",
        )
    else:
        hosts = parse_inline(text)
    return limited(hosts, limit.split(",")) if limit else hosts


def ask_passphrase(key: Path) -> str | None:
    """Ask on the terminal, if there is one."""
    if not sys.stdin.isatty():
        return None
    answer: str = click.prompt(f"passphrase of {key}", hide_input=True, default="", err=True)
    return answer or None


def passphrases_of() -> "tuple[AskPassphrase, dict[str, str]]":
    """Who is asked for passphrases, and where the answers are: a manager connects with them too."""
    answers: dict[str, str] = {}

    def ask(key: Path) -> str | None:
        answer = ask_passphrase(key)
        if answer is not None:
            answers[str(key)] = answer
        return answer

    return ask, answers


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} cannot be read", where="--ssh", why=str(error), fix="it must be UTF-8 text"
        ) from error
