"""What a connection may cost the server without getting anywhere.

A frame of nine bytes costs about a microsecond, and a client sends a million of them for what one picture takes. None
of them is forbidden, and each has an honest use; so they are weighed against what a connection gets done. The unit is
roughly a microsecond.
"""

from unroll.serving.http2.frames import ENHANCE_YOUR_CALM, ProtocolError

CALL_WORTH = 40
"""What one answered call pays for: no client needs as many frames for one."""
CANCELLED = 20
"""What a stream costs that its client cancels (CVE-2023-44487), or has reset by what it sends (CVE-2025-8671)."""
REFUSED = 8
"""What a call costs that is refused for what its client sent. It takes more, but clients err in good faith."""
TAKEN_IN_CRUMBS = 8
"""What a frame of an answer costs that is as small as the client made it (CVE-2019-9511)."""
STALLED = 12
"""What a stream costs at each look (`unroll.serving.http2.stall_timeout`) whose client stands still."""
STRAINED = 1_000
"""What a connection is struck with that should wait for its turn even if it asks for little."""
_ADVANCE = 20_000
_SECONDLY = 8_000
_DEAREST_HEADERS = 128  # that a call pays for


class Budget:
    """One connection's. Frames that make no progress are struck; answers, and time, pay for them."""

    __slots__ = ("advance", "earned", "is_exhausted", "struck")

    def __init__(self) -> None:
        self.advance = _ADVANCE
        self.earned = 0
        self.is_exhausted = False
        self.struck = 0

    def add(self, cost: int) -> None:
        """Strikes without a look at the budget; `strike` looks later."""
        self.struck += cost

    def strike(self, cost: int, what: str) -> None:
        """Strikes.

        Raises:
            ProtocolError: it is too much.
        """
        self.struck += cost
        if self.struck > self.advance:
            self._settle(0)
            if self.struck > self.advance:
                self.is_exhausted = True
                raise ProtocolError(ENHANCE_YOUR_CALM, f"too much that gets nowhere, of late {what}")

    def pass_time(self, seconds: float) -> None:
        """Pays for the time that went by."""
        self._settle(int(seconds * _SECONDLY))

    def _settle(self, more: int) -> None:
        self.struck = max(0, self.struck - self.earned - more)
        self.earned = 0


def worth(header_cost: int) -> int:
    """What a call pays for once it is answered, its own headers included."""
    return CALL_WORTH + min(header_cost, _DEAREST_HEADERS)
