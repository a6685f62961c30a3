"""What `import weaver` costs a fresh interpreter, beside the bare one and the standard library.

    python bench/import_time.py [rounds]

CPU time of whole processes, alternating, so that other work on the machine counts little; figures
are medians. The budget is 25 ms over the bare interpreter; `import dataclasses`, of which weaver
loads less, shows how fast the machine is.
"""

import resource
import statistics
import subprocess
import sys

BUDGET = 25.0
CONTESTANTS = {
    "bare interpreter": "pass",
    "import dataclasses": "import dataclasses",
    "import weaver": "import weaver",
}


def milliseconds(statement: str) -> float:
    began = spent()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return (spent() - began) * 1e3


def spent() -> float:
    """CPU seconds of the processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 31
    milliseconds("import weaver")  # writes what Python keeps compiled
    samples: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    for _ in range(rounds):
        for name, statement in CONTESTANTS.items():
            samples[name].append(milliseconds(statement))
    for name, values in samples.items():
        more = [
            value - bare for bare, value in zip(samples["bare interpreter"], values, strict=True)
        ]
        print(
            f"{name:20} {statistics.median(values):6.1f} ms  (best {min(values):5.1f})"
            f"  over bare {statistics.median(more):6.1f} ms"
        )
    print(f"budget of import weaver over bare: {BUDGET:g} ms")


if __name__ == "__main__":
    main()
