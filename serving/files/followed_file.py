"""A small file that is followed while the server runs: tokens, certificates."""

import os
import time
from pathlib import Path

LOOK_SECONDS = 1.0
_SOON_SECONDS = 0.05
_SETTLED_NS = 2_000_000_000  # age by which no other change can have the same time


class FollowedFile:
    """Tells when a file may say something new: written, renamed over, linked elsewhere, chmodded, deleted.

    It is looked at when somebody asks, at most once a second, by what `stat` tells of where its links lead. Clocks of
    file systems tick slowly, so what changed just before it was read may have changed again: it is read once more.

    Args:
        path: the file, which is to be read after this.

    Example:
        >>> characters = Path("tokens").write_text("app:6fd1b7a60d4c2e8891a3")
        >>> followed = FollowedFile(Path("tokens"))
        >>> tokens = followed.path.read_text()
        >>> if followed.changed():
        ...     tokens = followed.path.read_text()
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._look_at = 0.0
        self._look()

    def changed(self) -> bool:
        """Whether to read it again."""
        if time.monotonic() < self._look_at:
            return False
        stamp, settled = self._stamp, self._settled
        self._look()
        return self._stamp != stamp or not settled

    def retry(self, soon: bool) -> None:
        """Has it count as changed at the next look: it could not be read, or not be made sense of.

        Args:
            soon: whether that is to be long before a second is over, since whoever writes it may be at it.
        """
        self._look_at = time.monotonic() + (_SOON_SECONDS if soon else LOOK_SECONDS)
        self._settled = False

    def _look(self) -> None:
        self._look_at = time.monotonic() + LOOK_SECONDS
        try:
            status = os.stat(self.path)
        except OSError:
            self._stamp: tuple[int, ...] = ()
            self._settled = True
            return
        self._stamp = (
            status.st_mtime_ns,
            status.st_ctime_ns,
            status.st_size,
            status.st_dev,
            status.st_ino,
            status.st_mode,
        )
        self._settled = abs(time.time_ns() - status.st_ctime_ns) > _SETTLED_NS
