"""Time from a command to its answer, where that is what a person waits for: nothing is trained and nothing served.

    python benchmarks/commands.py --home workspace --name reviews

Seconds of CPU, which other work on the machine changes little, and of wall time, the median of some runs each. The
model needs a champion; it is promoted again.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path


def measure(command: list[str], runs: int) -> tuple[float, float]:
    """Seconds of CPU and of wall time of a command, medians."""
    cpu, wall = [], []
    for _ in range(runs):
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run([sys.executable, *command], capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        wall.append(time.perf_counter() - start)
        cpu.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return statistics.median(cpu), statistics.median(wall)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", required=True, type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print rows, one object a case")
    given = parser.parse_args()
    where = ["--home", str(given.home)]
    models = subprocess.run(
        [sys.executable, "-m", "unroll", "models", *where, "--json"], capture_output=True, check=True
    )
    (champion,) = (
        one["version"]
        for one in json.loads(models.stdout)
        if one["name"] == given.name and "champion" in one["aliases"]
    )
    cases = {
        "python": ["-c", "pass"],
        "import unroll": ["-c", "import unroll"],
        "unroll --help": ["-m", "unroll", "--help"],
        "unroll train, a wrong key": ["-m", "unroll", "train", "sentiment", "--set", "model.unitz=8"],
        "unroll config": ["-m", "unroll", "config", "sentiment"],
        "unroll models": ["-m", "unroll", "models", *where],
        "unroll promote": ["-m", "unroll", "promote", given.name, str(champion), *where],
    }
    rows = []
    for case, command in cases.items():
        cpu, wall = measure(command, given.runs)
        rows.append({"system": "unroll", "case": case, "cpu_seconds": round(cpu, 3), "seconds": round(wall, 3)})
    if given.json:
        print(json.dumps(rows))
        return
    print(f"{'':28}{'CPU s':>8}{'wall s':>8}")
    for row in rows:
        print(f"{row['case']:28}{row['cpu_seconds']:8.2f}{row['seconds']:8.2f}")


if __name__ == "__main__":
    main()
