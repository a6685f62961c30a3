"""Which deployment this process belongs to."""

import dataclasses
import os
import secrets
import socket


@dataclasses.dataclass(frozen=True, slots=True)
class Deployment:
    """Names of where this code runs; `version` is the build id, "unbuilt" for plain sources.

    `group` and `replica` are the placement group and the number of the process in it.
    """

    app: str
    version: str = "unbuilt"
    deployment: str = dataclasses.field(default_factory=lambda: secrets.token_hex(4))
    group: str = "main"
    replica: str = dataclasses.field(default_factory=lambda: f"main-{os.getpid()}")
    host: str = dataclasses.field(default_factory=socket.gethostname)
