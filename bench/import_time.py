"""What `import weaver` costs a fresh interpreter, beside the bare one and the standard library.

    python bench/import_time.py [rounds]

Wall time of whole processes, alternating; figures are medians. The budget is 25 ms over the bare
interpreter; `import dataclasses`, which weaver needs, shows how fast the machine is.
"""

import statistics
import subprocess
import sys
import time

BUDGET = 25.0
CONTESTANTS = {
    "bare interpreter": "pass",
    "import dataclasses": "import dataclasses",
    "import weaver": "import weaver",
}


def milliseconds(statement: str) -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return (time.perf_counter() - began) * 1e3


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
