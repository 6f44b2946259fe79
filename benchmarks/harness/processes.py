"""What a process and its descendants use, from /proc."""

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(root: int) -> float:
    """CPU time, in the kernel too, of a process and its living descendants since each began."""
    return sum(sum(map(int, _stat(pid)[11:13])) for pid in tree(root)) / _TICKS


def memory_bytes(root: int) -> int:
    """Resident memory of a process and its descendants; shared pages count once a process."""
    lines = (line for pid in tree(root) for line in _lines(Path(f"/proc/{pid}/status")))
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS:"))


def memory_parts(root: int) -> dict[str, int]:
    """Bytes by what the kernel calls them (`Rss`, `Pss`, `Anonymous`, ...), of a process and its descendants."""
    parts: Counter[str] = Counter()
    for pid in tree(root):
        for line in _lines(Path(f"/proc/{pid}/smaps_rollup")):
            name, _, size = line.partition(":")
            if size.endswith("kB"):
                parts[name] += int(size.split()[0]) << 10
    return parts


def threads(root: int) -> int:
    return sum(_entries(Path(f"/proc/{pid}/task")) for pid in tree(root))


def files(root: int) -> int:
    """Open file descriptors."""
    return sum(_entries(Path(f"/proc/{pid}/fd")) for pid in tree(root))


def tree(root: int) -> list[int]:
    """A process and its living descendants."""
    children: dict[int, list[int]] = {}
    for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))):
        if stat := _stat(pid):
            children.setdefault(int(stat[1]), []).append(pid)
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return [pid for pid in found if _stat(pid)]


def _stat(pid: int) -> list[str]:
    """The fields of `/proc/PID/stat` from the third on, or none if the process is gone."""
    return next(_lines(Path(f"/proc/{pid}/stat")), "").rpartition(")")[2].split()


def _lines(file: Path) -> Iterator[str]:
    try:
        yield from file.read_text().splitlines()
    except OSError:  # the process ended meanwhile
        return


def _entries(folder: Path) -> int:
    try:
        return len(os.listdir(folder))
    except OSError:
        return 0
