"""HTTP/1.1 connections: how long a client may take for what, and how much of the server is one client's.

Nothing that a client has left unfinished is waited for without end. One sweep a second looks at all connections, so
that a request costs no timers.
"""

import asyncio
import logging
from typing import Literal, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from unroll.serving.rest.peers import FRESH_SECONDS, Connections, Peer, RestHandshake, refusal

_HEAD_BYTES = 64 << 10
_OTHER_PROTOCOLS = {
    b"PRI ": "a gRPC client, it seems: give it the port of --port",
    b"\x16\x03": "a client that speaks TLS, it seems: let it ask http://, or give the server --rest_ssl_config_file",
}
_BEGINNING = 4  # bytes that tell other protocols from HTTP/1
# What offers another protocol than HTTP/1.1, hop by hop (RFC 9110, 7.8; RFC 7540, 3.2).
_OFFERS = (b"upgrade", b"http2-settings")

_log = logging.getLogger(__name__)


class Connection(HttpToolsProtocol):
    """One connection.

    Args:
        connections: all of them.
        handshake: whose slot it takes.
    """

    def __init__(self, connections: Connections, handshake: RestHandshake | None = None) -> None:
        super().__init__(connections.config, connections.state, {})
        self._all = connections
        self._handshake = handshake
        self._limits = connections.limits
        self._peer: Peer | None = None
        self._reading: Literal["silence", "head", "body", "idle", "nothing"] = "silence"
        self._since = self.loop.time()  # what is read now
        self._received = 0  # of the body
        self._untaken: tuple[float, int] | None = None  # since when an answer waits, and its most bytes
        self._bytes = 0  # since the last that had a meaning
        self._beginning = b""
        self._last = False  # whether the next request is to be the last
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

    def come_back(self) -> None:
        """Has the client come back on another connection: the next answer says that it is the last one here."""
        self._last = True

    def give_way(self) -> bool:
        """Closes an idle connection, whose slot another one needs, unless it may be about to ask."""
        if self.loop.time() - self._since < FRESH_SECONDS:
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
        if self._last:
            self.cycle.keep_alive = False

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
        self.transport.write(refusal(status, message, self.server_state.default_headers))
        self.transport.close()

    def _refuse_unread(self, message: str) -> None:
        """Refuses what is not read as HTTP/1.1, and tells the log whose it may be."""
        peer = ":".join(map(str, self.client)) if self.client else "somebody"
        guess = (words for start, words in _OTHER_PROTOCOLS.items() if self._beginning.startswith(start))
        self._all.unreadable.warning(
            "%s sent what is not read as HTTP/1.1 (%s)", peer, next(guess, message.rstrip("."))
        )
        self._refuse(400, message)
