"""Loads a shop at a constant rate by Locust; takes the options and prints the report of `load.py`.

Tasks begin at a constant rate, each by the user whose turn it is; requests within a task follow at
once, where `load.py` spreads all requests evenly. Latency is what Locust calls so: from before a
request is sent until its answer has been read, Locust's own work included.
"""

import argparse
import gc
import itertools
import json
import random
import resource
import time
from collections import Counter
from typing import Any

import gevent
from locust.env import Environment
from locustfile import Shopper
from shoppers import REQUESTS, WEIGHTS

PER_TASK = sum(WEIGHTS[name] * REQUESTS[name] for name in WEIGHTS) / sum(WEIGHTS.values())


class Counted:
    """What is known of the answers, while it `counts`."""

    def __init__(self) -> None:
        self.counts = False
        self.times: list[float] = []
        self.statuses: Counter[str] = Counter()
        self.errors = 0

    def add(self, *, response_time: float, response: Any, exception: object, **_: Any) -> None:
        """Locust: a request has ended, after so many milliseconds."""
        if self.counts:
            self.times.append(response_time)
            self.statuses[str(response.status_code)] += 1
            self.errors += exception is not None


def paced(tasks_per_second: float, users: int) -> type[Shopper]:
    """Users whose turns are evenly spaced: by Locust's own pacing all would begin at once."""
    numbers = itertools.count()
    began = time.perf_counter()

    class Paced(Shopper):
        def on_start(self) -> None:
            super().on_start()
            self._due = began + next(numbers) / tasks_per_second
            gevent.sleep(self.wait_time())

        def wait_time(self) -> float:
            self._due += users / tasks_per_second
            return max(self._due - time.perf_counter(), 0.0)

    return Paced


def run(options: argparse.Namespace) -> dict[str, object]:
    """Warm up, then count for so many seconds; what there is to report, with milliseconds."""
    random.seed(options.seed)
    tasks_per_second = options.rate / PER_TASK
    user = paced(tasks_per_second, options.shoppers)
    environment = Environment(user_classes=[user], host=f"http://{options.address}")
    counted = Counted()
    environment.events.request.add_listener(counted.add)
    runner = environment.create_local_runner()
    gc.collect()  # of what has been imported, and not later: it takes as long as ten pages
    gc.freeze()
    runner.start(options.shoppers, spawn_rate=options.shoppers)
    # A turn of all users, who have asked for their first page by then.
    gevent.sleep(max(options.warm, 2 * options.shoppers / tasks_per_second))
    counted.counts = True
    began = time.perf_counter()
    print("begin", flush=True)
    gevent.sleep(options.seconds)
    counted.counts = False
    seconds = time.perf_counter() - began
    lines = user.lines_seen
    runner.quit()
    times = sorted(counted.times) or [0.0]
    at = lambda share: round(times[min(int(share * len(times)), len(times) - 1)], 4)  # noqa: E731
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "requests": len(counted.times),
        "errors": counted.errors,
        "statuses": dict(counted.statuses),
        "seconds": round(seconds, 4),
        "p50": at(0.5), "p90": at(0.9), "p99": at(0.99), "worst": at(1.0),
        "waiting": 0,
        "lines": round(sum(lines) / max(len(lines), 1), 3),
        "driver_cpu": round(used.ru_utime + used.ru_stime, 3),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("address", help="HOST:PORT")
    parser.add_argument("--rate", type=float, required=True, help="requests per second")
    parser.add_argument("--shoppers", type=int, default=32)
    parser.add_argument("--warm", type=float, default=2.0)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--seed", type=int, default=1)
    print(json.dumps(run(parser.parse_args())), flush=True)


if __name__ == "__main__":
    main()
