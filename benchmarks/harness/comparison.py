"""What a run of `benchmarks/serving.py` shows: its tables, and the ratios that they are read for."""

import math
import sys
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.harness.in_process import LIMIT, on_all_cores
from benchmarks.harness.systems import OTHER, PATHS, REAL, UNROLL

_FIGURES = (("requests_per_second", 0), ("p50_ms", 2), ("p99_ms", 2), ("failed", 0), ("cpu_us", 0))
_RATIOS = ("requests_per_second", "p50_ms", "p99_ms")
_FULL = 64  # rows a call of the limit that shares are of
_WIDTH = 150
Row = dict[str, Any]


@dataclass(frozen=True)
class Cell:
    """`clients` clients that send requests of `rows` rows by `protocol`."""

    protocol: str
    clients: int
    rows: int

    def __str__(self) -> str:
        return f"{'REST ' if self.protocol == 'http' else ''}{self.clients} x {self.rows}"

    def protocol_of(self, system: str) -> str | None:
        """The protocol by which a system is asked: this cell's, or REST where it has no gRPC."""
        paths = PATHS[kind(system)]
        return self.protocol if self.protocol in paths else "http" if self.protocol == "grpc" else None


def kind(system: str) -> str:
    """The system, whatever its flags: one of `systems.PATHS`."""
    return system.split(" --")[0]


def show(rows: list[Row], cells: list[Cell]) -> None:
    """Prints a model's rows, as `benchmarks/serving.py --json` writes them."""
    console = Console(width=None if sys.stdout.isatty() else _WIDTH)
    served = {cell: _served(rows, cell) for cell in cells}
    loops = [row for row in rows if not row["clients"]]
    console.print(_table(served, loops))
    console.print(f"limit: rows/s as a share of those in process on all cores, {_FULL} rows a call")
    for other in (REAL, OTHER):
        if any({UNROLL, other} <= by_system.keys() for by_system in served.values()):
            console.print(_against(other, served))
    for line in _lines(served, loops):
        console.print(line)


def _served(rows: list[Row], cell: Cell) -> dict[str, Row]:
    found = {
        row["system"]: row
        for row in rows
        if (row["clients"], row["rows"]) == (cell.clients, cell.rows)
        and row["protocol"] == cell.protocol_of(row["system"])
    }
    return dict(sorted(found.items(), key=lambda item: list(PATHS).index(kind(item[0]))))


def _table(served: dict[Cell, dict[str, Row]], loops: list[Row]) -> Table:
    first = next(iter(loops))
    table = Table(title=" ".join(str(first[name]) for name in ("model", "texts") if name in first))
    for column in ("clients x rows", "system"):
        table.add_column(column)
    columns = ("requests/s", "p50 ms", "p99 ms", "failed", "CPU us", "unroll / it", "its p50", "its p99", "limit")
    for column in columns:
        table.add_column(column, justify="right")
    most = _rows_a_second(loops, on_all_cores(LIMIT), _FULL)

    def add(name: str, row: Row, ours: Row | None) -> None:
        table.add_row(
            name,
            row["system"],
            *(f"{row[figure]:,.{digits}f}" for figure, digits in _FIGURES),
            *(f"{_ratio(ours[figure], row[figure]):.2f}" if ours and ours is not row else "" for figure in _RATIOS),
            f"{row['requests_per_second'] * row['rows'] / most:.0%}",
        )

    for cell, by_system in served.items():
        for row in by_system.values():
            add(str(cell), row, by_system.get(UNROLL))
        table.add_section()
    for row in loops:
        add(f"in process, {row['rows']}", row, None)
    return table


def _against(other: str, served: dict[Cell, dict[str, Row]]) -> Table:
    """Ours and one other system, by cell. Rounds are compared each with its own, since the machine changes."""
    table = Table(title=f"unroll / {other}")
    table.add_column("clients x rows")
    for column in ("requests/s", "ratio", "by round", "p50 ms", "ratio", "p99 ms", "ratio", "at least as good"):
        table.add_column(column, justify="right")
    for cell, by_system in served.items():
        if not {UNROLL, other} <= by_system.keys():
            continue
        ours, its = by_system[UNROLL], by_system[other]
        by_round = [_ratio(*pair) for pair in zip(ours["rounds"], its["rounds"], strict=True)]
        ratios = {figure: _ratio(ours[figure], its[figure]) for figure in _RATIOS}
        rate, p50, p99 = (
            (f"{ours[figure]:,.{digits}f} / {its[figure]:,.{digits}f}", f"{ratios[figure]:.2f}")
            for figure, digits in _FIGURES[:3]
        )
        good = [
            what
            for what, met in (
                ("requests/s", ratios["requests_per_second"] >= 1),
                ("p50", ratios["p50_ms"] <= 1),
                ("p99", ratios["p99_ms"] <= 1),
            )
            if met
        ]
        spread = f"{min(by_round):.2f} to {max(by_round):.2f}"
        table.add_row(str(cell), *rate, spread, *p50, *p99, ", ".join(good) or "none")
    return table


def _lines(served: dict[Cell, dict[str, Row]], loops: list[Row]) -> list[str]:
    lines = []
    calls = {row["system"]: row["p50_ms"] for row in loops if row["rows"] == 1 and not row["system"].endswith("cores")}
    for row in served.get(Cell("grpc", 1, 1), {}).values():
        times = " and ".join(f"{row['p50_ms'] / call:.2f} times {name}'s call" for name, call in calls.items())
        lines.append(f"{row['system']}, a lone client: p50 is {times} in process")
    lone = served.get(Cell("grpc", 1, 1), {})
    if {UNROLL, REAL} <= lone.keys():
        ratio = lone[UNROLL]["p50_ms"] / lone[REAL]["p50_ms"]
        lines.append(f"a lone client's p50: unroll / {REAL} {ratio:.2f} (at most 1.2)")
    for cell, by_system in served.items():
        if cell.rows == 16 and UNROLL in by_system:
            rate = 16 * by_system[UNROLL]["requests_per_second"]
            shares = " and ".join(
                f"{rate / _rows_a_second(loops, on_all_cores(LIMIT), rows):.0%} of the limit on all cores with {rows}"
                for rows in (16, _FULL)
            )
            lines.append(f"unroll, {cell}: {shares} rows a call (at least 75%)")
    measured = [row for by_system in served.values() for row in by_system.values()]
    if measured:
        fastest = max(measured, key=lambda row: row["requests_per_second"])
        lines.append(
            f"load generator: {fastest['load_us']:.0f} us a request at {fastest['requests_per_second']:,.0f} a second"
        )
        others = max(row["others_cpu"] for row in measured)
        if others > 0.01:
            lines.append(f"servers that were not under load took {others:.0%} of a core")
    return lines


def _ratio(one: float, other: float) -> float:
    return one / other if other else math.inf  # in a short round, nothing may have been answered


def _rows_a_second(loops: list[Row], system: str, rows: int) -> float:
    """Of a candidate in process with that many rows a call."""
    rates = (row["requests_per_second"] for row in loops if (row["system"], row["rows"]) == (system, rows))
    return rows * next(rates)
