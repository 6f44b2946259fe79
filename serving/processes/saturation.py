"""Whether the event loop, not TensorFlow, is what is full: it computes all the time while cores are idle."""

import contextlib
import os
import time
from collections.abc import Callable, Set
from dataclasses import dataclass
from pathlib import Path

from unroll.serving.engine.cores import cores

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PROC = Path("/proc")
_CGROUP = Path("/sys/fs/cgroup")
# Of a container's memory, by cgroup version: limit, use, and what of it is files that can be dropped.
_MEMORY = (
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
)


@dataclass(frozen=True)
class Thresholds:
    """When another process is worth its while.

    Args:
        busy: share of the time that the event loop's thread computes.
        looks: how often in a row, at least 2.
        look_seconds: from one look to the next.
        idle_cores: that are left meanwhile. The system itself takes a little of each.
        memory: that is available, times what this process has resident.
        settle_seconds: after a change, for its effect to show.
        retry_seconds: after a process that could not serve.
    """

    busy: float = 0.9
    looks: int = 6
    look_seconds: float = 5.0
    idle_cores: float = 0.9
    memory: float = 2.0
    settle_seconds: float = 30.0
    retry_seconds: float = 300.0


@dataclass(frozen=True)
class Usage:
    """Seconds up to a moment.

    Args:
        at: the moment.
        idle: that the cores which this process may use were idle.
        used: that the container has computed, where it may have only a share of them.
    """

    at: float
    idle: float
    used: float | None = None


class Saturation:
    """Looks at an event loop.

    Args:
        thresholds: see there.
        usage: reads what the machine did; not read while the loop has nothing to complain of.
        available: cores that this process may use.

    Example:
        >>> moments = iter([Usage(at=1.0, idle=10.0), Usage(at=2.0, idle=11.5)])
        >>> saturation = Saturation(Thresholds(looks=2), lambda: next(moments), available=4)
        >>> saturation.look(0.5), saturation.look(0.97), saturation.look(0.97)
        (None, None, 1.5)
    """

    def __init__(self, thresholds: Thresholds, usage: Callable[[], Usage], available: int) -> None:
        self._thresholds = thresholds
        self._read = usage
        self._available = available
        self._busy_looks = 0
        self._began = Usage(0.0, 0.0)

    def look(self, busy: float) -> float | None:
        """Takes a look into account.

        Args:
            busy: share of the time since the last one that the loop's thread computed.

        Returns:
            The idle cores if the loop is full beside them. The next looks begin again then.
        """
        if busy < self._thresholds.busy:
            self._busy_looks = 0
            return None
        self._busy_looks += 1
        if self._busy_looks == 1:
            self._began = self._read()
        if self._busy_looks < self._thresholds.looks:
            return None
        self._busy_looks = 0
        idle = idle_cores(self._began, self._read(), self._available)
        return idle if idle >= self._thresholds.idle_cores else None


def idle_cores(before: Usage, after: Usage, available: int) -> float:
    """Cores that nobody used between two moments, and this process may.

    Example:
        >>> idle_cores(Usage(0.0, 0.0, 0.0), Usage(2.0, 12.0, 3.0), available=2)  # of the container's two, half of one
        0.5
    """
    seconds = after.at - before.at
    idle = (after.idle - before.idle) / seconds
    if before.used is None or after.used is None:
        return idle
    return min(idle, available - (after.used - before.used) / seconds)


class IdleCores:
    """Cores that nobody used, and this process may, since they were looked at before.

    Example:
        >>> look = IdleCores()
        >>> look() <= cores()
        True
    """

    def __init__(self) -> None:
        self._before = usage()

    def __call__(self) -> float:
        before, self._before = self._before, usage()
        return idle_cores(before, self._before, cores())


def usage(proc: Path = _PROC, cgroup: Path = _CGROUP) -> Usage:
    """What the machine did up to now."""
    allowed = os.sched_getaffinity(0)
    used = None
    if cores(cgroup / "cpu.max") < len(allowed):
        with contextlib.suppress(OSError, KeyError):
            used = _named(cgroup / "cpu.stat")["usage_usec"] / 1e6
    return Usage(time.monotonic(), idle_seconds((proc / "stat").read_text(), allowed), used)


def idle_seconds(stat: str, allowed: Set[int]) -> float:
    """Seconds that some cores were idle since the machine started.

    Args:
        stat: `/proc/stat`.
        allowed: numbers of the cores.
    """
    ticks = 0
    for line in stat.splitlines():
        name, *numbers = line.split(maxsplit=6)
        if name[:3] == "cpu" and name[3:].isdigit() and int(name[3:]) in allowed:
            ticks += int(numbers[3]) + int(numbers[4])  # idle, or so while a disk is waited for
    return ticks / _TICKS


def has_memory(times: float, proc: Path = _PROC, cgroup: Path = _CGROUP) -> bool:
    """Whether so many times what this process has resident is available, by the machine and by its container."""
    resident = int((proc / "self" / "statm").read_text().split()[1]) * _PAGE
    available = _named(proc / "meminfo")["MemAvailable:"] * 1024
    for limit, use, stat, inactive in _MEMORY:
        with contextlib.suppress(OSError, ValueError, KeyError):  # another version, or no limit
            left = int((cgroup / limit).read_text()) - int((cgroup / use).read_text())
            available = min(available, left + _named(cgroup / stat)[inactive])
    return available >= times * resident


def _named(file: Path) -> dict[str, int]:
    """Lines of a name and a number."""
    return {words[0]: int(words[1]) for line in file.read_text().splitlines() if len(words := line.split()) > 1}
