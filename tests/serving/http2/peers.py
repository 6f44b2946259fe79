"""Clients that speak HTTP/2 by the `h2` package or byte by byte, and a server for them."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Mapping
from typing import Any

import h2.config
import h2.connection
import h2.events

from unroll.serving.http2 import GrpcLimits, GrpcServer, frames
from unroll.serving.http2.frames import PREFACE, frame
from unroll.serving.protocol.call import Call, Stream

HEADERS = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/test.Service/Echo"),
    (":authority", "x"),
    ("te", "trailers"),
    ("content-type", "application/grpc"),
]
LITERALS = b"".join(
    b"\x00" + bytes((len(name),)) + name.encode() + bytes((len(value),)) + value.encode() for name, value in HEADERS
)


HELLO = PREFACE + frame(frames.SETTINGS, 0, 0, b"")


def prefixed(message: bytes) -> bytes:
    return b"\x00" + struct.pack(">L", len(message)) + message


@contextlib.asynccontextmanager
async def serving(limits: GrpcLimits | None = None) -> AsyncIterator[int]:
    """A server that echoes; fails the test if anything raises where nobody hears it."""
    async with running(limits) as (_, port):
        yield port


@contextlib.asynccontextmanager
async def running(
    limits: GrpcLimits | None = None, streams: Mapping[str, Stream] | None = None
) -> AsyncIterator[tuple[GrpcServer, int]]:
    """The same, with the server itself; `streams` answers other paths."""
    unheard: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: unheard.append(context))

    async def echo(message: bytes, call: Call) -> bytes:
        return message

    server = GrpcServer(echo, streams or {}, limits)
    yield server, await server.listen("127.0.0.1", 0)
    await server.stop(0)
    assert server.usage.calls == server.usage.buffered == 0
    assert not unheard, unheard


class Peer:
    """A client of the `h2` package."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, **initial: int) -> None:
        self.reader, self.writer = reader, writer
        self.http = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.http.initiate_connection()
        self.body: dict[int, bytes] = {}
        self.sizes: list[int] = []
        self.headers: dict[int, dict[str, str]] = {}
        self.ended: set[int] = set()
        self.events: list[h2.events.Event] = []

    @classmethod
    async def connect(cls, port: int) -> "Peer":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def send(self) -> None:
        self.writer.write(self.http.data_to_send())
        await self.writer.drain()

    async def hear(self, until: Any, acknowledge: bool = True) -> None:
        async with asyncio.timeout(20):
            while not until():
                data = await self.reader.read(65536)
                assert data, "the server closed the connection"
                for event in self.http.receive_data(data):
                    self.note(event, acknowledge)
                await self.send()

    def note(self, event: h2.events.Event, acknowledge: bool) -> None:
        self.events.append(event)
        number = getattr(event, "stream_id", 0)
        if isinstance(event, h2.events.DataReceived):
            self.body[number] = self.body.get(number, b"") + event.data
            self.sizes.append(len(event.data))
            if acknowledge:
                self.http.acknowledge_received_data(event.flow_controlled_length, number)
        elif isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
            self.headers.setdefault(number, {}).update(event.headers)
        if isinstance(event, h2.events.StreamEnded):
            self.ended.add(number)

    async def ask(self, message: bytes = b"hello") -> bytes:
        """One call that nothing is special about."""
        number = self.http.get_next_available_stream_id()
        self.http.send_headers(number, HEADERS)
        self.http.send_data(number, prefixed(message), end_stream=True)
        await self.send()
        await self.hear(lambda: number in self.ended)
        assert self.headers[number]["grpc-status"] == "0"
        return self.body[number][5:]


async def raw(port: int, *parts: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HELLO + b"".join(parts))
    await writer.drain()
    return reader, writer


async def goaway_code(reader: asyncio.StreamReader) -> int:
    """The error code with which the server closes."""
    async with asyncio.timeout(20):
        data = await reader.read(-1)
    position = 0
    while position < len(data):
        size, kind = int.from_bytes(data[position : position + 3], "big"), data[position + 3]
        if kind == frames.GOAWAY:
            return struct.unpack_from(">LL", data, position + frames.HEAD_BYTES)[1]
        position += frames.HEAD_BYTES + size
    raise AssertionError(f"no GOAWAY in {data!r}")


async def echo_of(reader: asyncio.StreamReader, message: bytes) -> None:
    received = b""
    async with asyncio.timeout(20):
        while prefixed(message) not in received or b"grpc-status\x010" not in received:
            data = await reader.read(65536)
            assert data, f"closed after {received!r}"
            received += data


def request(number: int = 1, message: bytes = b"hello") -> bytes:
    return frame(frames.HEADERS, frames.END_HEADERS, number, LITERALS) + frame(
        frames.DATA, frames.END_STREAM, number, prefixed(message)
    )
