"""Listens for HTTP and hands requests to the endpoint, in the event loop of whoever starts it."""

import asyncio
import functools
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Any

import uvicorn

from unroll.errors import UserError
from unroll.serving.front.handshake import accept
from unroll.serving.rest.connections import Connection
from unroll.serving.rest.peers import ConnectionLimits, Connections

_BACKLOG = 2048
_UNFINISHED_SECONDS = 1.0  # after which a request that is not there yet, or an answer not taken, delays no stop
_POLL_SECONDS = 0.02
_LIMITS = ConnectionLimits()


class RestServer:
    """An HTTP/1.1 server.

    Args:
        app: an ASGI application.
        host: address to listen on.
        port: 0 picks a free one.
        tls: for HTTPS, or None.
        reuse_port: whether other processes of this server listen on the port too, and the system shares out.
        limits: what clients may take up.

    Example:
        >>> server = RestServer(application, port=0)  # doctest: +SKIP
        >>> port = await server.start()  # doctest: +SKIP
        >>> await server.stop(30)  # doctest: +SKIP
    """

    def __init__(
        self,
        app: Any,
        host: str = "127.0.0.1",
        port: int = 8501,
        *,
        tls: ssl.SSLContext | None = None,
        reuse_port: bool = False,
        limits: ConnectionLimits = _LIMITS,
    ) -> None:
        self._host = host
        self._port = port
        self._tls = tls
        self._reuse_port = reuse_port
        config = uvicorn.Config(
            app,
            lifespan="off",
            ws="none",
            access_log=False,
            log_config=None,
            log_level=logging.ERROR,
            proxy_headers=False,
        )
        config.load()
        self._connections = Connections(config, limits)
        self._listening: socket.socket | None = None
        self._close: Callable[[], object] | None = None  # what listens
        self._sweeping: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Listens, and answers from now on.

        Returns:
            The port.

        Raises:
            UserError: the port is in use, or cannot be listened on.
        """
        self._listening = listening = self._listen()
        self._sweeping = asyncio.create_task(self._connections.sweep())
        port = int(listening.getsockname()[1])
        loop = asyncio.get_running_loop()
        if self._tls is None:
            server = await loop.create_server(lambda: Connection(self._connections), sock=listening, backlog=_BACKLOG)
            self._close = server.close
        else:
            listening.setblocking(False)
            listening.listen(_BACKLOG)
            begin = functools.partial(self._connections.shake_hands, self._tls, Connection)
            self._close = loop.create_task(accept(listening, begin)).cancel
        return port

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._connections)

    def share_port(self) -> None:
        """Lets other processes of this user listen on the port from now on; the system shares out."""
        assert self._listening is not None, "start comes first"
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)

    def call_back(self, seconds: float) -> None:
        """Has the clients come back on new connections, at no cost to them.

        Args:
            seconds: over which they are told. Here each is told with the answer to its next request.
        """
        for connection in self._connections:
            connection.come_back()

    @property
    def unreadable(self) -> int:
        """How many clients spoke what is not spoken here."""
        return self._connections.unreadable.count

    @property
    def calls(self) -> int:
        """Requests that have begun and are not answered yet."""
        return sum(connection.answering for connection in self._connections)

    async def stop(self, drain_seconds: float) -> int:
        """Takes no more connections, and returns when requests in flight are answered or the time is up.

        It waits for requests, not for clients: for one that has not sent its whole request, or does not take its
        answer, a second and no longer.

        Args:
            drain_seconds: how long they may take.

        Returns:
            How many it cuts off then.
        """
        assert self._close is not None, "start comes first"
        assert self._sweeping is not None
        self._close()
        handshakes = [handshake.task for handshake in self._connections.handshakes]
        for task in handshakes:
            task.cancel()
        await asyncio.gather(*handshakes, return_exceptions=True)
        for connection in self._connections:
            connection.finish()
        loop = asyncio.get_running_loop()
        end = loop.time() + drain_seconds
        idle_since: dict[Connection, float] = {}
        while len(self._connections) and (now := loop.time()) < end:
            for connection in self._connections:
                if connection.answering and not connection.receiving:
                    idle_since.pop(connection, None)
                elif now - idle_since.setdefault(connection, now) > _UNFINISHED_SECONDS:
                    connection.transport.abort()
            await asyncio.sleep(_POLL_SECONDS)
        cut = self.calls
        for connection in self._connections:
            connection.transport.abort()
        await asyncio.sleep(0)  # for them to notice
        tasks = [self._sweeping, *self._connections.state.tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return cut

    def _listen(self) -> socket.socket:
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self._reuse_port:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            listening.bind((self._host, self._port))
        except (OSError, OverflowError):
            listening.close()
            raise UserError(
                f"--rest_api_port {self._port}: cannot listen on {self._host}:{self._port}; another program uses the "
                "port, or the address is not this machine's. Stop it, or choose another port (0 picks a free one)."
            ) from None
        return listening
