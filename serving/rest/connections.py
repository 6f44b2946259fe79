"""HTTP/1.1 connections: how long a client may take for what, and how much of the server is one client's.

Nothing that a client has left unfinished is waited for without end. One sweep a second looks at all connections, so
that a request costs no timers.
"""

import asyncio
import functools
import logging
import socket
import ssl
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from typing import Literal, cast

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from unroll.serving.front.addresses import network
from unroll.serving.front.handshake import Handshake
from unroll.serving.front.seldom import Seldom

_HEAD_BYTES = 64 << 10
_OTHER_PROTOCOLS = {
    b"PRI ": "a gRPC client, it seems: give it the port of --port",
    b"\x16\x03": "a client that speaks TLS, it seems: let it ask http://, or give the server --rest_ssl_config_file",
}
_NO_TLS = "This port speaks HTTPS: ask https://."
_BEGINNING = 4  # bytes that tell other protocols from HTTP/1
# What offers another protocol than HTTP/1.1, hop by hop (RFC 9110, 7.8; RFC 7540, 3.2).
_OFFERS = (b"upgrade", b"http2-settings")
_FRESH_SECONDS = 1.0
_SWEEPS = 4  # within the shortest of the times, so that none is exceeded by much

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ConnectionLimits:
    """What clients may take up.

    Args:
        head_seconds: from the first byte of a request's head to its end, and until a new connection's first byte.
        body_seconds: that a body may take beyond what `bytes_per_second` allows for what has come of it.
        answer_seconds: that taking an answer may take beyond what `bytes_per_second` allows for what was taken of it.
        idle_seconds: between two requests.
        bytes_per_second: a slower client is cut off.
        handshake_seconds: for TLS.
        connections: at the same time.
        connections_per_peer: of one address. A further one takes the place of the one that has been idle longest.
    """

    head_seconds: float = 10.0
    body_seconds: float = 10.0
    answer_seconds: float = 10.0
    idle_seconds: float = 75.0
    bytes_per_second: float = 4096.0
    handshake_seconds: float = 10.0
    connections: int = 4096
    connections_per_peer: int = 3072

    @property
    def sweep_seconds(self) -> float:
        """How often connections are to be looked at."""
        return min(1.0, min(self.head_seconds, self.body_seconds, self.answer_seconds, self.idle_seconds) / _SWEEPS)


@dataclass(eq=False)
class _Peer:
    """An address, its connections, and those of them that ask nothing at the moment, the longest idle first."""

    address: str
    connections: int = 0
    idle: dict["Connection | _Handshake", None] = field(default_factory=dict)


class Connections:
    """All connections of a door.

    Args:
        config: uvicorn's, loaded.
        limits: see `ConnectionLimits`.
    """

    def __init__(self, config: uvicorn.Config, limits: ConnectionLimits) -> None:
        self.config = config
        self.limits = limits
        self.state = ServerState()
        self.unreadable = Seldom(_log)
        """Clients that speak another protocol."""
        self.handshakes: dict[_Handshake, _Peer] = {}
        self._peers: dict[str, _Peer] = {}

    def __iter__(self) -> Iterator["Connection"]:
        return iter(cast("list[Connection]", list(self.state.connections)))

    def __len__(self) -> int:
        return len(self.state.connections)

    def shake_hands(self, context: ssl.SSLContext, client: socket.socket, address: str) -> None:
        """Takes an accepted client that is to speak TLS."""
        peer = self.enter(address)
        if peer is None:
            client.close()
            return
        handshake = _Handshake(self, context)
        self.handshakes[handshake] = peer
        peer.idle[handshake] = None
        handshake.begin(client, address, functools.partial(Connection, self, handshake))

    async def sweep(self) -> None:
        """Cuts off, for as long as it runs, who takes too long."""
        loop = asyncio.get_running_loop()
        while True:
            self.state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
            now = loop.time()
            for connection in self:
                connection.check(now)
            await asyncio.sleep(self.limits.sweep_seconds)

    def enter(self, address: str) -> _Peer | None:
        """Counts a new connection; None if there is no room for it."""
        address = network(address)
        peer = self._peers.setdefault(address, _Peer(address))
        peer.connections += 1
        if peer.connections > self.limits.connections_per_peer:
            crowded = peer
        elif len(self) + len(self.handshakes) > self.limits.connections:
            crowded = max(self._peers.values(), key=lambda one: one.connections)
        else:
            return peer
        oldest = next(iter(crowded.idle), None)
        if oldest is not None and oldest.give_way():
            return peer
        self.leave(peer)
        return None

    def leave(self, peer: _Peer) -> None:
        peer.connections -= 1
        if not peer.connections:
            self._peers.pop(peer.address, None)

    def end_handshake(self, handshake: "_Handshake") -> _Peer | None:
        """Notes that a handshake is over; gives whose it was, unless that was noted before."""
        peer = self.handshakes.pop(handshake, None)
        if peer is not None:
            peer.idle.pop(handshake, None)
        return peer


class _Handshake(Handshake):
    """One TLS handshake, which has its place among the connections."""

    def __init__(self, connections: Connections, context: ssl.SSLContext) -> None:
        super().__init__(
            context, connections.limits.handshake_seconds, self._lost, connections.unreadable, _refusal(400, _NO_TLS)
        )
        self._all = connections
        self._since = self._loop.time()

    def give_way(self) -> bool:
        """See `Connection.give_way`."""
        if self._loop.time() - self._since < _FRESH_SECONDS:
            return False
        self._all.handshakes[self].idle.pop(self, None)
        self.abort()
        return True

    def _lost(self) -> None:
        if (peer := self._all.end_handshake(self)) is not None:
            self._all.leave(peer)


class Connection(HttpToolsProtocol):
    """One connection.

    Args:
        connections: all of them.
        handshake: whose place it takes.
    """

    def __init__(self, connections: Connections, handshake: _Handshake | None = None) -> None:
        super().__init__(connections.config, connections.state, {})
        self._all = connections
        self._handshake = handshake
        self._limits = connections.limits
        self._peer: _Peer | None = None
        self._reading: Literal["silence", "head", "body", "idle", "nothing"] = "silence"
        self._since = self.loop.time()  # what is read now
        self._received = 0  # of the body
        self._untaken: tuple[float, int] | None = None  # since when an answer waits, and its most bytes
        self._bytes = 0  # since the last that had a meaning
        self._beginning = b""
        self._unfit = ""  # why a head that is read is not answered

    @property
    def answering(self) -> bool:
        """Whether a request has begun that is not answered yet."""
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def receiving(self) -> bool:
        """Whether a body has begun to come."""
        return self._reading == "body"

    def check(self, now: float) -> None:
        """Cuts the client off if it takes too long."""
        limits = self._limits
        if self.transport is None or self._peer is None:
            return
        if (size := self.transport.get_write_buffer_size()) == 0:
            self._untaken = None
        else:
            since, most = self._untaken or (now, size)
            self._untaken = since, max(most, size)
            if now - since > limits.answer_seconds + (self._untaken[1] - size) / limits.bytes_per_second:
                self.transport.abort()
                return
        if (self._reading == "head" and self.answering) or (self._reading == "body" and self.flow.read_paused):
            self._since, self._received = now, 0  # it is the server that does not listen
            return
        passed = now - self._since
        if self._reading == "head" and passed > limits.head_seconds:
            self._refuse(408, "The request's head took too long.")
        elif self._reading == "body" and passed > limits.body_seconds + self._received / limits.bytes_per_second:
            self._refuse(408, "The request's body took too long.")
        elif (self._reading == "idle" and passed > limits.idle_seconds) or (
            self._reading == "silence" and passed > limits.head_seconds
        ):
            self.transport.close()

    def finish(self) -> None:
        """Takes no more requests, and closes once the one in flight is answered."""
        if self.answering:
            self.cycle.keep_alive = False
        else:
            self.transport.close()

    def give_way(self) -> bool:
        """Closes an idle connection, whose place another one needs, unless it may be about to ask."""
        if self.loop.time() - self._since < _FRESH_SECONDS:
            return False
        self._busy()
        self.transport.abort()
        return True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(cast(asyncio.Transport, transport))
        if self._handshake is not None:
            self._peer = self._all.end_handshake(self._handshake)
        else:
            self._peer = self._all.enter(self.client[0] if self.client else "")
        if self._peer is None:
            self.transport.abort()
        else:
            self._peer.idle[self] = None

    def connection_lost(self, error: Exception | None) -> None:
        if self._peer is not None:
            self._busy()
            self._all.leave(self._peer)
            self._peer = None
        super().connection_lost(error)

    def data_received(self, data: bytes) -> None:
        if self._peer is None:
            return
        self._bytes += len(data)
        self._beginning = data[:_BEGINNING]
        unread = memoryview(data)
        try:
            while unread and not self.transport.is_closing():
                unread = self._read(unread)
        except httptools.HttpParserError:
            if self._unfit:
                self._refuse(400, self._unfit)
            else:
                self._refuse_unread("Invalid HTTP request received.")
        if self._bytes > _HEAD_BYTES and not self.transport.is_closing():
            self._refuse_unread("The request's head is too large.")

    def on_message_begin(self) -> None:
        self._busy()
        self._reading, self._since = "head", self.loop.time()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._bytes = 0
        if self.parser.should_upgrade():  # an offer: see `_decline`
            return
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (not hosts and self.parser.get_http_version() == "1.1"):  # RFC 9112, 3.2
            self._unfit = "A request names its host once: Host: NAME:PORT."
            raise ValueError(self._unfit)
        self._reading, self._since, self._received = "body", self.loop.time(), 0
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._bytes = 0
        self._received += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        if self.parser.should_upgrade():
            return
        self._reading = "nothing"
        super().on_message_complete()
        if not self.answering:  # it was answered before it was whole
            self._rest()

    def on_response_complete(self) -> None:
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self._reading == "nothing":
            self._rest()

    def _rest(self) -> None:
        self._reading, self._since = "idle", self.loop.time()
        if self._peer is not None:
            self._peer.idle[self] = None

    def _busy(self) -> None:
        if self._peer is not None:
            self._peer.idle.pop(self, None)

    def _read(self, data: memoryview) -> memoryview:
        """Reads up to an offer of another protocol; returns what follows it."""
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._decline()
            return data[offer.args[0] :]
        return data[len(data) :]

    def _decline(self) -> None:
        """Reads a head once more without its offer of another protocol, which a server may pass over.

        The parser takes what follows an offer for the other protocol: it would lose the body.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._refuse_unread("CONNECT is not supported.")
            return
        lines = [b"%s %s HTTP/%s" % (method, self.url, self.parser.get_http_version().encode())]
        for name, value in self.headers:
            if name == b"connection":
                value = b",".join(token for token in value.split(b",") if token.strip().lower() not in _OFFERS)
            if name not in _OFFERS:
                lines.append(b"%s: %s" % (name, value))
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
        self.parser.feed_data(b"\r\n".join([*lines, b"", b""]))

    def _refuse(self, status: int, message: str) -> None:
        if self._reading == "body" and not self.answering:  # the answer went ahead of the body
            self.transport.close()
            return
        self.transport.write(_refusal(status, message, self.server_state.default_headers))
        self.transport.close()

    def _refuse_unread(self, message: str) -> None:
        """Refuses what is not read as HTTP/1.1, and tells the log whose it may be."""
        peer = ":".join(map(str, self.client)) if self.client else "somebody"
        guess = (words for start, words in _OTHER_PROTOCOLS.items() if self._beginning.startswith(start))
        self._all.unreadable.warning(
            "%s sent what is not read as HTTP/1.1 (%s)", peer, next(guess, message.rstrip("."))
        )
        self._refuse(400, message)


def _refusal(status: int, message: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    """A whole answer, behind which the connection is closed."""
    line = b"HTTP/1.1 %d %b\r\n" % (status, HTTPStatus(status).phrase.encode())
    head = [line, *(b"%s: %s\r\n" % header for header in headers)]
    head.append(b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n" % len(message))
    return b"".join([*head, b"connection: close\r\n\r\n", message.encode()])
