"""A client that is at the TLS handshake: it has its place among the connections already."""

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

from serving.http2.connection import Connection
from serving.http2.patience import TICK
from serving.http2.usage import Share

_CROWDED_SECONDS = 1.0
_DRAIN_SECONDS = 1.0


class Handshake(asyncio.Protocol):
    """Takes a client through the handshake, and hands it to its connection.

    Args:
        context: of the server.
        seconds: what it may take.
        connection: what speaks with the client then.
        on_made: see `Connection`.
        on_lost: called when it is over, one way or the other.
    """

    is_busy = False

    def __init__(
        self,
        context: ssl.SSLContext,
        seconds: float,
        connection: Connection,
        on_made: "Callable[[Handshake, str], bool]",
        on_lost: "Callable[[Handshake], None]",
    ) -> None:
        self._context = context
        self._seconds = seconds
        self._connection = connection
        self._on_made = on_made
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._quiet = 0.0
        self.share = Share(connection.share.usage)
        self._transport = cast(asyncio.Transport, None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.pause_reading()  # what comes is for the handshake
        peer = transport.get_extra_info("peername")
        if self._on_made(self, peer[0] if isinstance(peer, tuple) else ""):
            self._task = self._loop.create_task(self._shake())
        else:
            self._transport.abort()

    async def _shake(self) -> None:
        try:
            encrypted = await self._loop.start_tls(
                self._transport,
                self._connection,
                self._context,
                server_side=True,
                ssl_handshake_timeout=self._seconds,
            )
        except (OSError, ssl.SSLError, asyncio.CancelledError):
            encrypted = None
            self._transport.abort()
        self._on_lost(self)
        if encrypted is not None:
            self._connection.connection_made(encrypted)

    def tick(self, crowded: bool) -> None:
        """See `Connection.tick`."""
        self._quiet += TICK
        if crowded and self._quiet >= _CROWDED_SECONDS:
            self.abort()

    def drain(self) -> None:
        """Who is about to end the handshake may."""
        self._loop.call_later(_DRAIN_SECONDS, self.abort)

    def abort(self) -> None:
        """Closes at once, unless the handshake is over."""
        self._task.cancel()
