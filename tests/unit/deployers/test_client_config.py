"""The user's SSH configuration, by the ssh command and without it."""

import os
import pwd
import shutil
from pathlib import Path

import pytest

from weaver.deployers.ssh.client_config import CONFIG_FILE, ClientConfig, resolve
from weaver.deployers.ssh.inventory import Host
from weaver.errors import WeaverError

HAS_SSH = shutil.which("ssh") is not None
WITH_SSH = pytest.param(
    True, id="ssh", marks=pytest.mark.skipif(not HAS_SSH, reason="needs the ssh command")
)
WITHOUT_SSH = pytest.param(False, id="paramiko")
TEXT = """\
Host web
  HostName 10.0.0.5
  Port 2222
  User deploy
  IdentityFile {folder}/id_%h_%r
  IdentitiesOnly yes
  UserKnownHostsFile {folder}/kh1 {folder}/kh2
  HostKeyAlias shop
Host behind
  ProxyJump ops@gate:2200
Host proxied
  ProxyCommand connect %h %p %%
Host direct
  ProxyJump none
"""


@pytest.fixture(params=[WITH_SSH, WITHOUT_SSH])
def folder(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", os.environ["PATH"] if request.param else str(tmp_path))
    return tmp_path


def resolved(folder: Path, host: Host, text: str = TEXT, **environ: str) -> ClientConfig:
    (folder / "config").write_text(text.format(folder=folder))
    return resolve(host, {CONFIG_FILE: str(folder / "config")} | environ)


def named(name: str, port: int | None = None, user: str = "", jump: str = "") -> Host:
    return Host(name=name, host=name, port=port, user=user, jump=jump, where="hosts.txt:1")


def test_the_default_user_is_the_last_word(folder: Path) -> None:
    def user_of(name: str, user: str = "") -> str:
        host = Host(name=name, host=name, user=user, default_user="fallback")
        return resolved(folder, host).user

    assert user_of("unnamed") == "fallback"
    assert user_of("web") == "deploy"
    assert user_of("web", "root") == "root"
    host = Host(name="web", host="web", default_user="fallback")
    assert resolved(folder, host).identity_files == (folder / "id_10.0.0.5_deploy",)


def test_everything_of_a_host(folder: Path) -> None:
    config = resolved(folder, named("web"))
    assert (config.hostname, config.port, config.user) == ("10.0.0.5", 2222, "deploy")
    assert config.identity_files == (folder / "id_10.0.0.5_deploy",)
    assert config.identities_only
    assert config.user_known_hosts == (folder / "kh1", folder / "kh2")
    assert config.known_as == "shop"
    assert config.jump == ""


def test_what_hosts_txt_says_wins(folder: Path) -> None:
    config = resolved(folder, named("web", port=22, user="root"))
    assert (config.port, config.user) == (22, "root")


def test_a_host_that_is_not_named_there_has_defaults(folder: Path) -> None:
    config = resolved(folder, named("other"))
    assert (config.hostname, config.port) == ("other", 22)
    assert config.user
    assert Path.home() / ".ssh" / "id_ed25519" in config.identity_files
    # ssh asks the system where ~/.ssh is, and not HOME.
    homes = (Path.home(), Path(pwd.getpwuid(os.getuid()).pw_dir))
    assert {home / ".ssh" / "known_hosts" for home in homes} & {*config.user_known_hosts}


def test_gateways(folder: Path) -> None:
    assert resolved(folder, named("behind")).jump == "ops@gate:2200"
    assert resolved(folder, named("behind", jump="a,b")).jump == "a,b"
    assert resolved(folder, named("behind", jump="none")).jump == ""
    assert resolved(folder, named("direct")).jump == ""


def test_a_proxy_command_has_its_tokens(folder: Path) -> None:
    assert resolved(folder, named("proxied")).proxy_command == "connect proxied 22 %"
    assert resolved(folder, named("proxied", jump="gate")).proxy_command == ""


def test_the_agent(folder: Path) -> None:
    assert resolved(folder, named("web")).identity_agent == ""
    assert resolved(folder, named("web"), SSH_AUTH_SOCK="/a").identity_agent == "/a"
    text = "Host off\n IdentityAgent none\nHost own\n IdentityAgent {folder}/agent\n"
    assert resolved(folder, named("off"), text, SSH_AUTH_SOCK="/a").identity_agent == ""
    found = resolved(folder, named("own"), text, SSH_AUTH_SOCK="/a").identity_agent
    assert found == str(folder / "agent")


def test_an_ipv6_address(folder: Path) -> None:
    assert resolved(folder, named("::1")).hostname == "::1"


def test_a_file_that_is_missing_is_named(folder: Path) -> None:
    with pytest.raises(WeaverError, match="there is no file") as caught:
        resolve(named("web"), {CONFIG_FILE: str(folder / "none")})
    assert CONFIG_FILE in caught.value.where


@pytest.mark.skipif(not HAS_SSH, reason="needs the ssh command")
def test_included_files_and_matches_count(tmp_path: Path) -> None:
    (tmp_path / "more").write_text("Host web\n  Port 2022\n")
    text = "Include {folder}/more\nMatch host web\n  User matched\n"
    config = resolved(tmp_path, named("web"), text)
    assert (config.port, config.user) == (2022, "matched")


@pytest.mark.skipif(not HAS_SSH, reason="needs the ssh command")
def test_paths_with_spaces_are_one_path(tmp_path: Path) -> None:
    text = 'Host web\n  UserKnownHostsFile "{folder}/my hosts" {folder}/b\n'
    config = resolved(tmp_path, named("web"), text)
    assert config.user_known_hosts == (tmp_path / "my hosts", tmp_path / "b")


@pytest.mark.skipif(not HAS_SSH, reason="needs the ssh command")
def test_a_broken_configuration_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(WeaverError, match="cannot be used for web") as caught:
        resolved(tmp_path, named("web"), "Nonsense yes\n")
    assert "line 1" in caught.value.why
    assert str(tmp_path / "config") in caught.value.where
