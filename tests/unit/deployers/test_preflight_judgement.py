"""What the facts of a host mean: each fault by its own finding, with what to do."""

import errno

import msgspec
import pytest

from weaver.deployers.ssh.preflight.facts import Bind, Facts, Skew
from weaver.deployers.ssh.preflight.findings import Finding
from weaver.deployers.ssh.preflight.judge import Examined, judge, judge_together
from weaver.deployers.ssh.preflight.needs import Needs
from weaver.deployers.ssh.preflight.peers import judge_reach
from weaver.deployers.ssh.preflight.probe import Listener
from weaver.packaging.tags import Interpreter

PYTHON = Interpreter(
    version="3.11.2", system="linux", machine="x86_64", libc="glibc 2.36", path="/usr/bin/python3"
)
MSGSPEC = "msgspec-0.22.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
SHOP = Needs(
    app="shop",
    python="3.11",
    wheels=("click-8.5.1-py3-none-any.whl", MSGSPEC),
    size=7_000_000,
    listeners=(Listener("http", "0.0.0.0", 8080),),
)
HOST = {
    "system": "Linux",
    "machine": "x86_64",
    "hostname": "web1",
    "user": "app",
    "uid": "1000",
    "owner": "drwx------ 3 1000 1000 4096 May  1 10:00 /home/app/.weaver",
    "libc": "glibc 2.36",
    "files": "1024 1048576",
    "directory": "/home/app/.weaver",
    "existing": "/home/app",
    "inode": "77 /home/app",
    "boot": "b1",
    "writable": "yes",
    "mount": "ext4 rw,relatime",
}


def facts(
    changed: dict[str, str] | None = None,
    interpreters: tuple[Interpreter, ...] = (PYTHON,),
    bind: Bind | None = None,
    **fields: object,
) -> Facts:
    """A good host, but for what is given."""
    good = Facts(
        values=HOST | (changed or {}),
        interpreters=interpreters,
        skew=Skew(least=-0.01, most=0.02),
        free_bytes=40 * 10**9,
        free_inodes=1_000_000,
        binds=(bind or Bind("http", "0.0.0.0", 8080),),
    )
    return msgspec.structs.replace(good, **fields)


def only_fault(found: Facts, needs: Needs = SHOP) -> Finding:
    """The one finding that is not ok."""
    faults = [each for each in judge("web1", found, needs).findings if each.level != "ok"]
    assert len(faults) == 1, faults
    return faults[0]


def python(version: str, path: str = "/usr/bin/python3", **fields: object) -> Interpreter:
    return msgspec.structs.replace(PYTHON, version=version, path=path, **fields)


def test_a_good_host_has_no_fault_and_a_python() -> None:
    examined = judge("web1", facts(), SHOP)
    assert {each.level for each in examined.findings} == {"ok"}
    assert not examined.failed
    assert examined.python == PYTHON


def test_the_first_python_that_fits_is_chosen() -> None:
    found = (
        python("2.7.18", "/usr/bin/python"),
        python("3.13.0", "/usr/bin/python3.13"),
        python("3.11.7", "/home/app/.pyenv/versions/3.11.7/bin/python3"),
        python("3.11.9", "/opt/python/bin/python3"),
    )
    chosen = judge("web1", facts(interpreters=found), SHOP).python
    assert chosen is not None
    assert chosen.path == "/home/app/.pyenv/versions/3.11.7/bin/python3"


def test_without_an_application_any_new_python_will_do() -> None:
    assert judge("web1", facts(interpreters=(python("3.13.0"),)), Needs()).python is not None


def test_no_python() -> None:
    fault = only_fault(facts(interpreters=()))
    assert (fault.check, fault.level, fault.why) == ("python", "fail", "none was found")
    assert "install Python 3.11 there" in fault.fix


def test_an_old_python() -> None:
    fault = only_fault(facts(interpreters=(python("3.9.2"),)))
    assert fault.check == "python"
    assert "it is Python 3.9.2, and weaver needs 3.11" in fault.why


def test_a_newer_python_than_the_pex_is_for_is_offered_for_the_build() -> None:
    fault = only_fault(facts(interpreters=(python("3.13.0"),)))
    assert "it was built for Python 3.11, and this is Python 3.13" in fault.why
    assert "build with Python 3.13" in fault.fix


def test_a_python_without_a_module_that_is_needed() -> None:
    fault = only_fault(facts(interpreters=(python("3.11.2", lacks=("_ssl", "ensurepip")),)))
    assert "without the module ssl" in fault.why


def test_a_python_without_ensurepip_will_do() -> None:
    assert judge("web1", facts(interpreters=(python("3.11.2", lacks=("ensurepip",)),)), SHOP).python


def test_a_python_of_32_bits_on_a_machine_of_64() -> None:
    fault = only_fault(facts(interpreters=(python("3.11.2", machine="i686"),)))
    assert fault.check == "python"
    assert "linux on i686" in fault.why


def test_many_unfit_pythons_are_not_all_listed() -> None:
    many = tuple(python("3.9.1", f"/opt/{n}/bin/python3") for n in range(9))
    assert only_fault(facts(interpreters=many)).why.splitlines()[5:] == ["… and 4 more"]


def test_the_named_python_counts_alone() -> None:
    named = python("3.9.2", "/opt/old/bin/python3")
    fault = only_fault(facts({"given": "/opt/old/bin/python3"}, interpreters=(named, PYTHON)))
    assert fault.level == "fail"
    assert "it has /usr/bin/python3" in fault.fix


def test_a_named_python_that_is_not_there() -> None:
    broken = "/opt/none: there is no such program"
    fault = only_fault(facts({"given": "/opt/none", "given-broken": broken}))
    assert (fault.check, fault.why) == ("python", broken)
    assert "correct python=" in fault.fix


def test_another_architecture_is_one_fault_and_not_one_per_python() -> None:
    arm = msgspec.structs.replace(PYTHON, machine="aarch64")
    fault = only_fault(facts({"machine": "aarch64"}, interpreters=(arm, arm)))
    assert (fault.check, fault.level) == ("system", "fail")
    assert "linux on aarch64" in fault.why
    assert "build it on a system like this one: aarch64" in fault.fix


def test_musl() -> None:
    alpine = msgspec.structs.replace(PYTHON, libc="musl 1.2.4")
    fault = only_fault(facts({"libc": "musl 1.2.4"}, interpreters=(alpine,)))
    assert fault.check == "system"
    assert "needs glibc 2.17, and this has musl 1.2.4" in fault.why


def test_an_older_glibc_than_the_wheels_need() -> None:
    old = msgspec.structs.replace(PYTHON, libc="glibc 2.12")
    fault = only_fault(facts({"libc": "glibc 2.12"}, interpreters=(old,)))
    assert "needs glibc 2.17, and this has glibc 2.12" in fault.why


def test_another_system() -> None:
    fault = only_fault(facts({"system": "FreeBSD"}))
    assert "the system is FreeBSD" in fault.what


def test_a_full_disk() -> None:
    fault = only_fault(facts(free_bytes=3_000_000))
    assert (fault.check, fault.level) == ("disk", "fail")
    assert fault.what == "the disk has 3 MB left, and 67 MB are needed"


def test_a_disk_with_room_for_one_release() -> None:
    assert only_fault(facts(free_bytes=100_000_000)).level == "warn"


def test_no_inodes() -> None:
    fault = only_fault(facts(free_inodes=12))
    assert (fault.check, fault.level) == ("disk", "fail")
    assert "12 more files" in fault.what


def test_a_file_system_without_a_limit_of_inodes() -> None:
    assert not judge("web1", facts(free_inodes=None), SHOP).failed


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"writable": "no"}, "app may not write to /home/app"),
        ({"mount": "ext4 rw,nosuid,noexec"}, "/home/app is mounted noexec"),
        ({"obstacle": "/home/app/.weaver"}, "/home/app/.weaver is no directory"),
        ({"owner": "drwx------ 3 0 0 4096 May 1 10:00 /x"}, "another user, whose id is 0"),
        ({"directory": "/" + "d" * 90}, "is too long"),
    ],
)
def test_a_directory_that_cannot_be_used(changed: dict[str, str], what: str) -> None:
    fault = only_fault(facts(changed))
    assert (fault.check, fault.level) == ("directory", "fail")
    assert what in fault.what
    assert "dir=" in fault.fix


def test_a_directory_on_a_network_file_system() -> None:
    fault = only_fault(facts({"mount": "nfs4 rw,relatime"}))
    assert (fault.check, fault.level) == ("directory", "warn")


@pytest.mark.parametrize(
    ("files", "level"), [("1024 4096", "ok"), ("512 4096", "warn"), ("64 64", "fail")]
)
def test_open_files(files: str, level: str) -> None:
    found = {f.check: f.level for f in judge("web1", facts({"files": files}), SHOP).findings}
    assert found["limits"] == level


def test_an_unlimited_number_of_open_files() -> None:
    assert not judge("web1", facts({"files": "unlimited unlimited"}), SHOP).failed


def test_a_clock_that_is_behind() -> None:
    fault = only_fault(facts(skew=Skew(least=-301.0, most=-299.0)))
    assert (fault.check, fault.level) == ("clock", "warn")
    assert fault.what == "the clock is 5 minutes behind this machine's"


def test_a_clock_that_is_days_ahead() -> None:
    fault = only_fault(facts(skew=Skew(least=3 * 86400.0, most=3 * 86400.0 + 1)))
    assert fault.level == "fail"
    assert "3 days ahead" in fault.what
    assert "certificates" in fault.why


def test_a_slow_answer_proves_nothing_about_the_clock() -> None:
    found = judge("web1", facts(skew=Skew(least=-30.0, most=1.0)), SHOP)
    assert not [each for each in found.findings if each.level != "ok"]


def test_a_port_in_use_by_somebody_else() -> None:
    bind = Bind("http", "0.0.0.0", 8080, "Address already in use", errno.EADDRINUSE)
    fault = only_fault(facts(bind=bind))
    assert (fault.check, fault.level) == ("ports", "fail")
    assert fault.what == "listener http cannot have 0.0.0.0:8080"
    assert "another user" in fault.why


def test_a_port_in_use_names_a_process_of_the_user() -> None:
    bind = Bind("http", "::", 8080, "in use", errno.EADDRINUSE, holder=("nginx", "-g"))
    fault = only_fault(facts(bind=bind))
    assert "[::]:8080" in fault.what
    assert fault.why == "nginx -g listens there"


def test_a_port_that_weaver_holds_is_no_fault() -> None:
    command = ("/x/python", "-I", "-m", "weaver.application.main", "envelope")
    bind = Bind("http", "0.0.0.0", 8080, "in use", errno.EADDRINUSE, holder=command)
    assert not judge("web1", facts(bind=bind), SHOP).failed


@pytest.mark.parametrize(
    ("code", "fix"), [(errno.EACCES, "higher one"), (errno.EADDRNOTAVAIL, "address of the host")]
)
def test_an_address_that_cannot_be_bound(code: int, fix: str) -> None:
    fault = only_fault(facts(bind=Bind("http", "10.1.1.1", 80, "no", code)))
    assert fix in fault.fix


def test_ports_that_nobody_could_try() -> None:
    found = facts({}, interpreters=(), binds=())
    levels = {f.check: f.level for f in judge("web1", found, SHOP).findings}
    assert (levels["python"], levels["ports"]) == ("fail", "warn")


KILLS = {"KillUserProcesses": "yes", "KillExcludeUsers": "root", "KillOnlyUsers": ""}
SYSTEMD = {"systemd": "yes", "session": "4", "linger": "no"}


def test_a_login_manager_that_ends_all_at_logout() -> None:
    fault = only_fault(facts(SYSTEMD, logind=KILLS))
    assert (fault.check, fault.level) == ("logout", "fail")
    assert "--service" in fault.fix


@pytest.mark.parametrize(
    ("changed", "logind"),
    [
        ({}, KILLS | {"KillUserProcesses": "no"}),
        ({}, KILLS | {"KillExcludeUsers": "root app"}),
        ({}, KILLS | {"KillOnlyUsers": "guest"}),
        ({"session": ""}, KILLS),
    ],
)
def test_a_login_manager_that_spares_us(changed: dict[str, str], logind: dict[str, str]) -> None:
    assert not judge("web1", facts(SYSTEMD | changed, logind=logind), SHOP).failed


def test_a_service_needs_lingering() -> None:
    needs = msgspec.structs.replace(SHOP, service=True)
    fault = only_fault(facts(SYSTEMD, logind=KILLS), needs)
    assert fault.fix == "loginctl enable-linger app"
    lingering = facts(SYSTEMD | {"linger": "yes"}, logind=KILLS)
    assert not judge("web1", lingering, needs).failed


def test_what_weaver_has_there_already() -> None:
    found = facts(kept=("a", "b"), apps=("shop",), running=("envelope 7", "manager 8"))
    (told,) = [each for each in judge("web1", found, SHOP).findings if each.check == "weaver"]
    assert (told.what, told.why) == ("1 running", "2 releases in /home/app/.weaver, of shop")


def test_two_names_of_one_directory() -> None:
    first, second = judge("web1", facts(), SHOP), judge("alias", facts(), SHOP)
    elsewhere = judge("web2", facts({"hostname": "web2"}), SHOP)
    unreached = Examined(host="web3", findings=())
    examined = judge_together((first, elsewhere, second, unreached))
    assert [each.host for each in examined if each.failed] == ["alias"]
    assert "alias and web1 are one and the same directory" in examined[2].findings[-1].what


def test_peers_that_cannot_be_reached() -> None:
    verdict = judge_reach({"b": "", "c": "no answer"}, {"b": "10.0.0.2", "c": "10.0.0.3"})
    assert (verdict.level, verdict.why) == ("fail", "c at 10.0.0.3: no answer")
    assert verdict.what == "it cannot reach 1 of its 2 peers"
    assert judge_reach({"b": ""}, {}).level == "ok"
