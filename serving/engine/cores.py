"""How many cores this process may use."""

import os
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def cores(quota: Path = _QUOTA) -> int:
    """The cores that this process may run on, or fewer where its container's share of the time is less.

    Args:
        quota: `<microseconds or max> <microseconds of a period>`, as Linux' cgroup v2 tells it; need not exist.

    Example:
        >>> cores() >= 1
        True
    """
    allowed = len(os.sched_getaffinity(0))
    try:
        share, period = quota.read_text().split()
        return max(1, min(allowed, round(int(share) / int(period))))
    except (OSError, ValueError):  # another system, or no limit
        return allowed
