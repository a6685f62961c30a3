"""Which hosts a command is about: `--ssh`, or `[ssh]` of weaver.toml, or this machine."""

from pathlib import Path

import pytest

from weaver.cli.hosts import hosts_of
from weaver.cli.main import execute
from weaver.errors import ConfigError, UsageError


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "hosts.txt").write_text("web1\nroot@web2\n[big]\nweb3\n")
    monkeypatch.chdir(tmp_path)
    return folder


def write(project: Path, text: str) -> Path:
    path = project / "weaver.toml"
    path.write_text(text)
    return path


def test_hosts_of_weaver_toml_are_found_beside_it_and_said(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = write(project, '[ssh]\nhosts = "hosts.txt"\n')
    found = hosts_of(None, config=config)
    assert found is not None
    assert [host.name for host in found] == ["web1", "web2", "web3"]
    assert f"[ssh] hosts, {config}:2" in capsys.readouterr().err
    assert hosts_of(None, "big", config=project, quiet=True) == found[2:]
    assert capsys.readouterr().err == ""


def test_here_and_a_file_without_hosts_mean_this_machine(project: Path) -> None:
    config = write(project, '[ssh]\nhosts = "hosts.txt"\n')
    assert hosts_of(None, config=config, here=True) is None
    assert hosts_of(None, config=write(project, '[ssh]\nuser = "me"\n')) is None
    assert hosts_of(None) is None  # no weaver.toml here
    with pytest.raises(UsageError, match="exclude each other"):
        hosts_of("web1", here=True)


def test_user_and_timeout_hold_for_hosts_of_the_command_line_too(project: Path) -> None:
    config = write(project, '[ssh]\nhosts = "no.txt"\nuser = "deploy"\nconnect_timeout = "3s"\n')
    found = hosts_of("web9,me@web8", config=config)
    assert found is not None
    assert [(h.name, h.user, h.default_user, h.connect_timeout) for h in found] == [
        ("web9", "", "deploy", 3.0),
        ("web8", "me", "deploy", 3.0),
    ]
    plain = hosts_of("web9", config=write(project, ""))
    assert plain is not None
    assert (plain[0].default_user, plain[0].connect_timeout) == ("", 0.0)


def test_what_is_wrong_is_said_with_its_place(project: Path) -> None:
    config = write(project, '[ssh]\nhosts = "no.txt"\n')
    with pytest.raises(UsageError) as caught:
        hosts_of(None, config=config)
    assert str(project / "no.txt") in caught.value.what
    assert caught.value.where == f"[ssh] hosts, {config}:2"
    broken = write(project, "[ssh]\nhots = 1\n")
    with pytest.raises(ConfigError):
        hosts_of(None, config=broken)
    assert hosts_of(None, config=broken, lenient=True) is None
    assert hosts_of("web1", config=broken) is not None


def test_options_about_hosts_need_some(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(project, '[app]\nname = "shop"\n')
    monkeypatch.chdir(project)
    for words in (["deploy", "--plan"], ["attach", "--steal"], ["doctor", "--limit", "web1"]):
        assert execute(words) == 2
        assert "hosts" in capsys.readouterr().err
    for words in (["prune", "--limit", "web1"], ["prune", "--accept-new"]):
        assert execute(words) == 2
        assert "hosts" in capsys.readouterr().err
