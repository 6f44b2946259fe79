"""What anybody can have the log say as often as they like: it says so once a minute, and how often it came."""

import asyncio
import logging

_SECONDS = 60.0


class RateLimitedLog:
    """Says a thing at once, and what came of it within the next minute in one line at its end.

    Used in the event loop's thread.

    Args:
        log: where to.
        seconds: that there are between two lines.

    Example:
        >>> unreadable = RateLimitedLog(logging.getLogger(__name__))
        >>> unreadable.warning("%s sent what is not read here", address)  # doctest: +SKIP
    """

    def __init__(self, log: logging.Logger, seconds: float = _SECONDS) -> None:
        self._log = log
        self._seconds = seconds
        self._minute: asyncio.TimerHandle | None = None
        self._more = 0
        self._latest = ""
        self.count = 0
        """How often it came."""

    def warning(self, text: str, *values: object) -> None:
        """Says a line, or counts it."""
        self.count += 1
        line = text % values
        if self._minute is None:
            self._log.warning("%s", line)
            self._wait()
        else:
            self._more += 1
            self._latest = line

    def _wait(self) -> None:
        self._minute = asyncio.get_running_loop().call_later(self._seconds, self._tell)

    def _tell(self) -> None:
        self._minute = None
        if self._more:
            self._log.warning("%s (the last of %d like it since the line before)", self._latest, self._more)
            self._more = 0
            self._wait()
