"""The documentation is true: its programs run, its transcripts are what the commands print.

A page is played in a folder of its own, block by block:

- a `python` or `toml` block whose first line is `# name.py` or `# name.toml` is written as that
  file;
- the other `python` blocks of a page are one program, run at its end; the other `toml` blocks must
  be a valid weaver.toml; a block that stands in an example as it is, is tested there;
- `console` blocks are run and their output compared; a line `...` stands for any lines. Commands
  other than python, weaver and curl are not run;
- a block `console serving` leaves its program running for the `curl` commands after it.
"""

import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import weaver
from weaver.cli.main import COMMANDS
from weaver.config.load import load

ROOT = Path(__file__).parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    ROOT / "tests" / "README.md",
    ROOT / "bench" / "README.md",
]
FENCE = re.compile(r"^```(\w*) ?([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE_NAME = re.compile(r"# ([\w./-]+\.(?:py|toml))\n")
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
ANY_PORT = {"WEAVER__LISTENERS__HTTP__ADDRESS": "127.0.0.1:0"}


def shown(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


@dataclass
class Block:
    language: str
    words: str
    text: str

    @property
    def commands(self) -> list[tuple[str, str]]:
        """The commands of a transcript, each with the output that follows it."""
        parts = re.split(r"^\$ ", self.text, flags=re.MULTILINE)
        return [(command, output) for command, _, output in (p.partition("\n") for p in parts[1:])]


def blocks(page: Path) -> list[Block]:
    return [Block(*found) for found in FENCE.findall(page.read_text())]


@dataclass
class Player:
    """Plays one page in a folder."""

    folder: Path
    program: list[str] = field(default_factory=list[str])
    serving: "subprocess.Popen[str] | None" = None
    address: str = ""

    def play(self, block: Block) -> None:
        name = FILE_NAME.match(block.text)
        if block.language in {"python", "toml"} and name:
            path = self.folder / name[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text)
        elif block.language == "python":
            self.program.append(block.text)
        elif block.language == "toml":
            load(block.text, source="a page", environ={})
        elif block.words == "serving":
            self.serve(*block.commands[0])
        elif block.language == "console":
            for command, output in block.commands:
                self.check(command, output)

    def check(self, command: str, output: str) -> None:
        first, *rest = shlex.split(command, comments=True)
        if first == "curl":
            url = re.sub(r"http://127\.0\.0\.1:\d+", self.address, rest[-1])
            with urllib.request.urlopen(url, timeout=30) as response:
                assert response.read().decode().strip() == output.strip()
        elif first in {"python", "weaver"}:
            done = subprocess.run(
                arguments(command),
                cwd=self.folder,
                env=environment(),
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=50,
                check=False,
            )
            self.compare(output, done.stdout)

    def serve(self, command: str, output: str) -> None:
        self.serving = subprocess.Popen(
            arguments(command),
            cwd=self.folder,
            env=environment() | ANY_PORT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self.serving.stdout is not None
        lines = [self.serving.stdout.readline() for _ in output.splitlines()]
        self.compare(output, "".join(lines))
        self.address = re.findall(r"http://[\d.:]+", lines[-1])[0]

    def compare(self, expected: str, actual: str) -> None:
        pattern = "".join(
            r"(?:.*\n)*?" if line == "..." else re.escape(line) + r"\n"
            for line in plain(expected, self.folder).splitlines()
        )
        assert re.fullmatch(pattern, plain(actual, self.folder)), actual

    def end(self) -> None:
        if self.program:
            (self.folder / "page.py").write_text("\n\n".join(self.program))
            subprocess.run(
                [sys.executable, "-W", "error", "page.py"],
                cwd=self.folder,
                env=environment(),
                timeout=50,
                check=True,
            )
        if self.serving is not None:
            self.serving.send_signal(signal.SIGINT)
            assert self.serving.wait(timeout=50) == 0
            assert self.serving.stdout is not None
            self.serving.stdout.close()
            self.serving = None

    def kill(self) -> None:
        """After a failure."""
        if self.serving is not None and self.serving.stdout is not None:
            self.serving.kill()
            self.serving.wait()
            self.serving.stdout.close()


def arguments(command: str) -> list[str]:
    first, *rest = shlex.split(command, comments=True)
    return [sys.executable, *([] if first == "python" else ["-m", "weaver"]), *rest]


def environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("WEAVER", "PYTEST"))}
    return kept | {"NO_COLOR": "1", "COLUMNS": "80", "PYTHONDONTWRITEBYTECODE": "1"}


def plain(text: str, folder: Path) -> str:
    """Text without what differs from run to run: times, ports, folders, and trailing blanks."""
    text = text.replace(f"{folder}/", "").replace(str(folder), "")
    text = re.sub(r"\d\d:\d\d:\d\d", "HH:MM:SS", text)
    text = re.sub(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT", text)
    text = re.sub(r"\d+\.\d+s", "N.NNs", text)
    return re.sub(r"[ \t]+$", "", text, flags=re.MULTILINE).strip("\n") + "\n"


@pytest.fixture
def player(tmp_path: Path) -> Iterator[Player]:
    player = Player(tmp_path)
    yield player
    player.kill()


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_a_page_is_true(page: Path, player: Player) -> None:
    examples = [path.read_text() for path in (ROOT / "examples").rglob("*.py")]
    for block in blocks(page):
        if not any(block.text in example for example in examples):
            player.play(block)
    player.end()


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_every_link_leads_somewhere(page: Path) -> None:
    local = [link for link in LINK.findall(page.read_text()) if "://" not in link]
    assert [link for link in local if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=shown)
def test_every_command_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = page.read_text()
    made = set(re.findall(r"(?:^\$ |`)make ([a-z]+)", named, re.MULTILINE))
    run = set(re.findall(r"(?:^\$ |`)weaver ([a-z]+)", named, re.MULTILINE))
    assert made - targets == set()
    assert run - set(COMMANDS) == set()


def test_the_changelog_has_the_current_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == weaver.__version__
    assert f"## [{weaver.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_decisions_are_numbered_without_a_gap() -> None:
    names = sorted(path.name for path in (ROOT / "docs" / "decisions").glob("*.md"))
    assert [name[:4] for name in names] == [f"{n:04}" for n in range(1, len(names) + 1)]


def test_a_wrong_transcript_is_noticed(tmp_path: Path) -> None:
    player = Player(tmp_path)
    player.check('python -c "print(1); print(2)"', "...\n2\n")
    with pytest.raises(AssertionError):
        player.check('python -c "print(1)"', "2\n")
