"""What the rows come to: a table of sets, geometric means, coverage, and where the default is worse."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.untuned.rows import OURS

WORSE = 0.02
"""Of the best simple method's score: more is worse."""
TOLD = "said_worse"
_JUDGED = {"forecasting": ("mase", "wql"), "sentiment": ("accuracy", "log_loss"), "captioning": ("exact_match", "bleu")}
_HIGHER = {"accuracy", "exact_match", "bleu"}
_NAIVE = "seasonal naive"


def report(rows: Iterable[dict[str, Any]], console: Console) -> None:
    """Prints the tables and what they come to.

    Args:
        rows: of `Rows`.
        console: to print on.
    """
    values: dict[tuple[str, str], dict[str, dict[str, float]]] = {}
    for row in rows:
        values.setdefault((row["task"], row["set"]), {}).setdefault(row["system"], {})[row["metric"]] = row["value"]
    for task, metrics in _JUDGED.items():
        sets = {name: systems for (of, name), systems in values.items() if of == task}
        for metric in metrics if sets else ():
            console.print(_table(f"{task}: {metric.replace('_', ' ')}", metric, sets))
    series = {name: systems for (task, name), systems in values.items() if task == "forecasting"}
    _means(series, console)
    for line in lost(values):
        console.print(line)


def lost(values: dict[tuple[str, str], dict[str, dict[str, float]]]) -> list[str]:
    """A line for each set and metric on which the default is more than 2 % worse than the best simple method.

    "Said so" means that the run's summary named some baseline as better, not that it named this one, or this metric.
    """
    lines = []
    for (task, name), systems in values.items():
        ours = systems.get(OURS, {})
        if "failed" in ours:
            lines.append(f"{task} {name}: no model was trained")
            continue
        for metric in _JUDGED[task]:
            others = {one: known[metric] for one, known in systems.items() if one != OURS and metric in known}
            if metric not in ours or not others:
                continue
            best = (max if metric in _HIGHER else min)(others, key=others.__getitem__)
            loss = (others[best] - ours[metric]) if metric in _HIGHER else (ours[metric] - others[best])
            if loss > WORSE * abs(others[best]):
                told = "said so" if ours.get(TOLD) else "did not say so"
                figures = f"{ours[metric]:.4g}, {best} {others[best]:.4g}"
                lines.append(f"{task} {name}: {metric} {figures} ({loss / abs(others[best] or 1):+.1%}); it {told}")
    return lines


def _table(title: str, metric: str, sets: dict[str, dict[str, dict[str, float]]]) -> Table:
    systems = list(dict.fromkeys([OURS, *(system for known in sets.values() for system in known)]))
    table = Table("set", *systems, title=title)
    for name, known in sorted(sets.items()):
        found = {system: known[system][metric] for system in systems if metric in known.get(system, {})}
        best = (max if metric in _HIGHER else min)(found.values(), default=None)
        cells = [f"{found[one]:.4g}{'*' if found[one] == best else ''}" if one in found else "" for one in systems]
        table.add_row(name, *cells)
    return table


def _means(series: dict[str, dict[str, dict[str, float]]], console: Console) -> None:
    """Of each system beside Unroll and the seasonal naive forecast, on the sets that Unroll has answered.

    A method that failed on one of them has fewer sets, and its mean is of these.
    """
    series = {name: known for name, known in series.items() if "mase" in known.get(OURS, {})} or series
    systems = list(dict.fromkeys(system for known in series.values() for system in known))
    table = Table("system", "sets", "MASE / seasonal naive's", "wql / seasonal naive's", "coverage 80", "from", "to")
    for system in sorted(systems, key=lambda one: one != OURS):
        both = [
            known for known in series.values() if "mase" in known.get(system, {}) and "mase" in known.get(_NAIVE, {})
        ]
        if not both:
            continue
        ratios = [_geometric([known[system][m] / known[_NAIVE][m] for known in both]) for m in ("mase", "wql")]
        inside = [known[system]["coverage_80"] for known in both if "coverage_80" in known[system]]
        spread = [f"{value:.3f}" for value in (np.mean(inside), min(inside), max(inside))] if inside else [""] * 3
        table.add_row(system, str(len(both)), *(f"{ratio:.3f}" for ratio in ratios), *spread)
    if series:
        console.print(table)


def _geometric(ratios: list[float]) -> float:
    return float(np.exp(np.mean(np.log(np.maximum(ratios, 1e-12)))))
