"""gRPC over HTTP/2, the server's side: calls to functions of bytes.

https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
"""

import asyncio
import contextlib
import functools
import logging
import operator
import re
import socket
import ssl
from collections.abc import Callable, Mapping

import grpc

from unroll.serving.front.handshake import accept
from unroll.serving.front.rate_limited_log import RateLimitedLog
from unroll.serving.http2.connection import Connection
from unroll.serving.http2.exchange import WINDOW_BITS, Streaming, Unary
from unroll.serving.http2.framing import Turns
from unroll.serving.http2.handshake import GrpcHandshake
from unroll.serving.http2.headers import encode
from unroll.serving.http2.stall_timeout import TICK
from unroll.serving.http2.stream import Receiver, Stream
from unroll.serving.http2.usage import GrpcLimits, Peer, Share, Usage
from unroll.serving.protocol.call import Call, Method
from unroll.serving.protocol.call import Stream as StreamMethod
from unroll.serving.protocol.status import StatusError

_log = logging.getLogger(__name__)
_CONTENT_TYPE = re.compile(r"application/grpc(?:$|[+;])")  # grpc-web is another protocol
_TIMEOUT = re.compile(r"(\d{1,8})([HMSmun])")
_STREAMS = 4  # times those that one connection may have
_CROWDED = 3 / 4
_BACKLOG = 1024  # clients that are not accepted yet
_HANDSHAKE_SECONDS = 10.0
_KEEPALIVE = {  # a client that is gone without a word is hung up on within two minutes
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE): 1,
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE): 60,
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL): 10,
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT): 6,
}
_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}


class GrpcServer:
    """Listens, and has calls answered. Used in the event loop's thread.

    Args:
        answer: answers a unary call; raises StatusError for a refusal.
        streams: what answers each streaming path.
        limits: see `GrpcLimits`.
        admit: looks at a call before its message is read; raises StatusError for a refusal.

    Example:
        >>> async def main():
        ...     server = GrpcServer(dispatcher.answer, {})
        ...     port = await server.listen("127.0.0.1", 0)
        ...     await server.stop(drain_seconds=30)
        >>> asyncio.run(main())  # doctest: +SKIP
    """

    def __init__(
        self,
        answer: Method,
        streams: Mapping[str, StreamMethod],
        limits: GrpcLimits | None = None,
        admit: Callable[[Call], None] | None = None,
    ) -> None:
        self.usage = Usage(limits or GrpcLimits())
        self.failures = RateLimitedLog(_log)
        """Of TLS handshakes."""
        self._answer = answer
        self._streams = streams
        self._admit = admit
        self._loop = asyncio.get_running_loop()
        self._turns = Turns()
        self._listening: list[socket.socket] = []  # by TCP
        self._closers: list[Callable[[], object]] = []  # of what listens
        self._connections: set[Connection | GrpcHandshake] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._end: Callable[[Connection | GrpcHandshake], None] | None = None  # how connections end, once they are to
        self._none_left = asyncio.Event()
        self._none_left.set()

    async def listen(self, host: str, port: int, tls: ssl.SSLContext | None = None, shared: bool = False) -> int:
        """Answers on a TCP port.

        Args:
            host: address to listen on.
            port: 0 picks a free one.
            tls: its certificate; None for plain text.
            shared: whether other processes listen there too, and the system shares out.

        Returns:
            The port.

        Raises:
            OSError: the address can't be listened on.
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=_BACKLOG, reuse_port=shared)
        listening.setblocking(False)
        for (level, option), value in _KEEPALIVE.items():
            listening.setsockopt(level, option, value)  # those that it accepts have it too
        if tls is None:
            server = await self._loop.create_server(self._connect, sock=listening, backlog=_BACKLOG)
            self._closers.append(server.close)
        else:
            accepting = self._loop.create_task(accept(listening, functools.partial(self._shake_hands, tls)))
            self._closers.append(accepting.cancel)
        self._listening.append(listening)
        return listening.getsockname()[1]

    async def listen_unix(self, path: str) -> None:
        """Answers on a UNIX socket.

        Raises:
            OSError: a socket cannot be made at that path.
        """
        server = await self._loop.create_unix_server(self._connect, path, backlog=_BACKLOG)
        self._closers.append(server.close)

    @property
    def connections(self) -> int:
        """How many there are."""
        return len(self._connections)

    def share_port(self) -> None:
        """Lets other processes of this user listen on its TCP ports from now on; the system shares out."""
        for listening in self._listening:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)

    def call_back(self, seconds: float) -> None:
        """Has the clients come back on new connections, at no cost to them.

        Args:
            seconds: over which they are told, so that they do not come all at once.
        """
        told = [connection for connection in self._connections if isinstance(connection, Connection)]
        for number, connection in enumerate(told):
            self._loop.call_later(seconds * number / len(told), connection.come_back)

    async def stop(self, drain_seconds: float) -> int:
        """Takes no new calls, lets those in flight finish for so long, then cuts them off.

        Returns:
            How many it cuts off.
        """
        for close in self._closers:
            close()
        self._end_all(operator.methodcaller("drain"))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._none_left.wait(), drain_seconds)
        cut = self.usage.calls if self._connections else 0
        self._end_all(operator.methodcaller("abort"))
        await self._none_left.wait()
        if self._sweeper is not None:
            self._sweeper.cancel()
        return cut

    def _end_all(self, end: Callable[[Connection | GrpcHandshake], None]) -> None:
        """Ends the connections, and those that come of a TLS handshake yet."""
        self._end = end
        for connection in list(self._connections):
            end(connection)

    def _shake_hands(self, tls: ssl.SSLContext, client: socket.socket, address: str) -> None:
        def made(connection: Connection, _address: str) -> bool:
            if handshake not in self._connections:  # it was cut off
                return False
            self._enter(connection, handshake.share.peer)
            self._lost(handshake)  # whose slot it took, and not before: a drain ends once nobody is left
            return True

        share = Share(self.usage)
        handshake = GrpcHandshake(tls, _HANDSHAKE_SECONDS, share, lambda: self._lost(handshake), self.failures)
        if self._made(handshake, address):
            handshake.begin(client, address, functools.partial(self._connect, made))
        else:
            client.close()

    def _connect(self, made: Callable[[Connection, str], bool] | None = None) -> Connection:
        share = Share(self.usage)
        accept = functools.partial(self._accept, share)
        return Connection(accept, share, self._turns, made or self._made, self._lost)

    def _made(self, connection: Connection | GrpcHandshake, address: str) -> bool:
        limit, peer = self.usage.limits.max_connections, self.usage.peer(address)
        if len(self._connections) >= limit or peer.connections >= limit - limit // 4:
            return False
        self._enter(connection, peer)
        return True

    def _enter(self, connection: Connection | GrpcHandshake, peer: Peer) -> None:
        connection.share.join(peer)
        self._connections.add(connection)
        self._none_left.clear()
        if self._sweeper is None:
            self._sweeper = self._loop.call_later(TICK, self._sweep)
        if self._end:
            self._loop.call_soon(self._end, connection)

    def _lost(self, connection: Connection | GrpcHandshake) -> None:
        if connection not in self._connections:
            return
        self._connections.remove(connection)
        connection.share.leave()
        if not self._connections:
            self._none_left.set()

    def _sweep(self) -> None:
        """Looks at all connections: who does not go on is not waited for for ever."""
        limit = self.usage.limits.max_connections
        all_crowded = len(self._connections) > _CROWDED * limit
        for connection in list(self._connections):
            crowded = all_crowded or connection.share.peer.connections > _CROWDED * _CROWDED * limit
            if connection.is_busy:
                self._turns.wait(functools.partial(connection.tick, crowded))
            else:
                connection.tick(crowded)
        self.usage.pass_time(TICK)
        self._sweeper = self._loop.call_later(TICK, self._sweep) if self._connections or self.usage.peers else None

    def _accept(self, share: Share, stream: Stream, headers: Mapping[str, str]) -> Receiver | None:
        if headers.get(":method") != "POST":
            share.refused(stream)
            stream.finish(encode([(":status", "405"), ("allow", "POST")]))
            return None
        if not _CONTENT_TYPE.match(headers.get("content-type", "")):
            share.refused(stream)
            stream.finish(encode([(":status", "415")]))
            return None
        call = Call(headers.get(":path", ""), "GRPC", headers, self._deadline(headers))
        call.peer = share.peer
        method = self._streams.get(call.path)
        exchange: Unary | Streaming
        if method is None:
            exchange = Unary(share, stream, call, self._answer)
        else:
            exchange = Streaming(share, stream, call, method)
        encoding = headers.get("grpc-encoding", "identity")
        if method is not None and self.usage.streams >= _STREAMS * self.usage.limits.max_streams:
            exchange.refuse(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many streams at the same time")
        elif encoding != "identity" and encoding not in WINDOW_BITS:
            exchange.refuse(grpc.StatusCode.UNIMPLEMENTED, f"grpc-encoding {encoding} is not supported")
        else:
            try:
                if self._admit:
                    self._admit(call)
            except StatusError as error:
                exchange.refuse(error.code, error.message)
            else:
                exchange.begin()
                return exchange
        return None

    def _deadline(self, headers: Mapping[str, str]) -> float | None:
        timeout = headers.get("grpc-timeout")
        if timeout is None or (found := _TIMEOUT.fullmatch(timeout)) is None:
            return None
        return self._loop.time() + int(found[1]) * _UNITS[found[2]]
