"""Clients that are at the TLS handshake: each has its place among the connections from the moment it is accepted."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable

from serving.http2.connection import Connection
from serving.http2.patience import TICK
from serving.http2.usage import Share

_CROWDED_SECONDS = 1.0
_DRAIN_SECONDS = 1.0
_PAUSE = 0.1  # seconds until the next try where the system has no descriptor left


async def accept(listening: socket.socket, accepted: Callable[[socket.socket], None]) -> None:
    """Hands over whoever connects, until cancelled; then closes the listening socket."""
    loop = asyncio.get_running_loop()
    with listening:
        while True:
            try:
                client, _ = await loop.sock_accept(listening)
            except ConnectionError:  # gone already
                continue
            except OSError:
                await asyncio.sleep(_PAUSE)
                continue
            accepted(client)


class Handshake:
    """Takes a client through the handshake, after which its connection speaks with it.

    Args:
        context: of the server.
        seconds: what it may take.
        share: what it uses up.
        on_made: see `Connection`.
        on_lost: called when it is over, one way or the other.
    """

    is_busy = False

    def __init__(
        self,
        context: ssl.SSLContext,
        seconds: float,
        share: Share,
        on_made: "Callable[[Handshake, str], bool]",
        on_lost: "Callable[[Handshake], None]",
    ) -> None:
        self._context = context
        self._seconds = seconds
        self._on_made = on_made
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._quiet = 0.0
        self.share = share

    def begin(self, client: socket.socket, connect: Callable[[], Connection]) -> None:
        """Takes an accepted client, with whom speaks what `connect` makes once the handshake is over."""
        try:
            address = client.getpeername()[0]
        except OSError:  # gone already
            client.close()
            return
        if self._on_made(self, address):
            self._task = self._loop.create_task(self._shake(client, connect))
        else:
            client.close()

    async def _shake(self, client: socket.socket, connect: Callable[[], Connection]) -> None:
        try:
            with contextlib.suppress(OSError, asyncio.CancelledError):
                await self._loop.connect_accepted_socket(
                    connect, client, ssl=self._context, ssl_handshake_timeout=self._seconds
                )
        finally:
            self._on_lost(self)

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
