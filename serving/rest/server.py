"""Listens for HTTP and hands requests to the door, in the event loop of whoever starts it."""

import asyncio
import contextlib
import logging
import math
import socket
import ssl
from collections.abc import Iterator
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from errors import UserError

_BACKLOG = 2048
_HEAD_BYTES = 64 << 10
_HEAD_SECONDS = 20.0
_BODY_PAUSE_SECONDS = 20.0
_MOST_CONNECTIONS = 4096
_BEGINNING = 4  # bytes that tell other protocols from HTTP/1
_OTHER_PROTOCOLS = {
    b"PRI ": "a gRPC client, it seems: give it the port of --port",
    b"\x16\x03": "a client that speaks TLS, it seems: let it ask http://, or give the server --rest_ssl_config_file",
}

_log = logging.getLogger(__name__)


class RestServer:
    """An HTTP/1.1 server.

    Args:
        app: an ASGI application.
        host: address to listen on.
        port: 0 picks a free one.
        tls: for HTTPS, or None.
        reuse_port: whether other processes of this server listen on the port too, and the system shares out.

    Example:
        >>> server = RestServer(door, port=0)  # doctest: +SKIP
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
    ) -> None:
        self._host = host
        self._port = port
        self._reuse_port = reuse_port
        self._server = _Server(
            uvicorn.Config(
                app,
                http=_Protocol,
                backlog=_BACKLOG,
                lifespan="off",
                ws="none",
                access_log=False,
                log_config=None,
                log_level=logging.ERROR,
                server_header=False,
                proxy_headers=False,
                ssl_context_factory=(lambda _config, _default: tls) if tls else None,
            )
        )
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> int:
        """Listens, and answers from now on.

        Returns:
            The port.

        Raises:
            UserError: the port is in use, or cannot be listened on.
        """
        listening = self._listen()
        self._serving = asyncio.create_task(self._server.serve([listening]))
        while not self._server.started:
            if self._serving.done():
                self._serving.result()
            await asyncio.sleep(0.001)
        return int(listening.getsockname()[1])

    async def stop(self, drain_seconds: float) -> None:
        """Takes no more connections, and returns when requests in flight are answered or the time is up.

        Args:
            drain_seconds: how long they may take.
        """
        assert self._serving is not None, "start comes first"
        self._server.config.timeout_graceful_shutdown = max(1, math.ceil(drain_seconds))
        self._server.should_exit = True
        await self._serving

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


class _Protocol(HttpToolsProtocol):
    """Bounds connections, how long they say nothing, and what is no body: heads, trailers, the heads of chunks.

    The parser would take and keep them without end.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._bytes = 0  # since the last that had a meaning
        self._wait_for_head()
        super().connection_made(cast(asyncio.Transport, transport))
        if len(self.connections) > _MOST_CONNECTIONS:
            self.transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        self._timer.cancel()
        super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        self._bytes += len(data)
        self._beginning = data[:_BEGINNING]
        super().data_received(data)
        if self._bytes > _HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("The request's head is too large.")

    def send_400_response(self, msg: str) -> None:
        peer = ":".join(map(str, self.client)) if self.client else "somebody"
        guess = (words for start, words in _OTHER_PROTOCOLS.items() if self._beginning.startswith(start))
        _log.warning("%s sent what is not read as HTTP/1.1 (%s)", peer, next(guess, msg.rstrip(".")))
        super().send_400_response(msg)

    def on_message_begin(self) -> None:
        self._timer.cancel()
        self._wait_for_head()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._bytes = 0
        self._wait_for_body()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._bytes = 0
        self._wait_for_body()
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._timer.cancel()
        super().on_message_complete()

    def _wait_for_head(self) -> None:
        self._timer = self.loop.call_later(_HEAD_SECONDS, self._give_up_head)

    def _give_up_head(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.abort()
        else:  # the head is of the next request, and the one before is not answered yet
            self._wait_for_head()

    def _wait_for_body(self) -> None:
        self._timer.cancel()
        self._timer = self.loop.call_later(_BODY_PAUSE_SECONDS, self._give_up_body)

    def _give_up_body(self) -> None:
        if self.flow.read_paused:  # it is the server that does not listen
            self._wait_for_body()
        else:
            self.transport.abort()


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals to the process that this server is a part of."""
        yield
