"""known_hosts files, as OpenSSH understands them: `ssh-keygen -F` is asked where it is there."""

import base64
import hashlib
import hmac
import shutil
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from weaver.deployers.ssh.inventory import Host
from weaver.deployers.ssh.known_hosts import Key, KnownHosts, append, host_name, parse, read, verify
from weaver.errors import WeaverError

ONE = Key("ssh-ed25519", b"\0\0\0\x0bssh-ed25519\0\0\0 " + b"1" * 32)
TWO = Key("ssh-ed25519", b"\0\0\0\x0bssh-ed25519\0\0\0 " + b"2" * 32)
RSA = Key("ssh-rsa", b"\0\0\0\x07ssh-rsa" + b"3" * 40)
WEB = Host(name="web", host="web", where="hosts.txt:3")


def hashed(name: str) -> str:
    salt = bytes(range(20))
    digest = hmac.digest(salt, name.encode(), "sha1")
    return "|".join(("", "1", base64.b64encode(salt).decode(), base64.b64encode(digest).decode()))


def judge(text: str, key: Key, host: str = "web", port: int = 22) -> str:
    return KnownHosts(parse(text, "kh"), host, port).judge(key)


@pytest.mark.parametrize(
    ("patterns", "host", "port", "expected"),
    [
        ("web", "web", 22, "known"),
        ("WEB", "web", 22, "known"),
        ("web", "Web", 22, "known"),
        ("a,web,b", "web", 22, "known"),
        ("w?b", "web", 22, "known"),
        ("*.net", "web.net", 22, "known"),
        ("*.net,!web.net", "web.net", 22, "unknown"),
        ("web", "web2", 22, "unknown"),
        ("[web]:2222", "web", 2222, "known"),
        ("[web]:2222", "web", 22, "unknown"),
        ("[web]:2222", "web", 2223, "unknown"),
        ("web", "web", 2222, "known"),
        ("[*.net]:2222", "web.net", 2222, "known"),
        ("::1", "::1", 22, "known"),
        ("[::1]:2222", "::1", 2222, "known"),
        (hashed("web"), "web", 22, "known"),
        (hashed("[web]:2222"), "web", 2222, "known"),
        (hashed("web"), "web2", 22, "unknown"),
        ("|1|broken", "web", 22, "unknown"),
    ],
)
def test_which_lines_speak_of_a_host(patterns: str, host: str, port: int, expected: str) -> None:
    assert judge(f"{patterns} {ONE} a comment\n", ONE, host, port) == expected


def test_lines_that_cannot_be_read_are_skipped() -> None:
    text = (
        "# a comment\n\nweb\nweb ssh-ed25519 not!base64\n@future web ssh-ed25519 AAAA\n"
        f"@cert-authority *.net {TWO}\nweb 1024 35 1234\n\tweb {ONE}\n"
    )
    assert judge(text, ONE) == "known"


def test_another_key_has_changed() -> None:
    assert judge(f"web {ONE}\n", TWO) == "changed"
    assert judge(f"web {ONE}\nweb {TWO}\n", TWO) == "known"
    assert judge(f"web {RSA}\n", ONE) == "changed"  # else an attacker would choose the type


def test_a_key_of_the_bare_name_counts_only_where_it_is_the_same() -> None:
    assert judge(f"web {ONE}\n", TWO, port=2222) == "unknown"


def test_a_revoked_key_is_refused_though_it_is_known() -> None:
    assert judge(f"web {ONE}\n@revoked * {ONE}\n", ONE) == "revoked"
    assert judge(f"web {ONE}\n@revoked other {ONE}\n", ONE) == "known"


def test_key_types_are_those_of_the_host() -> None:
    known = KnownHosts(parse(f"web {RSA}\nweb {ONE}\nweb {RSA}\nother {TWO}\n", "kh"), "web", 22)
    assert known.key_types == ["ssh-rsa", "ssh-ed25519"]


def test_the_fingerprint_is_that_of_ssh_keygen() -> None:
    digest = base64.b64encode(hashlib.sha256(ONE.blob).digest()).decode().rstrip("=")
    assert ONE.fingerprint == f"SHA256:{digest}"


def test_an_unknown_key_is_refused_with_the_line_to_add(tmp_path: Path) -> None:
    known = KnownHosts([], "10.0.0.1", 2222)
    with pytest.raises(WeaverError) as caught:
        verify(WEB, ONE, known, [tmp_path / "kh"], accept_new=False)
    text = str(caught.value)
    assert f"the host key of web is not known: ssh-ed25519 {ONE.fingerprint}" in text
    assert "where: web (hosts.txt:3)" in text
    assert f"[10.0.0.1]:2222 {ONE}" in text
    assert str(tmp_path / "kh") in text
    assert not (tmp_path / "kh").exists()


@pytest.mark.parametrize("accept_new", [False, True])
def test_a_changed_key_is_refused_with_both_fingerprints(tmp_path: Path, accept_new: bool) -> None:
    file = tmp_path / "kh"
    file.write_text(f"# mine\nweb {ONE}\n")
    before = file.read_text()
    known = KnownHosts(read([file]), "web", 22)
    with pytest.raises(WeaverError, match="has changed") as caught:
        verify(WEB, TWO, known, [file], accept_new=accept_new)
    text = str(caught.value)
    assert ONE.fingerprint in text
    assert TWO.fingerprint in text
    assert f"{file}:2" in text
    assert f'ssh-keygen -R "web" -f "{file}"' in text
    assert file.read_text() == before


def test_a_revoked_key_is_refused_with_accept_new(tmp_path: Path) -> None:
    known = KnownHosts(parse(f"@revoked web {ONE}\n", "kh"), "web", 22)
    with pytest.raises(WeaverError, match="is revoked"):
        verify(WEB, ONE, known, [tmp_path / "kh"], accept_new=True)


def test_an_authority_alone_is_not_enough(tmp_path: Path) -> None:
    known = KnownHosts(parse(f"@cert-authority web {TWO}\n", "kh"), "web", 22)
    with pytest.raises(WeaverError, match="is not known") as caught:
        verify(WEB, ONE, known, [tmp_path / "kh"], accept_new=False)
    assert "host certificates are not supported" in caught.value.why


def test_a_new_key_is_one_line_more(tmp_path: Path) -> None:
    file = tmp_path / ".ssh" / "kh"
    verify(WEB, ONE, KnownHosts([], "web", 22), [file], accept_new=True)
    assert file.read_text() == f"web {ONE}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    verify(WEB, ONE, KnownHosts(read([file]), "web", 22), [file], accept_new=False)


def test_what_the_file_holds_stays(tmp_path: Path) -> None:
    file = tmp_path / "kh"
    odd = f"# mine\n@cert-authority *.net {TWO}\nnonsense\nother {RSA}"  # no newline at the end
    file.write_text(odd)
    append(file, f"web {ONE}", "web", ONE)
    assert file.read_text() == f"{odd}\nweb {ONE}\n"


def test_hosts_met_at_once_are_each_added_once(tmp_path: Path) -> None:
    file = tmp_path / "kh"
    keys = [Key("ssh-ed25519", bytes([n]) * 40) for n in range(8)]
    with ThreadPoolExecutor(8) as pool:
        for n in (*range(8), *range(8)):
            name = host_name(f"h{n}", 2222)
            pool.submit(append, file, f"{name} {keys[n]}", name, keys[n])
    assert sorted(file.read_text().splitlines()) == [f"[h{n}]:2222 {keys[n]}" for n in range(8)]


def test_two_keys_for_one_host_are_not_both_learned(tmp_path: Path) -> None:
    append(tmp_path / "kh", f"web {ONE}", "web", ONE)
    with pytest.raises(WeaverError, match="was added meanwhile"):
        append(tmp_path / "kh", f"web {TWO}", "web", TWO)
    assert (tmp_path / "kh").read_text() == f"web {ONE}\n"


def test_files_that_are_missing_say_nothing_and_others_must_be_readable(tmp_path: Path) -> None:
    assert read([tmp_path / "none", tmp_path / "none" / "deeper"]) == []
    with pytest.raises(WeaverError, match="cannot be read") as caught:
        read([tmp_path])
    assert caught.value.where == str(tmp_path)


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")
def test_a_key_is_learned_under_a_hashed_name_where_that_is_wanted(tmp_path: Path) -> None:
    file = tmp_path / "kh"
    verify(WEB, ONE, KnownHosts([], "web", 22), [file], accept_new=True, hashed=True)
    assert "web" not in file.read_text()
    assert verify(WEB, ONE, KnownHosts(read([file]), "web", 22), [file], accept_new=False) is False
    found = subprocess.run(
        ["ssh-keygen", "-F", "web", "-f", str(file)], capture_output=True, text=True, check=False
    )
    assert str(ONE) in found.stdout


@pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="needs ssh-keygen")
def test_what_is_appended_is_found_by_ssh_keygen(tmp_path: Path) -> None:
    file = tmp_path / "kh"
    append(file, f"[web]:2222 {ONE}", "[web]:2222", ONE)
    command = ["ssh-keygen", "-F", "[web]:2222", "-l", "-f", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert ONE.fingerprint in done.stdout
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(file)], timeout=30, check=True)
    assert "web" not in file.read_text()
    assert KnownHosts(read([file]), "web", 2222).judge(ONE) == "known"
