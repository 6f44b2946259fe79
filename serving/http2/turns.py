"""Connections that sent more than a turn's worth go on one after another, one a round of the loop.

However many they are, whoever else has something to say waits for one of them only.
"""

import asyncio
from collections import deque
from collections.abc import Callable


class Turns:
    """Those of one server. Used in the event loop's thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Callable[[], None]] = deque()

    def wait(self, go_on: Callable[[], None]) -> None:
        """Has it called when it is its turn. Who waits already should not wait again before."""
        self._waiting.append(go_on)
        if len(self._waiting) == 1:
            self._loop.call_soon(self._next)

    def _next(self) -> None:
        go_on = self._waiting.popleft()
        if self._waiting:
            self._loop.call_soon(self._next)
        go_on()
