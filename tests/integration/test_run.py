"""`weaver run` and `python app.py` as a user runs them: real processes, signals and exit codes."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SERVER = """
import weaver

@weaver.component
class Greeter:
    async def greet(self, name: str) -> str:
        return f"Hello, {name}"
    async def stop(self) -> None:
        print("greeter stopped", flush=True)

@weaver.component
class Web:
    greeter: Greeter
    http: weaver.Listener

    async def main(self) -> None:
        async def app(scope, receive, send):
            if scope["type"] != "http":
                return
            body = (await self.greeter.greet(scope["path"])).encode()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": body})
        await self.http.serve(app)

    async def stop(self) -> None:
        print("web stopped", flush=True)

if __name__ == "__main__":
    weaver.run(Web)
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts processes in a project folder, and ends those that a test leaves running."""
    processes: list[subprocess.Popen[str]] = []

    def run(*args: str, **files: str) -> "subprocess.Popen[str]":
        for name, text in files.items():
            (tmp_path / name.replace("__", ".")).write_text(textwrap.dedent(text))
        process = subprocess.Popen(
            [sys.executable, *args],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"},
        )
        processes.append(process)
        return process

    yield run
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.communicate()


def address_of(process: "subprocess.Popen[str]") -> str:
    """The URL of the listener that the process announces."""
    assert process.stdout is not None
    for line in process.stdout:
        if "http://" in line:
            return line[line.index("http://") :].split()[0]
    raise AssertionError("the process ended without announcing a listener")


def finish(process: "subprocess.Popen[str]", code: int) -> str:
    output, _ = process.communicate(timeout=50)
    assert process.returncode == code, output
    return output


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=30) as response:
        body: bytes = response.read()
    return body.decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_everything_in_order(start: Start, number: signal.Signals) -> None:
    process = start("-m", "weaver", "run", "app:Web", app__py=SERVER)
    assert fetch(address_of(process) + "/bob") == "Hello, /bob"
    process.send_signal(number)
    output = finish(process, 0)
    assert output.index("web stopped") < output.index("greeter stopped")
    assert "Traceback" not in output


def test_python_app_py_runs_the_same(start: Start) -> None:
    process = start("app.py", app__py=SERVER)
    assert fetch(address_of(process) + "/x") == "Hello, /x"
    process.terminate()
    assert "greeter stopped" in finish(process, 0)


def test_a_weaver_toml_names_entry_listener_config_and_environment(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    app = """
    import os
    import weaver
    from dataclasses import dataclass
    SEEN = os.environ["SHOP_MODE"]

    @dataclass
    class Settings:
        text: str

    @weaver.component
    class Web:
        config: Settings
        http: weaver.Listener
        async def main(self) -> None:
            print(SEEN, self.config.text, self.http.address, weaver.deployment().app, flush=True)
    """
    toml = f"""
    [app]
    name = "shop"
    entry = "app:Web"
    env = {{ SHOP_MODE = "test" }}
    [components.Web]
    text = "from toml"
    [listeners.http]
    address = "127.0.0.1:{port}"
    """
    process = start("-m", "weaver", "run", app__py=app, weaver__toml=toml)
    assert f"test from toml 127.0.0.1:{port} shop" in finish(process, 0)


TALKER = """
import logging
import weaver

@weaver.component
class Web:
    async def main(self) -> None:
        for level in (logging.DEBUG, logging.INFO, logging.WARNING):
            logging.getLogger("shop").log(level, "said at %s", logging.getLevelName(level))
"""


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("debug", ["DEBUG", "INFO", "WARNING"]),
        ("info", ["INFO", "WARNING"]),
        ("WARNING", ["WARNING"]),
        ("30", ["WARNING"]),
        ("wraning", ["INFO", "WARNING"]),
    ],
)
def test_the_log_level_of_app_env_counts(start: Start, level: str, shown: list[str]) -> None:
    toml = f'[app]\nentry = "app:Web"\nenv = {{ LOG_LEVEL = "{level}" }}\n'
    output = finish(start("-m", "weaver", "run", app__py=TALKER, weaver__toml=toml), 0)
    assert re.findall(r"said at (\w+)", output) == shown
    assert ('did you mean "WARNING"' in output) == (level == "wraning")


def test_an_application_that_sets_up_its_own_log_keeps_it(start: Start) -> None:
    own = TALKER + 'logging.basicConfig(level=logging.ERROR, format="%(message)s")\n'
    output = finish(start("-m", "weaver", "run", "app:Web", app__py=own), 0)
    assert "said at" not in output


def test_an_existing_web_application_runs(start: Start) -> None:
    app = """
    import weaver

    @weaver.component
    class Counter:
        n: int = 0
        async def next(self) -> int:
            self.n += 1
            return self.n

    counter = weaver.use(Counter)

    async def app(scope, receive, send):
        if scope["type"] == "http":
            body = str(await counter.next()).encode()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": body})
    """
    process = start("-m", "weaver", "run", "shop:app", shop__py=app)
    url = address_of(process)
    assert [fetch(url), fetch(url)] == ["1", "2"]
    process.terminate()
    finish(process, 0)


def test_an_existing_wsgi_application_reaches_components(start: Start) -> None:
    app = """
    import weaver

    @weaver.component
    class Counter:
        n: int = 0
        async def next(self) -> int:
            self.n += 1
            return self.n
        def twice(self) -> int:
            return self.n * 2

    counter = weaver.use(Counter)

    def app(environ, start_response):
        body = f"{weaver.wait(counter.next())} {counter.twice()}".encode()
        start_response("200 OK", [("Content-Length", str(len(body)))])
        return [body]
    """
    process = start("-m", "weaver", "run", "shop:app", shop__py=app)
    assert fetch(address_of(process)) == "1 2"
    process.terminate()
    finish(process, 0)


def test_a_failing_start_ends_the_run_with_that_error(start: Start) -> None:
    app = """
    import weaver

    @weaver.component
    class Web:
        async def start(self) -> None:
            raise ValueError("no disk left")
        async def main(self) -> None: ...
    """
    output = finish(start("-m", "weaver", "run", "app:Web", app__py=app), 1)
    assert output.count("ValueError: no disk left") == 1
    assert "Web.start failed: ValueError: no disk left" in output
    assert "app.py:7" in output
    assert "fix:   mend Web.start\nrun again with --debug for the traceback\n" in output
    assert "Traceback" not in output


def test_python_app_py_says_how_to_see_the_traceback(start: Start) -> None:
    app = """
    import weaver

    @weaver.component
    class Web:
        async def main(self) -> None:
            raise ValueError("gave up")

    weaver.run(Web)
    """
    output = finish(start("app.py", app__py=app), 1)
    assert "fix: mend Web.main\nrun again with WEAVER_DEBUG=1 for the traceback\n" in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("target", "fix"),
    [
        ("shp:Web", 'did you mean "shop"?'),
        ("shop.wbe:Web", 'did you mean "shop.web"?'),
        ("shop.web.x:Web", "check the name before the colon"),
        ("shop.web:Wbe", 'did you mean "Web"?'),
        ("shop.web", "write `package.module:Name`"),
    ],
)
def test_a_target_that_does_not_exist_gets_the_nearest_name(
    start: Start, tmp_path: Path, target: str, fix: str
) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "web.py").write_text(SERVER)
    (tmp_path / "shop" / "__init__.py").touch()
    assert fix in finish(start("-m", "weaver", "run", target), 2)


def test_debug_shows_the_traceback(start: Start) -> None:
    app = """
    import weaver

    @weaver.component
    class Web:
        async def main(self) -> None:
            raise ValueError("gave up")
    """
    output = finish(start("-m", "weaver", "run", "app:Web", "--debug", app__py=app), 1)
    assert "Web.main failed: ValueError: gave up" in output
    assert "Traceback" in output


def test_a_port_in_use_says_which_and_who(start: Start) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        toml = f'[listeners.http]\naddress = "{address}"\n'
        process = start("-m", "weaver", "run", "app:Web", app__py=SERVER, weaver__toml=toml)
        output = finish(process, 1)
    assert address in output
    assert str(os.getpid()) in output
    assert "Traceback" not in output


def test_all_definition_problems_and_exit_code_2(start: Start) -> None:
    app = """
    import threading
    import weaver

    @weaver.component
    class Store:
        async def put(self, lock: threading.Lock) -> None: ...

    @weaver.component
    class Web:
        async def get(self, user) -> str: ...
        async def main(self) -> None: ...
    """
    output = finish(start("-m", "weaver", "check", "app:Web", app__py=app), 2)
    assert "Store.put: parameter `lock`" in output
    assert "Web.get: parameter `user` has no annotation" in output
    assert "app.py:7" in output
    output = finish(start("-m", "weaver", "run", "app:Web"), 2)
    assert "Store.put" in output
    assert "Web.get" in output


def test_a_second_ctrl_c_ends_at_once(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEAVER__APP__STOP_TIMEOUT", "60s")
    app = """
    import asyncio
    import weaver

    @weaver.component
    class Web:
        async def main(self) -> None:
            print("running", flush=True)
            await asyncio.Event().wait()
        async def stop(self) -> None:
            print("stopping slowly", flush=True)
            await asyncio.sleep(60)
    """
    process = start("-m", "weaver", "run", "app:Web", app__py=app)
    assert process.stdout is not None
    for line in process.stdout:
        if "running" in line:
            break
    process.send_signal(signal.SIGINT)
    for line in process.stdout:
        if "stopping slowly" in line:
            break
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    finish(process, 130)
    assert time.monotonic() - began < 40


def test_a_component_is_reached_under_a_foreign_web_server(start: Start) -> None:
    app = """
    import asyncio
    import weaver

    @weaver.component
    class Greeter:
        async def greet(self) -> str:
            return "hello from a background application"
        def shout(self) -> str:
            return "HELLO"

    greeter = weaver.use(Greeter)

    async def handler() -> str:
        return await greeter.greet()

    print(asyncio.run(handler()))
    print(weaver.wait(greeter.greet()), greeter.shout())
    """
    output = finish(start("app.py", app__py=app), 0)
    assert output.count("hello from a background application") == 2
    assert "HELLO" in output
