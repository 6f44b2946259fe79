"""Connections of a load generator: they speak just enough HTTP/1.1 and HTTP/2 to cost little.

Of what comes back, hardly more than the frames' heads is looked at. A gRPC call counts as answered only if a message
came and its status is OK: HTTP's status is 200 for failures too.
"""

import socket
import struct
from typing import Protocol

from benchmarks.harness import trailers
from benchmarks.harness.trailers import OK

TIMEOUT = 60.0
"""Seconds after which an unanswered request counts as failed."""
LOST, NO_MESSAGE = "connection lost", "no message"


class Connection(Protocol):
    """A client's connection, which carries one call at a time."""

    socket: socket.socket
    closing: bool
    """Whether the server wants no more calls on it."""

    def call(self, request: bytes) -> None:
        """Sends what `encode` returned."""

    def receive(self) -> str | None:
        """Reads what is there. Returns how the call ended: `OK` or the failure; None while it has not."""

    def cancel(self) -> None:
        """Gives the call up."""


class HttpConnection:
    """HTTP/1.1; answers need a Content-Length."""

    def __init__(self, port: int, timeout: float = TIMEOUT) -> None:
        self.socket = _connect(port, timeout)
        self.closing = False
        self._buffer = b""
        self._needed = 0

    @staticmethod
    def encode(path: str, body: bytes) -> bytes:
        head = (
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def call(self, request: bytes) -> None:
        _send(self.socket, request)

    def cancel(self) -> None:
        """HTTP/1.1 knows no other way than to hang up."""
        self.socket.close()

    def receive(self) -> str | None:
        data = _received(self.socket)
        if not data:
            return None if data is None else LOST
        self._buffer += data
        if not self._needed:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return None
            head = self._buffer[:end].lower()
            at = head.find(b"content-length:")
            if at < 0:
                return "no Content-Length"
            self._needed = end + 4 + int(head[at + 15 :].split(b"\r", 1)[0])
        if len(self._buffer) < self._needed:
            return None
        status = self._buffer[9:12]
        self._buffer, self._needed = b"", 0
        return OK if status == b"200" else f"HTTP {status.decode()}"


_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE, _CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
_END_STREAM, _ACK, _END_HEADERS, _PADDED, _PRIORITY = 1, 1, 4, 8, 32
_HEADER_TABLE_SIZE, _INITIAL_WINDOW_SIZE, _MAX_FRAME_SIZE = 1, 4, 5


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def _header(name: bytes, value: bytes) -> bytes:  # HPACK literal, never indexed: RFC 7541, 6.2.3
    return b"\x10" + bytes((len(name),)) + name + bytes((len(value),)) + value


class GrpcConnection:
    """HTTP/2 with prior knowledge, as gRPC speaks it: unary calls, one stream after another.

    The server is told to use no dynamic header table, so that each block of trailers can be read by itself (and
    remembered: they are nearly always the same).
    """

    _HELLO = (
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        + _frame(_SETTINGS, 0, 0, struct.pack(">HIHI", _HEADER_TABLE_SIZE, 0, _INITIAL_WINDOW_SIZE, (1 << 31) - 1))
        + _frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", 1 << 30))
    )
    _statuses: dict[bytes, str] = {}  # noqa: RUF012 - shared by all connections

    def __init__(self, port: int, timeout: float = TIMEOUT) -> None:
        self.socket = _connect(port, timeout)
        self._stream = -1
        self._buffer = b""
        self._block = b""  # of headers whose CONTINUATION is to come
        self._ends_stream = False
        self._waiting = b""  # of the request, what the server's windows did not admit yet
        self._window = self._initial_window = self._stream_window = 65535
        self._max_frame = 16384
        self._received = 0
        self._message = False
        self.closing = False
        _send(self.socket, self._HELLO)

    @staticmethod
    def encode(path: str, message: bytes, timeout_us: int | None = None) -> bytes:
        deadline = ((b"grpc-timeout", b"%du" % timeout_us),) if timeout_us else ()
        headers = b"".join(
            _header(*pair)
            for pair in (
                (b":method", b"POST"),
                (b":scheme", b"http"),
                (b":path", path.encode()),
                (b":authority", b"localhost"),
                (b"te", b"trailers"),
                (b"content-type", b"application/grpc"),
                *deadline,
            )
        )
        return _frame(_HEADERS, _END_HEADERS, 0, headers) + b"\x00" + struct.pack(">I", len(message)) + message

    def call(self, request: bytes) -> None:
        self._stream += 2
        self._message = False
        self._waiting = b""
        self._stream_window = self._initial_window
        stream = struct.pack(">I", self._stream)
        head = 9 + (request[1] << 8 | request[2])
        size = len(request) - head
        if size <= self._window and size <= self._stream_window and size <= self._max_frame:
            self._window -= size
            data = struct.pack(">I", size)[1:] + b"\x00\x01" + stream
            _send(self.socket, b"".join((request[:5], stream, request[9:head], data, request[head:])))
        else:
            _send(self.socket, request[:5] + stream + request[9:head])
            self._waiting = request[head:]
            self._send_waiting()

    def cancel(self) -> None:
        _send(self.socket, _frame(_RST_STREAM, 0, self._stream, struct.pack(">I", 8)))
        self._waiting = b""

    def receive(self) -> str | None:
        data = _received(self.socket)
        if not data:
            return None if data is None else LOST
        if self._buffer:
            data = self._buffer + data
        outcome = None
        at, size = 0, len(data)
        while size - at >= 9:
            end = at + 9 + (data[at] << 16 | data[at + 1] << 8 | data[at + 2])
            if end > size:
                break
            kind, flags = data[at + 3], data[at + 4]
            if kind == _DATA:
                self._received += end - at - 9
                if self._received > 1 << 20:
                    _send(self.socket, _frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", self._received)))
                    self._received = 0
                if self._is_current(data, at):
                    self._message = self._message or end - at > 9
                    if flags & _END_STREAM:
                        outcome = "no trailers"
            elif kind in (_HEADERS, _CONTINUATION):
                self._ends_stream = bool(flags & _END_STREAM) if kind == _HEADERS else self._ends_stream
                if self._ends_stream and self._is_current(data, at):
                    self._block += _unpadded(data[at + 9 : end], flags) if kind == _HEADERS else data[at + 9 : end]
                    if flags & _END_HEADERS:
                        outcome = self._outcome(self._block)
                        self._block = b""
            elif kind == _RST_STREAM:
                if self._is_current(data, at) and outcome is None:  # else it asks for no more of the request
                    outcome = f"reset {int.from_bytes(data[at + 9 : end], 'big')}"
            else:
                self._control(kind, flags, data[at + 5 : at + 9], data[at + 9 : end])
            at = end
        self._buffer = data[at:]
        return outcome

    def _is_current(self, data: bytes, at: int) -> bool:
        return int.from_bytes(data[at + 5 : at + 9], "big") == self._stream

    def _outcome(self, block: bytes) -> str:
        status = self._statuses.get(block)
        if status is None:
            status = self._statuses[block] = trailers.status(block)
        return NO_MESSAGE if status == OK and not self._message else status

    def _control(self, kind: int, flags: int, stream: bytes, payload: bytes) -> None:
        if kind == _SETTINGS and not flags & _ACK:
            for at in range(0, len(payload), 6):
                setting, value = struct.unpack_from(">HI", payload, at)
                if setting == _INITIAL_WINDOW_SIZE:
                    self._stream_window += value - self._initial_window
                    self._initial_window = value
                elif setting == _MAX_FRAME_SIZE:
                    self._max_frame = value
            _send(self.socket, _frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            _send(self.socket, _frame(_PING, _ACK, 0, payload))
        elif kind == _WINDOW_UPDATE:
            number, more = int.from_bytes(stream, "big"), int.from_bytes(payload, "big")
            if number == 0:
                self._window += more
            elif number == self._stream:
                self._stream_window += more
        elif kind == _GOAWAY:
            self.closing = True
        if self._waiting:
            self._send_waiting()

    def _send_waiting(self) -> None:
        while self._waiting and (admitted := min(self._window, self._stream_window, self._max_frame)) > 0:
            part, self._waiting = self._waiting[:admitted], self._waiting[admitted:]
            self._window -= len(part)
            self._stream_window -= len(part)
            _send(self.socket, _frame(_DATA, 0 if self._waiting else _END_STREAM, self._stream, part))


def _unpadded(payload: bytes, flags: int) -> bytes:
    start, end = 0, len(payload)
    if flags & _PADDED:
        start, end = 1, end - payload[0]
    return payload[start + (5 if flags & _PRIORITY else 0) : end]


def _connect(port: int, timeout: float) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setblocking(False)
    return connection


def _received(connection: socket.socket) -> bytes | None:
    """What is there: None for nothing yet, no bytes where the connection is lost."""
    try:
        return connection.recv(1 << 18)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _send(connection: socket.socket, data: bytes) -> None:
    try:
        sent = connection.send(data)
    except BlockingIOError:
        sent = 0
    except OSError:
        return  # `receive` tells that the connection is lost
    if sent < len(data):  # a body larger than the socket's buffer
        connection.settimeout(TIMEOUT)
        try:
            connection.sendall(data[sent:])
        except OSError:
            return
        finally:
            connection.setblocking(False)


CONNECTIONS: dict[str, type[GrpcConnection] | type[HttpConnection]] = {"grpc": GrpcConnection, "http": HttpConnection}
