from weaver.control.messages import LogRecord, Logs
from weaver.envelope.ring import LINE, LogRing


def record(text: str, replica: str = "a") -> LogRecord:
    return LogRecord(1.0, "INFO", text, replica=replica)


def test_records_are_taken_once_in_order() -> None:
    ring = LogRing()
    ring.add([record("one")])
    ring.add([record("two")], lost=3)
    assert ring.take() == Logs((record("one"), record("two")), 3)
    assert ring.take() is None


def test_the_oldest_are_dropped_and_counted() -> None:
    ring = LogRing(records=2)
    ring.add([record(text) for text in "abcd"])
    assert ring.take() == Logs((record("c"), record("d")), 2)


def test_records_lost_elsewhere_are_reported_without_others() -> None:
    ring = LogRing()
    ring.add([], lost=5)
    assert ring.take() == Logs((), 5)


def test_the_last_lines_of_a_replica_are_kept_until_asked_for() -> None:
    ring = LogRing(lines=2)
    ring.add([record("1"), record("2"), record("of b", "b"), record("3" * (LINE + 1))])
    ring.take()
    assert ring.last_lines("a") == ("2", "3" * LINE)
    assert ring.last_lines("a") == ()
    assert ring.last_lines("b") == ("of b",)
