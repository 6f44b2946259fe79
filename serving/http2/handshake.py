"""gRPC clients that are at the TLS handshake: each takes a slot among the connections."""

import ssl
from collections.abc import Callable

from unroll.serving.front.handshake import Handshake
from unroll.serving.front.rate_limited_log import RateLimitedLog
from unroll.serving.http2.stall_timeout import TICK
from unroll.serving.http2.usage import Share

_CROWDED_SECONDS = 1.0


class GrpcHandshake(Handshake):
    """See `Handshake`, and `Connection` for what it has in common with one.

    Args:
        context: of the server.
        seconds: what it may take.
        share: what it uses up.
        on_lost: called when it is over, one way or the other.
        failures: told of clients that speak another TLS, or none.
    """

    is_busy = False

    def __init__(
        self,
        context: ssl.SSLContext,
        seconds: float,
        share: Share,
        on_lost: Callable[[], None],
        failures: RateLimitedLog,
    ) -> None:
        super().__init__(context, seconds, on_lost, failures)
        self._quiet = 0.0
        self.share = share

    def tick(self, crowded: bool) -> None:
        """See `Connection.tick`."""
        self._quiet += TICK
        if crowded and self._quiet >= _CROWDED_SECONDS:
            self.abort()
