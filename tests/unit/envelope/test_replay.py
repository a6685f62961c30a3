from weaver.envelope.replay import Kept, Replay


def test_events_are_numbered_from_one_and_replayed_after_what_was_seen() -> None:
    replay = Replay()
    assert [replay.add(b"a"), replay.add_logs(b"b", 1), replay.add(b"c")] == [1, 2, 3]
    assert replay.newest == 3
    assert replay.after(0) == Kept(1, b"a")
    assert replay.after(1) == Kept(2, b"b")
    assert replay.after(3) is None


def test_logs_are_forgotten_before_events_and_counted() -> None:
    replay = Replay(log_bytes=10)
    first = replay.add(b"started")
    for _ in range(3):
        replay.add_logs(b"12345", 7)
    last = replay.add(b"exited")
    assert replay.after(0) == Kept(first, b"started")
    assert replay.after(first) == Kept(3, b"12345", lost=7)
    assert replay.after(4) == Kept(last, b"exited")


def test_what_a_manager_has_seen_is_not_lost_to_it() -> None:
    replay = Replay(log_bytes=5)
    replay.add_logs(b"12345", 7)
    replay.add_logs(b"12345", 7)
    assert replay.after(1) == Kept(2, b"12345", lost=0)


def test_old_events_are_forgotten_when_there_are_too_many() -> None:
    replay = Replay(events=2)
    for text in (b"a", b"b", b"c"):
        replay.add(text)
    assert replay.after(0) == Kept(2, b"b", lost=0)


def test_one_record_larger_than_the_bound_is_not_kept() -> None:
    replay = Replay(log_bytes=4)
    replay.add_logs(b"12345", 1)
    assert replay.after(0) is None
    assert replay.newest == 1
