"""Clients that are at the TLS handshake: an endpoint knows of them from the moment they are accepted."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable

from unroll.serving.front.rate_limited_log import RateLimitedLog

_DRAIN_SECONDS = 1.0
_PAUSE = 0.1  # seconds until the next try where the system has no descriptor left
_RECORD = b"\x16"  # of a handshake: what TLS begins with
_REQUEST_BYTES = 1 << 16  # that are taken before the answer: what is left unread would have the system cut that off


async def accept(listening: socket.socket, accepted: Callable[[socket.socket, str], None]) -> None:
    """Hands over whoever connects, and the address, until cancelled; then closes the listening socket."""
    loop = asyncio.get_running_loop()
    with listening:
        while True:
            try:
                client, address = await loop.sock_accept(listening)
            except ConnectionError:  # gone already
                continue
            except OSError:
                await asyncio.sleep(_PAUSE)
                continue
            accepted(client, address[0])


class Handshake:
    """Takes a client through the handshake, after which its connection speaks with it.

    Args:
        context: of the server.
        seconds: what it may take.
        on_lost: called when it is over, one way or the other.
        failures: told of clients that speak another TLS, or none.
        plain_answer: to those that speak none.
    """

    def __init__(
        self,
        context: ssl.SSLContext,
        seconds: float,
        on_lost: Callable[[], None],
        failures: RateLimitedLog,
        plain_answer: bytes = b"",
    ) -> None:
        self._context = context
        self._seconds = seconds
        self._on_lost = on_lost
        self._failures = failures
        self._plain_answer = plain_answer
        self._loop = asyncio.get_running_loop()

    def begin(self, client: socket.socket, address: str, connect: Callable[[], asyncio.Protocol]) -> None:
        """Takes an accepted client, with whom speaks what `connect` makes once the handshake is over."""

        def lost(task: "asyncio.Task[None]") -> None:
            if task.cancelled():  # before it began
                client.close()
            self._on_lost()

        self.task = self._loop.create_task(self._shake(client, address, connect))
        self.task.add_done_callback(lost)

    async def _shake(self, client: socket.socket, address: str, connect: Callable[[], asyncio.Protocol]) -> None:
        with contextlib.suppress(OSError, asyncio.CancelledError):
            begin, port = self._loop.time(), client.getsockname()[1]
            try:
                async with asyncio.timeout(self._seconds):
                    speaks_tls = await self._speaks_tls(client)
            except BaseException:
                client.close()
                raise
            if not speaks_tls:
                with client:
                    self._failures.warning("%s speaks no TLS on port %d, which does", address, port)
                    client.send(self._plain_answer)
                    client.shutdown(socket.SHUT_WR)
                return
            left = max(self._seconds - (self._loop.time() - begin), 0.1)
            try:
                await self._loop.connect_accepted_socket(connect, client, ssl=self._context, ssl_handshake_timeout=left)
            except ssl.SSLError as error:
                reason = (error.reason or str(error)).lower().replace("_", " ")
                self._failures.warning("%s failed at the TLS handshake on port %d: %s", address, port, reason)

    async def _speaks_tls(self, client: socket.socket) -> bool:
        """Looks at the first byte, and leaves it where it is if TLS begins with it.

        Raises:
            OSError: the client is gone.
        """
        came: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_reader(client, _note, came)
        try:
            await came
        finally:
            self._loop.remove_reader(client)
        first = client.recv(1, socket.MSG_PEEK)
        if not first:
            raise ConnectionResetError
        if first == _RECORD:
            return True
        client.recv(_REQUEST_BYTES)
        return False

    def drain(self) -> None:
        """Who is about to end the handshake may."""
        self._loop.call_later(_DRAIN_SECONDS, self.abort)

    def abort(self) -> None:
        """Closes at once, unless the handshake is over."""
        self.task.cancel()


def _note(came: "asyncio.Future[None]") -> None:
    if not came.done():
        came.set_result(None)
