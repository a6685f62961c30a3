"""What the runtime gives to components besides references: config, secrets, listeners.

All problems of all components are found in one pass, before any of them is created.
"""

import asyncio
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weaver.component.graph import Graph
from weaver.component.model import Component
from weaver.component.values import Secret
from weaver.config.configuration import Config
from weaver.config.section import build_section, check_section, secret_value
from weaver.errors import ConfigError, Problem
from weaver.proclet.http_sockets import Sockets
from weaver.transport.certificate import Certificate
from weaver.transport.listening import bind

if TYPE_CHECKING:
    from weaver.proclet.listeners import BoundListener

NO_ADDRESS = "127.0.0.1:0"
"""A listener without `[listeners.NAME]` gets a free port of this host."""


class Injection:
    """Builds what fields ask for; `folder` is that of weaver.toml. `close()` frees addresses.

    `hosted` limits it to these components; `sockets` are those of listeners by name, which it owns
    from now on, in place of those it would bind.
    """

    def __init__(
        self,
        graph: Graph,
        config: Config,
        *,
        folder: Path | None = None,
        environ: Mapping[str, str] | None = None,
        hosted: Collection[str] | None = None,
        sockets: Mapping[str, Sockets] | None = None,
        accepting: bool = True,
    ) -> None:
        self._folder = folder or Path()
        self._graph = graph
        self._config = config
        self._environ = os.environ if environ is None else environ
        self._hosted = frozenset(graph.components if hosted is None else hosted)
        self._sockets = dict(sockets or {})
        self._accepting = accepting
        self.listeners: dict[str, "BoundListener"] = {}

    def values(self) -> dict[tuple[str, str], Any]:
        """The value of each config, secret and listener field, by (component, field name).

        Raises ConfigError with all problems at once, ListenerError for an address in use, or a
        certificate that cannot be used.
        """
        values, problems = self._configured_values()
        if problems:
            raise ConfigError(problems)
        try:
            for component in self._components():
                for field in component.fields_of("listener"):
                    values[component.full_name, field.name] = self._listener(component, field.name)
        except BaseException:
            self.close()
            raise
        return values

    def problems(self) -> list[Problem]:
        """What is wrong with the configuration of these components; binds nothing."""
        return self._configured_values()[1]

    def _configured_values(self) -> tuple[dict[tuple[str, str], Any], list[Problem]]:
        values: dict[tuple[str, str], Any] = {}
        problems: list[Problem] = []
        try:
            self._check_names()
        except ConfigError as error:
            problems += error.problems
        for component in self._components():
            found, faults = self._section(component)
            values |= {(component.full_name, name): value for name, value in found.items()}
            problems += [p for p in faults if str(p) not in map(str, problems)]
        return values, problems

    def _section(self, component: Component) -> tuple[dict[str, Any], list[Problem]]:
        """The config and secrets of one component by field name, and what is wrong with them."""
        common: Any = {
            "component": component.full_name,
            "short": component.short_name,
            "environ": self._environ,
            "read_file": self._read_file,
        }
        secrets = component.fields_of("secret")
        values: dict[str, Any] = {}
        problems: list[Problem] = []
        try:
            others = [field.name for field in secrets]
            config = component.fields_of("config")
            if config:
                type_: Any = config[0].type
                values[config[0].name] = build_section(
                    self._config, type_=type_, secrets=others, **common
                )
            else:
                check_section(
                    self._config,
                    component=component.full_name,
                    short=component.short_name,
                    secrets=others,
                )
        except ConfigError as error:
            problems += error.problems
        for field in secrets:
            try:
                value = secret_value(self._config, field=field.name, type_=field.type, **common)
                values[field.name] = Secret(value)
            except ConfigError as error:
                problems += error.problems
        return values, problems

    def _components(self) -> list[Component]:
        return [c for c in self._graph.components.values() if c.full_name in self._hosted]

    def accept(self, *, accepting: bool) -> None:
        """Whether the listeners take connections from their sockets."""
        for listener in self.listeners.values():
            listener.accept(accepting=accepting)

    def private_addresses(self) -> dict[str, str]:
        """Where an ingress of this host reaches the listeners that have such an address."""
        return {name: each.private for name, each in self.listeners.items() if each.private}

    def addresses_beyond(self) -> dict[str, str]:
        """Where an ingress of another host reaches the listeners that have such an address."""
        return {name: each.beyond for name, each in self.listeners.items() if each.beyond}

    async def drain(self, *, others: bool = False) -> bool:
        """Stop accepting on every listener; whether anything was being served.

        `others`: other processes go on with idle connections.
        """
        draining = [listener.drain(others=others) for listener in self.listeners.values()]
        drained = await asyncio.gather(*draining)
        return any(drained)

    def close(self) -> None:
        """Give all addresses back."""
        for listener in self.listeners.values():
            listener.close()

    def _check_names(self) -> None:
        components = self._graph.components.values()
        self._config.check_names(
            {c.full_name: c.short_name for c in components},
            [f.name for c in components for f in c.fields_of("listener")],
        )

    def _listener(self, component: Component, name: str) -> "BoundListener":
        from weaver.proclet.listeners import BoundListener  # with uvicorn, of 0.1 s

        sockets = self._sockets.pop(name, None)
        if sockets is None:
            sockets = Sockets(bind(self._config.listener(name).address or NO_ADDRESS))
        try:
            sockets = sockets._replace(certificate=self._certificate(name))
        except BaseException:
            sockets.close()
            raise
        listener = BoundListener(
            name,
            sockets,
            component=component.short_name,
            grace=self._config.app.stop_timeout,
            accepting=self._accepting,
        )
        self.listeners[name] = listener
        return listener

    def _certificate(self, name: str) -> Certificate | None:
        table = self._config.listener(name).tls
        if table is None:
            return None
        return Certificate(self._folder / table.cert, self._folder / table.key)

    def _read_file(self, name: str) -> str:
        return (self._folder / name).read_text(encoding="utf-8")
