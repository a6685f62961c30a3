"""What `weaver check` says of hooks and certificates that weaver.toml names."""

from pathlib import Path

import pytest

from weaver.application.surroundings import certificate_problems, hook_notes, hook_problems
from weaver.config.load import load
from weaver.deployers.certificates import create_authority
from weaver.errors import Problem


def hooks(line: str) -> list[Problem]:
    return list(hook_problems(load(f"[rollout]\n{line}\n")))


def test_commands_as_they_should_be_are_no_problem() -> None:
    assert hooks("before = \"python -m shop.migrate --to 'the last one'\"") == []
    assert hooks("") == []


def test_a_quote_that_is_not_closed_is_told_with_its_line() -> None:
    (found,) = hooks('before = "echo \'half"')
    assert found.where == "weaver.toml:2"
    assert "no closing quotation" in found.why


def test_an_empty_command_is_told() -> None:
    (found,) = hooks('after = " "')
    assert found.what == "[rollout] after is empty"


def test_what_only_a_shell_understands_comes_with_how_to_run_one() -> None:
    (found,) = hooks('after = "a --b && c"')
    assert "not run by a shell" in found.what
    assert found.fix == "write: after = \"sh -c 'a --b && c'\""
    assert hooks(found.fix.removeprefix("write: ")) == []


def test_a_command_that_is_not_here_is_only_a_note() -> None:
    config = load('[rollout]\nbefore = "no-such-command-here x"\nafter = "python -V"\n')
    (note,) = hook_notes(config)
    assert "no-such-command-here" in note.what


TLS = '[listeners.http]\ntls = { cert = "cert.pem", key = "key.pem" }\n'


def certificates(folder: Path, more: str = "") -> list[Problem]:
    return list(certificate_problems(load(TLS + more), folder))


def test_missing_files_are_told_each_with_its_place(tmp_path: Path) -> None:
    found = certificates(tmp_path)
    assert [problem.what for problem in found] == [
        "[listeners.http] tls: there is no file cert.pem",
        "[listeners.http] tls: there is no file key.pem",
    ]
    assert all(problem.where == "weaver.toml:2" for problem in found)


def test_files_of_hosts_are_not_looked_for_here(tmp_path: Path) -> None:
    assert certificates(tmp_path, '[ssh]\nhosts = "hosts.txt"\n') == []


def test_a_certificate_and_its_key_are_no_problem(tmp_path: Path) -> None:
    own = create_authority("test").issue("local")
    (tmp_path / "cert.pem").write_bytes(own.certificate)
    (tmp_path / "key.pem").write_bytes(own.key)
    assert certificates(tmp_path) == []


@pytest.mark.parametrize("other", ["another key", "no PEM"])
def test_a_key_of_another_certificate_is_told(tmp_path: Path, other: str) -> None:
    authority = create_authority("test")
    (tmp_path / "cert.pem").write_bytes(authority.issue("local").certificate)
    key = authority.issue("other").key if other == "another key" else b"nothing"
    (tmp_path / "key.pem").write_bytes(key)
    (found,) = certificates(tmp_path)
    assert "cannot be used" in found.what
    assert found.why
