"""An application under test: started on entry of a `with` block, stopped and checked on exit."""

import asyncio
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Final, Literal, Self, TypeVar

from weaver.component import registry
from weaver.config.load import load_mapping
from weaver.deployers.in_process import InProcess
from weaver.errors import UsageError
from weaver.proclet.current import Running, running
from weaver.proclet.definition import Fakes, define
from weaver.proclet.importing import import_name
from weaver.proclet.web_entry import web_entry
from weaver.testing.multi import ManyProcesses

T = TypeVar("T")
Runner = Literal["local", "rpc", "multi"]
RUNNERS: Final[tuple[Runner, ...]] = ("local", "rpc", "multi")
_TABLES: Final = frozenset({"app", "components", "groups", "listeners", "placement", "package"})


class TestApp:
    """A running application: `get` gives references, `address` tells where a listener listens.

    Use it as `async with` in async tests, on their own event loop; or as `with` in plain tests,
    where the application runs in a thread and `weaver.wait` reaches async methods.
    """

    __test__ = False  # not a test class, whatever its name

    def __init__(
        self,
        roots: Sequence[Any],
        *,
        runner: Runner,
        fakes: Sequence[object] | Mapping[type[Any], object],
        config: Mapping[Any, Any] | None,
        main: bool,
    ) -> None:
        self.runner: Runner = runner
        self._roots = _roots(roots)
        self._fakes = Fakes(fakes)
        self._tables, self._source = _tables(config), f"config= in {_caller()}"
        self._config = load_mapping(self._tables, source=self._source)
        self._main = main
        self._running: Running | None = None
        self._main_task: asyncio.Task[None] | None = None
        self._application: InProcess | ManyProcesses | None = None
        self._thread: _Thread | None = None

    def get(self, component: Callable[..., T]) -> T:
        """A reference to a component of the application, as code outside components gets it."""
        if self._running is None:
            raise UsageError(
                "the application under test is not running",
                fix="call get inside `async with weaver_app(…) as app:`",
            )
        return self._running.get(component)

    def address(self, listener: str = "http") -> str:
        """The "host:port" a listener is bound to. Raises UsageError for an unknown name."""
        addresses = self._application.listeners if self._application else {}
        if listener not in addresses:
            raise UsageError(
                f'the application has no listener "{listener}"',
                why=f"it has: {', '.join(addresses) or 'none'}",
                fix="a listener is a field annotated weaver.Listener, named by the field",
            )
        return addresses[listener]

    async def kill(self, component: type[Any]) -> int:
        """Kill one replica that hosts a component (SIGKILL), with all else that it hosts.

        Returns its pid when the manager has seen its end: calls go to other replicas, or wait for
        the new one, which is being started. Under the runner `multi` only, and not for a fake;
        elsewhere, and where no replica is ready, it raises UsageError.
        """
        if self._running is None or not isinstance(self._application, ManyProcesses):
            raise UsageError(
                "there is no replica to kill",
                why=f"under the runner {self.runner} the application is in the test's process",
                fix='mark the test with @pytest.mark.weaver_runners("multi")',
            )
        return await self._application.kill(self._running.name_of(component))

    async def __aenter__(self) -> Self:
        self._application = self._make()
        await self._application.start()
        self._running = running()
        self._main_task = asyncio.get_running_loop().create_task(self._application.run_main())
        return self

    def _make(self) -> "InProcess | ManyProcesses":
        definition = define(self._roots, self._fakes)
        entry = definition.roots[0] if self._main else None
        if self.runner != "multi":
            return InProcess(
                definition,
                self._config,
                entry=entry,
                calls=self.runner,
                strict_copies=True,
                app=self._config.app.name or "test",
            )
        return ManyProcesses.of(definition, self._tables, source=self._source, entry=entry or "")

    async def __aexit__(self, *error: object) -> None:
        assert self._application is not None
        assert self._main_task is not None
        try:
            self._application.request_stop()
            await asyncio.wait((self._main_task,))
        finally:
            await self._application.stop()
            self._running = None
        if error[0] is None:
            self._main_task.result()
        elif not self._main_task.cancelled():
            self._main_task.exception()

    def __enter__(self) -> Self:
        self._thread = _Thread(self)
        self._thread.enter()
        return self

    def __exit__(self, *_error: object) -> None:
        assert self._thread is not None
        self._thread.leave()


def weaver_app(
    *components: Any,
    runner: Runner = "local",
    fakes: Sequence[object] | Mapping[type[Any], object] = (),
    config: Mapping[Any, Any] | None = None,
    main: bool = True,
) -> TestApp:
    """An application under test, to be entered with `async with` or `with`.

    `components` are the entry and any others to include besides what they refer to: component
    classes, a web application object, or "package.module:name". `fakes` are objects that stand for
    components and interfaces, found by type, or a mapping from class to object. `config` has the
    form of weaver.toml, or maps component names or classes to their sections. With `main=False`
    the entry's `main` is not run. Raises DefinitionError, ConfigError and StartError on entry;
    an error of `main` is raised on exit.
    """
    if not components:
        raise UsageError(
            "weaver_app was given no component",
            fix="pass the entry component, as in weaver_app(Web)",
        )
    return TestApp(components, runner=runner, fakes=fakes, config=config, main=main)


class _Thread:
    """Runs the application on a loop of its own for plain tests."""

    def __init__(self, app: TestApp) -> None:
        self._app = app
        self._ready: Future[None] = Future()
        self._end: Future[None] = Future()
        self._thread = threading.Thread(target=self._work, name="weaver-test")

    def enter(self) -> None:
        self._thread.start()
        try:
            self._ready.result()
        except BaseException:
            self._thread.join()
            raise

    def leave(self) -> None:
        self._end.set_result(None)
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    _failure: BaseException | None = None

    def _work(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 # raised again in the thread of the test
            if self._ready.done():
                self._failure = error
            else:
                self._ready.set_exception(error)

    async def _serve(self) -> None:
        async with self._app:
            self._ready.set_result(None)
            await asyncio.wrap_future(self._end)


def _roots(given: Sequence[Any]) -> list[type[Any]]:
    roots: list[type[Any]] = []
    for item in given:
        if isinstance(item, str):
            roots += _named_roots(item)
        elif isinstance(item, type):
            roots.append(item)
        elif callable(item):
            roots.append(web_entry(item, f"{__name__}:app"))
        else:
            roots.append(item)  # refused with the other definition problems
    return roots


def _named_roots(name: str) -> list[type[Any]]:
    """The component or web application of this name; with the latter, its package's components."""
    found = import_name(name)
    if registry.declaration_of(found) is not None or isinstance(found, type):
        return [found]
    package = name.partition(":")[0].partition(".")[0]
    return [
        web_entry(found, name),
        *(
            d.cls
            for d in registry.declared()
            if d.cls.__module__.partition(".")[0] == package and "<locals>" not in d.full_name
        ),
    ]


def _tables(given: Mapping[Any, Any] | None) -> dict[str, Any]:
    """Tables in the form of weaver.toml, from such or from sections by component name or class."""
    given = dict(given or {})
    tables = {k: v for k, v in given.items() if k in _TABLES}
    sections = {
        (registry.full_name(k) if isinstance(k, type) else k): v
        for k, v in given.items()
        if k not in _TABLES
    }
    tables["components"] = {**tables.get("components", {}), **sections}
    return tables


def _caller() -> str:
    frame = sys._getframe(1)  # noqa: SLF001
    while frame.f_back is not None and frame.f_code.co_filename == __file__:
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}"
