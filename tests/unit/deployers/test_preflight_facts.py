"""Reading what the probe prints: noise, half answers, odd tools."""

import pytest

from weaver.deployers.ssh.preflight.facts import Moment, read_facts
from weaver.errors import WeaverError

NOW = Moment(sent=1000.0, answered=1000.5)
ROW = "python\t3.11.2\tcpython\t64\tx86_64\t\tglibc 2.36\tensurepip\t/usr/bin/python3"


def said(*lines: str, clocks: tuple[str, str] = ("1000.1", "1000.4")) -> str:
    first, last = clocks
    return "\n".join(("weaver-probe 1", f"clock {first}", *lines, f"clock {last}", "end", ""))


def test_noise_before_the_answer_is_skipped() -> None:
    found = read_facts("WELCOME\nend\nsystem Plan9\n" + said("system Linux"), NOW)
    assert found["system"] == "Linux"


def test_an_interpreter_has_all_its_fields_and_is_named_once() -> None:
    found = read_facts(said("system Linux", "libc glibc 2.36", ROW, ROW), NOW)
    (python,) = found.interpreters
    assert (python.version, python.machine, python.libc) == ("3.11.2", "x86_64", "glibc 2.36")
    assert (python.system, python.path, python.lacks) == (
        "linux",
        "/usr/bin/python3",
        ("ensurepip",),
    )
    assert not python.free_threaded


def test_a_path_may_hold_blanks() -> None:
    row = ROW.replace("/usr/bin/python3", "/home/a b/bin/python3")
    (python,) = read_facts(said(row), NOW).interpreters
    assert python.path == "/home/a b/bin/python3"


def test_an_interpreter_for_musl_has_the_version_of_the_host() -> None:
    row = ROW.replace("glibc 2.36", "")
    (python,) = read_facts(said("system Linux", "libc musl 1.2.4", row), NOW).interpreters
    assert python.libc == "musl 1.2.4"


def test_an_interpreter_of_32_bits_and_one_without_the_gil() -> None:
    narrow = ROW.replace("\t64\t", "\t32\t")
    free = ROW.replace("x86_64\t\t", "x86_64\tt\t").replace("/usr/bin", "/opt")
    first, second = read_facts(said(narrow, free), NOW).interpreters
    assert first.machine == "i686"
    assert second.free_threaded


def test_the_clock_is_between_two_bounds() -> None:
    skew = read_facts(said(clocks=("1010.1", "1010.4")), NOW).skew
    assert skew is not None
    assert (skew.least, skew.most) == pytest.approx((9.9, 10.1))
    assert skew.likely == pytest.approx(10.0)


@pytest.mark.parametrize("fraction", ["", ".N", ".%N"])
def test_a_date_without_fractions_bounds_the_clock_less(fraction: str) -> None:
    skew = read_facts(said(clocks=(f"1000{fraction}", f"1000{fraction}")), NOW).skew
    assert skew is not None
    assert (skew.least, skew.most) == (-0.5, 1.0)


def test_a_clock_that_is_no_number_is_unknown() -> None:
    assert read_facts(said(clocks=("?", "?")), NOW).skew is None


@pytest.mark.parametrize(
    ("line", "free"),
    [
        ("blocks /dev/vda 264212084 23645120 82745792 23% /", 82745792 * 1024),
        ("blocks map auto home 100 10 90 10% /home and more", 90 * 1024),
        ("blocks //nas/a b 100 100 -5 100% /mnt", 0),
        ("blocks none 0 0 0 - /mnt", None),
        ("blocks df: /x: Permission denied", None),
        ("blocks", None),
    ],
)
def test_free_space(line: str, free: int | None) -> None:
    assert read_facts(said(line), NOW).free_bytes == free


def test_binds_and_processes_of_weaver() -> None:
    answer = (
        'answer {"listeners": [{"name": "http", "host": "::", "port": 80, "fault": "denied",'
        ' "errno": 13, "holder": null}], "weaver": [{"pid": 7, "role": "envelope"}]}'
    )
    found = read_facts(said(answer), NOW)
    assert (found.binds[0].name, found.binds[0].errno) == ("http", 13)
    assert found.running == ("envelope 7",)


@pytest.mark.parametrize("answer", ["failed Killed", "{}", '{"listeners": 3}', "[]", ""])
def test_an_answer_that_cannot_be_read_leaves_ports_unknown(answer: str) -> None:
    assert read_facts(said(f"answer {answer}"), NOW).binds == ()


def test_a_host_that_does_not_run_sh() -> None:
    with pytest.raises(WeaverError, match="does not run commands with sh") as caught:
        read_facts("This service allows sftp connections only.\n", NOW)
    assert "sftp connections only" in caught.value.why


def test_a_host_that_answers_nothing() -> None:
    with pytest.raises(WeaverError, match="does not run commands") as caught:
        read_facts("", NOW)
    assert caught.value.why == "it answered nothing"


def test_an_answer_that_breaks_off() -> None:
    with pytest.raises(WeaverError, match="broke off"):
        read_facts(said("system Linux").removesuffix("end\n"), NOW)
