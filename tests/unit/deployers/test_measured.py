from weaver.control.messages import MethodStatistics, Statistics
from weaver.deployers.measured import Measured


def calls(number: int, cpu: float = 0.0) -> Statistics:
    method = MethodStatistics("Web", "shop.Cart", "get", number, errors=1, histogram=(0, number))
    return Statistics((method,), cpu)


def test_methods_are_summed_over_replicas_and_their_restarts() -> None:
    measured = Measured()
    measured.take("a", 1, calls(3), 0.0)
    measured.take("a", 1, calls(5), 1.0)
    measured.take("b", 1, calls(10), 1.0)
    measured.take("a", 2, calls(1), 2.0)
    measured.take("a", 1, calls(99), 3.0)  # late
    (method,) = measured.methods(3.0)
    assert (method.calls, method.errors, method.histogram) == (16, 3, (0, 16))


def test_what_a_replica_has_counted_stays_when_it_is_forgotten() -> None:
    measured = Measured()
    measured.take("a", 3, calls(3), 0.0)
    measured.forget("a")
    measured.take("a", 1, calls(4), 1.0)
    (method,) = measured.methods(3.0)
    assert method.calls == 7


def test_load_is_processor_time_over_time_since_it_was_asked_last() -> None:
    measured = Measured()
    measured.take("a", 1, calls(0, cpu=1.0), 10.0)
    assert measured.loads() == {}
    measured.take("a", 1, calls(0, cpu=2.0), 12.0)
    measured.take("a", 1, calls(0, cpu=3.0), 14.0)
    assert measured.loads() == {"a": 0.5}
    measured.take("a", 2, calls(0, cpu=0.1), 16.0)
    assert measured.loads() == {}
    measured.take("a", 2, calls(0, cpu=9.0), 17.0)
    assert measured.loads() == {"a": 1.0}


def test_the_rate_is_that_of_the_last_moments_over_all_replicas() -> None:
    measured = Measured()

    def rate(now: float) -> float:
        (method,) = measured.methods(now)
        return method.rate

    for now in range(20):
        measured.take("a", 1, calls(100 * now), float(now))
    assert rate(19.0) == 100
    for now in range(20, 40):
        measured.take("a", 1, calls(1900), float(now))
        measured.take("b", 1, calls(3 * (now - 20)), float(now))
    assert rate(39.0) == 3
    measured.take("b", 2, calls(0), 40.0)
    assert rate(40.0) == 0
    measured.take("b", 2, calls(10), 45.0)
    assert rate(45.0) == 2
    assert measured.methods(45.0)[0].calls == 1900 + 57 + 10
