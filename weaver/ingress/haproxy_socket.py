"""The runtime socket of HAProxy: one command, one answer; and the figures in "show stat".

Decides what an answer means. It must not know why anything is asked.
"""

import asyncio
import csv
from collections.abc import Mapping
from typing import Final

import msgspec

from weaver.errors import WeaverError

_TIME: Final = 5.0
"""Seconds that HAProxy has for one answer."""


class HAProxyError(WeaverError):
    """HAProxy cannot be reached, or did not do what it was told."""


class Figures(msgspec.Struct, frozen=True):
    """A row of "show stat", of a backend or, with `server`, of one of its servers.

    Counters run since HAProxy has started. `milliseconds` is what recent requests took on average.
    """

    backend: str
    server: str
    address: str = ""
    requests: int = 0
    errors: int = 0
    aborted: int = 0
    in_flight: int = 0
    milliseconds: int = 0


class RuntimeSocket:
    """The Unix socket at `path` ("stats socket ... level admin")."""

    def __init__(self, path: str) -> None:
        self._path = path

    async def ask(self, command: str) -> str:
        """The answer to a command. Raises `HAProxyError` if none comes."""
        try:
            async with asyncio.timeout(_TIME):
                reader, writer = await asyncio.open_unix_connection(self._path)
                try:
                    writer.write(command.encode() + b"\n")
                    return (await reader.read(-1)).decode(errors="replace").strip()
                finally:
                    writer.close()
        except (OSError, TimeoutError) as error:
            raise HAProxyError(
                "HAProxy cannot be asked",
                where=self._path,
                why=str(error) or "it does not answer",
                fix='give it "stats socket PATH mode 600 level admin" and read and write access',
            ) from error

    async def order(self, command: str, *, accept: str = "") -> str:
        """Have a command carried out. Raises `HAProxyError` unless it is.

        What HAProxy says then is nothing, or begins with `accept`.
        """
        said = await self.ask(command)
        if said and not (accept and said.startswith(accept)):
            raise HAProxyError("HAProxy refuses an order", where=command, why=said)
        return said

    async def figures(self) -> list[Figures]:
        """All rows of backends and servers. Raises `HAProxyError`."""
        return parse_figures(await self.ask("show stat"))

    async def map_of(self, path: str) -> Mapping[str, str]:
        """The entries of a map file as they are in memory. Raises `HAProxyError`."""
        said = await self.ask(f"show map {path}")
        lines = [line.split(" ", 2)[1:] for line in said.splitlines() if line.startswith("0x")]
        if not lines and "nknown map" in said:
            raise HAProxyError("HAProxy has no such map", where=path, why=said)
        return {line[0]: line[1] if len(line) > 1 else "" for line in lines}


def parse_figures(text: str) -> list[Figures]:
    """The rows of an answer to "show stat"; columns are found by their names."""
    found: list[Figures] = []
    for row in csv.DictReader(text.lstrip("# ").splitlines()):
        if not row.get("pxname") or row.get("svname") in {None, "FRONTEND"}:
            continue
        server = "" if row["svname"] == "BACKEND" else str(row["svname"])
        found.append(
            Figures(
                backend=str(row["pxname"]),
                server=server,
                address=row.get("addr") or "",
                requests=_number(row.get("req_tot")) or _number(row.get("stot")),
                errors=_number(row.get("hrsp_5xx")),
                aborted=_number(row.get("cli_abrt")),
                in_flight=_number(row.get("scur")),
                milliseconds=_number(row.get("ttime")),
            )
        )
    return found


def _number(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0
