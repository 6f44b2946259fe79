"""Time to read a table of a million rows, as records and as series.

    python benchmarks/tables.py --rows 1000000

Another version of the project beside this one, turn by turn: `--beside CHECKOUT`. Seconds of CPU, which other work on
the machine changes little, and of wall time, the median of some runs each.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
_READ = """
import resource, sys, time
from pathlib import Path
from unroll.pipelines.data.records import read_records
from unroll.pipelines.data.series.section import SeriesSection
from unroll.pipelines.data.series.table import read_table
from unroll.pipelines.training.progress import Progress

case, file = sys.argv[1:]
before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
if case == "records":
    rows = sum(len(batch["text"]) for batch in read_records([Path(file)], ["text", "label"]))
else:
    with Progress().stage("reading") as stage:
        section = SeriesSection(series="id", targets=["load"], past_covariates=["temperature"])
        rows = len(read_table(section, file, stage).times)
after = resource.getrusage(resource.RUSAGE_SELF)
print(rows, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, time.perf_counter() - start)
"""
_WORDS = ("the", "film", "was", "not", "very", "good", "bad", "long", "story", "of", "actors", "she", "liked", "it")


def records(rows: int) -> Iterator[str]:
    """Reviews and labels; one in three has commas and quotation marks, one in three thousand two lines."""
    rng = random.Random(0)
    yield "id,text,label\n"
    for number in range(rows):
        text = " ".join(rng.choices(_WORDS, k=12))
        if number % 3 == 0:
            text = f'"{text}, ""{text[:9]}"", {text}"' if number % 1000 else f'"{text},\n{text}"'
        yield f"{number},{text},{number % 2}\n"


def series(rows: int) -> Iterator[str]:
    """Hourly values of a hundred series."""
    rng = random.Random(0)
    yield "time,id,load,temperature,note\n"
    for number in range(rows):
        hour, one = divmod(number, 100)
        stamp = f"2{hour // 8760:03}-{hour // 720 % 12 + 1:02}-{hour // 24 % 28 + 1:02} {hour % 24:02}:00"
        yield f"{stamp},s{one},{rng.random() * 100:.2f},{rng.randrange(40)},ok\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--beside", type=Path, help="a checkout of another version")
    parser.add_argument("--json", action="store_true", help="print rows, one object a case")
    given = parser.parse_args()
    systems = {"unroll": ROOT} | ({"beside": given.beside.resolve()} if given.beside else {})
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for case, lines in {"records": records, "series": series}.items():
            file = Path(folder) / f"{case}.csv"
            file.write_text("".join(lines(given.rows)))
            times: dict[str, list[list[float]]] = {system: [] for system in systems}
            for _ in range(given.runs):
                for system, root in systems.items():
                    command = [sys.executable, "-c", _READ, case, str(file)]
                    environment = {**os.environ, "PYTHONPATH": str(root)}
                    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, check=True)
                    rows, *seconds = map(float, done.stdout.split())
                    assert rows == given.rows
                    times[system].append(seconds)
            for system, measured in times.items():
                cpu, wall = (statistics.median(one) for one in zip(*measured, strict=True))
                row = {"system": system, "case": case, "rows": given.rows}
                found.append({**row, "cpu_seconds": round(cpu, 2), "seconds": round(wall, 2)})
    if given.json:
        print(json.dumps(found))
        return
    for row in found:
        print(f"{row['case']:8} {row['system']:8} {row['cpu_seconds']:7.2f} s CPU {row['seconds']:7.2f} s")


if __name__ == "__main__":
    main()
