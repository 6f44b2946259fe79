"""Rows that are measured, kept in a file as they come, so that a killed run goes on."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

OURS = "unroll"


class Rows:
    """Rows `{"task", "set", "system", "metric", "value", "seconds"}`, with the revision and minutes of Unroll's.

    Args:
        file: JSON lines; those that are there already count.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._rows: list[dict[str, Any]] = []
        for line in file.read_text().splitlines() if file.exists() else []:
            try:
                self._rows.append(json.loads(line))
            except json.JSONDecodeError:  # the last one, of a run that was killed as it wrote
                continue

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """The newest rows of each set and system."""
        newest: dict[tuple[str, str, str], str] = {}
        for row in self._rows:
            newest[_key(row)] = row["at"]
        return (row for row in self._rows if row["at"] == newest[_key(row)])

    def done(self, task: str, name: str, system: str, of: dict[str, Any]) -> bool:
        """Whether there are rows of a system for a set that agree with `of`, such as the revision."""
        return any(_key(row) == (task, name, system) and of.items() <= row.items() for row in self._rows)

    def add(self, rows: list[dict[str, Any]]) -> None:
        """All rows of one measurement, which have one `at`."""
        self._rows += rows
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a") as out:
            out.write("".join(json.dumps(row) + "\n" for row in rows))


def _key(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["task"], row["set"], row["system"]
