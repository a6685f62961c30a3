"""A unit of systemd for the envelope of one deployment, so that it survives a restart of its host.

Decides the text of the unit and of the script that enables it. The envelope removes the unit itself
when a manager has ended it: see `--unit` there.
"""

import re
import shlex
from collections.abc import Sequence
from typing import Final

ENABLED: Final = "weaver-unit: enabled"
LINGERS: Final = "weaver-unit: lingers"
RUNTIME: Final = 'export XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$(id -u)}"\n'
"""systemctl finds the user's manager there; a session without PAM has no such variable."""

_FOLDER: Final = '"${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user"'


def unit_name(app: str, deployment: str) -> str:
    """The name of the unit of a deployment."""
    return f"weaver-{re.sub(r'[^A-Za-z0-9_.-]', '_', app)}-{deployment}.service"


def unit_text(app: str, words: Sequence[str], folder: str) -> str:
    """The unit that runs these words in a folder of the host.

    It holds nothing secret: the envelope waits for its manager, which has what the application
    needs. What ends by itself is not started again; what a signal ends, is.
    """
    return f"""\
[Unit]
Description=weaver: replicas of {_escaped(app)}

[Service]
Type=forking
ExecStart={" ".join(_quoted(word) for word in words)}
WorkingDirectory={_escaped(folder)}
UMask=0077
Restart=on-abnormal
RestartSec=1
KillMode=mixed
TimeoutStartSec=60

[Install]
WantedBy=default.target
"""


def enabling(name: str, text: str) -> str:
    """A script for `sh -s` that writes a unit and enables it, where systemd manages the user's.

    It prints ENABLED if so, and LINGERS if the unit will begin without a login.
    """
    path = f"{_FOLDER}/{name}"
    return f"""\
umask 077
{RUNTIME}systemctl --user show-environment >/dev/null 2>&1 </dev/null || exit 0
mkdir -p {_FOLDER} || exit 1
printf %s {shlex.quote(text)} >{path} || exit 1
systemctl --user daemon-reload </dev/null && systemctl --user enable {name} </dev/null || {{
  rm -f {path}
  exit 1
}}
echo {shlex.quote(ENABLED)}
loginctl enable-linger >/dev/null 2>&1 </dev/null && echo {shlex.quote(LINGERS)}
exit 0
"""


def removing(name: str) -> str:
    """A script for `sh -s` that removes a unit whose envelope has never begun."""
    return (
        f"{RUNTIME}systemctl --user disable {name} >/dev/null 2>&1 </dev/null\n"
        f"rm -f {_FOLDER}/{name}\n"
    )


def _escaped(text: str) -> str:
    return text.replace("%", "%%").replace("\n", " ")


def _quoted(word: str) -> str:
    """A word of ExecStart, as systemd reads it."""
    plain = _escaped(word).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{plain}"'
