"""Versions that did not load: why, and what tells one state of their directories from another."""

import contextlib
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from unroll.serving.versions.store import version_directories

Stamp = list[tuple[str, int, int]]
"""Paths, times of change and sizes of a directory's files."""


@dataclass
class Failure:
    """A version that did not load, and when it is tried again."""

    directory: Path
    stamp: Stamp  # what the directory looked like
    reason: str
    remedy: str
    tries: int
    retry_at: float  # in seconds of `time.monotonic`

    def __str__(self) -> str:
        remedy = f" {self.remedy}." if self.remedy else ""
        return f"{self.directory}: cannot be loaded ({self.reason}).{remedy}"


def look(base_path: Path, failed: Collection[int]) -> tuple[dict[int, Path], dict[int, Stamp]]:
    """The versions on disk, and what those among them look like that did not load."""
    directories = version_directories(base_path)
    return directories, {version: stamp_of(directories[version]) for version in failed if version in directories}


def stamp_of(path: Path) -> Stamp:
    """What tells one state of a version's directory from another."""
    entries = []
    for folder, _, files in os.walk(path):
        for file in [*files, ""]:
            with contextlib.suppress(OSError):  # withdrawn meanwhile
                status = os.stat(os.path.join(folder, file))
                entries.append((os.path.join(folder, file), status.st_mtime_ns, status.st_size))
    return sorted(entries)
