"""What the user's SSH configuration says about a host: asked of `ssh -G`, so that all of it holds.

Without an `ssh` command, paramiko's reader does; it does not know `Include`.
"""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final, cast

import msgspec

from weaver.deployers.ssh.inventory import Host
from weaver.errors import WeaverError

CONFIG_FILE: Final = "WEAVER_SSH_CONFIG"
"""Variable that names another file than ~/.ssh/config, as `ssh -F` does."""

_DEFAULT_KEYS: Final = ("id_rsa", "id_ecdsa", "id_ed25519")
_PATIENCE: Final = 10.0  # `Match exec` runs commands


class ClientConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How to reach one host, with everything filled in."""

    hostname: str
    port: int
    user: str
    identity_files: tuple[Path, ...] = ()
    identities_only: bool = False
    identity_agent: str = ""
    """Path of the agent's socket; empty where there is none."""
    jump: str = ""
    """Hosts to go through, with commas between them."""
    proxy_command: str = ""
    known_as: str = ""
    """HostKeyAlias: what known_hosts calls it, if not by its name."""
    user_known_hosts: tuple[Path, ...] = ()
    global_known_hosts: tuple[Path, ...] = ()
    hash_known_hosts: bool = False
    """Whether names of hosts are not to be read from known_hosts by others."""


def resolve(host: Host, environ: Mapping[str, str] | None = None) -> ClientConfig:
    """The settings of a host: what hosts.txt says, then the SSH configuration.

    Blocks some milliseconds; `Match exec` may take longer. Raises WeaverError.
    """
    environ = os.environ if environ is None else environ
    file = environ.get(CONFIG_FILE, "")
    if file and not Path(file).is_file():
        raise WeaverError(
            f"there is no file {file}",
            where=f"{CONFIG_FILE} in the environment",
            fix="name an ssh_config file, or unset it",
        )
    ssh = shutil.which("ssh")
    if ssh is None:
        return _settings(host, _read(host, file), environ)
    if host.user or not host.default_user:
        return _settings(host, _asked(ssh, host, file), environ)
    with tempfile.NamedTemporaryFile("w", prefix="weaver-", suffix=".ssh_config") as below:
        # `ssh -G` fills in a user where nobody has named one: the default must be the last word.
        below.write(_with_default_user(host.default_user, file))
        below.flush()
        return _settings(host, _asked(ssh, host, file, below.name), environ)


def _with_default_user(user: str, file: str) -> str:
    """An ssh_config that says what the user's says, and then who logs in."""
    own = [str(Path(file).absolute())] if file else ["~/.ssh/config", "/etc/ssh/ssh_config"]
    included = "".join(f'Include "{path}"\n' for path in own)
    return f"{included}Host *\n  User {user}\n"


def _asked(ssh: str, host: Host, file: str, read: str = "") -> dict[str, list[str]]:
    """What `ssh -G` prints, by lower-case keyword; it reads the file `read`, or else `file`."""
    read = read or file
    command = [ssh, "-G", "-T", *(("-F", read) if read else ())]
    command += ["-p", str(host.port)] if host.port else []
    command += ["-l", host.user] if host.user else []
    try:
        done = subprocess.run(  # noqa: S603 - a list, and `--` before what users write
            [*command, "--", host.host],
            capture_output=True,
            stdin=subprocess.DEVNULL,
            text=True,
            errors="surrogateescape",
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise WeaverError(
            f"`ssh -G {host.host}` did not end within {_PATIENCE:g} s",
            where=host.where,
            why="a `Match exec` in the SSH configuration may be waiting",
            fix=f"run it yourself: ssh -G {host.host}",
        ) from None
    if done.returncode != 0:
        raise WeaverError(
            f"the SSH configuration cannot be used for {host.name}",
            where=file or "~/.ssh/config",
            why=(done.stderr.strip() or "ssh -G failed").splitlines()[0],
            fix=f"run it yourself: ssh -G {host.host}",
        )
    found: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        keyword, _, value = line.partition(" ")
        found.setdefault(keyword.lower(), []).append(value)
    return found


def _read(host: Host, file: str) -> dict[str, list[str]]:
    """What paramiko's reader finds, in the form of `ssh -G`."""
    import paramiko

    path = Path(file or "~/.ssh/config").expanduser()
    config = paramiko.SSHConfig()
    try:
        if path.is_file():
            config = paramiko.SSHConfig.from_path(str(path))
        looked_up = config.lookup(host.host)
    except (OSError, paramiko.SSHException, ImportError) as error:
        raise WeaverError(
            f"the SSH configuration cannot be used for {host.name}",
            where=str(path),
            why=str(error),
            fix="install the ssh command, which reads all of it, or simplify the file",
        ) from error
    found: dict[str, list[str]] = {}
    # Its type says that every value is text; IdentityFile and others have a list.
    for keyword, value in cast("Mapping[str, str | list[str]]", looked_up).items():
        found[keyword] = [value] if isinstance(value, str) else list(value)
    found.setdefault("identityfile", [f"~/.ssh/{name}" for name in _DEFAULT_KEYS])
    found.setdefault("userknownhostsfile", ["~/.ssh/known_hosts ~/.ssh/known_hosts2"])
    found.setdefault("globalknownhostsfile", ["/etc/ssh/ssh_known_hosts"])
    return found


def _settings(
    host: Host, found: Mapping[str, list[str]], environ: Mapping[str, str]
) -> ClientConfig:
    def first(keyword: str) -> str:
        value = found.get(keyword, [""])[0]
        return "" if value.lower() == "none" else value

    hostname = first("hostname").strip("[]") or host.host
    port = host.port or int(first("port") or 22)
    user = host.user or first("user") or host.default_user or environ.get("USER", "root")
    tokens = {"h": hostname, "n": host.host, "p": str(port), "r": user, "%": "%"}
    tokens |= {"d": str(Path.home()), "u": environ.get("USER", ""), "k": host.host}
    tokens["k"] = first("hostkeyalias") or tokens["k"]

    def paths(keyword: str) -> tuple[Path, ...]:
        texts = (_path(text, tokens) for value in found.get(keyword, []) for text in _split(value))
        return tuple(dict.fromkeys(text for text in texts if str(text).lower() != "none"))

    return ClientConfig(
        hostname=hostname,
        port=port,
        user=user,
        identity_files=tuple(
            dict.fromkeys(_path(text, tokens) for text in found.get("identityfile", []))
        ),
        identities_only=first("identitiesonly") in {"yes", "true"},
        identity_agent=_agent(found, tokens, environ),
        jump="" if host.jump == "none" else host.jump or first("proxyjump"),
        proxy_command="" if host.jump else _expanded(first("proxycommand"), tokens),
        known_as=first("hostkeyalias"),
        user_known_hosts=paths("userknownhostsfile"),
        global_known_hosts=paths("globalknownhostsfile"),
        hash_known_hosts=first("hashknownhosts") in {"yes", "true"},
    )


def _agent(
    found: Mapping[str, list[str]], tokens: Mapping[str, str], environ: Mapping[str, str]
) -> str:
    """The socket of the agent, by `IdentityAgent` or the environment."""
    named = found.get("identityagent", ["SSH_AUTH_SOCK"])[0]
    if named.lower() == "none":
        return ""
    if named == "SSH_AUTH_SOCK":
        return environ.get("SSH_AUTH_SOCK", "")
    if named.startswith("$"):
        return environ.get(named.strip("${}"), "")
    return str(_path(named, tokens))


def _split(value: str) -> list[str]:
    """Files of a list, which `ssh -G` prints without quotes: each begins as a path does."""
    return re.split(r"\s+(?=[/~%])", value.strip())


def _path(text: str, tokens: Mapping[str, str]) -> Path:
    return Path(_expanded(text.strip('"'), tokens)).expanduser()


def _expanded(text: str, tokens: Mapping[str, str]) -> str:
    """The text with `%h` and the like replaced; others are left."""
    return re.sub(r"%(.)", lambda match: tokens.get(match[1], match[0]), text)
