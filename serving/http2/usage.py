"""What clients may use up, and what they do."""

from dataclasses import dataclass

import grpc

from unroll.serving.front.addresses import network
from unroll.serving.http2.budget import REFUSED, Budget
from unroll.serving.http2.stream import Stream
from unroll.serving.protocol.status import StatusError

_CUT_SECONDS = 10.0  # until a connection that was cut off is forgotten
_MAX_HALVINGS = 5


@dataclass(frozen=True)
class GrpcLimits:
    """What clients may use up.

    Args:
        max_message_bytes: of one request, uncompressed.
        max_concurrent_calls: unary ones that are being answered, on all connections; beyond them RESOURCE_EXHAUSTED.
            The last eighth is for connections that have less than an eighth.
        max_streams: calls of all kinds at the same time on one connection; a client waits before it begins more. Of
            streams, such as health checks that are watched, there may be four times as many in all.
        max_connections: beyond them, new ones are closed. One address may have three quarters of them.
        max_buffered_bytes: of requests that have come in part, of messages that were compressed or that wait in a
            stream, and of answers that the client does not take yet; on all connections. One connection may have a
            quarter of them, one address half, or one message.
        max_header_bytes: of one request's metadata.
        greeting_seconds: for a new connection to say that it speaks HTTP/2.
        stall_seconds: for a client that stands still in the middle of a request or of taking its answer.
        idle_seconds: for a connection without calls, before it is told to go elsewhere. While three quarters of the
            connections are taken, it is a twentieth, and new ones have a second for the greeting.
    """

    max_message_bytes: int = 32 << 20
    max_concurrent_calls: int = 8192
    max_streams: int = 2048
    max_connections: int = 4096
    max_buffered_bytes: int = 1 << 30
    max_header_bytes: int = 16 << 10
    greeting_seconds: float = 10.0
    stall_seconds: float = 20.0
    idle_seconds: float = 600.0


class Peer:
    """What the clients of one address have, and did."""

    def __init__(self) -> None:
        self.connections = 0
        self.buffered = 0
        self.cuts = 0.0  # connections that were closed for what they sent, of late

    def pass_time(self, seconds: float) -> bool:
        """Forgets a little; tells whether anything is left to remember."""
        self.cuts = max(0.0, self.cuts - seconds / _CUT_SECONDS)
        return bool(self.connections or self.cuts)


class Usage:
    """What all calls of a server use up at the moment.

    Args:
        limits: what there is.
    """

    def __init__(self, limits: GrpcLimits) -> None:
        self.limits = limits
        self.calls = 0  # that are answered now: no client can make one last
        self.streams = 0
        self.buffered = 0
        self.peers: dict[str, Peer] = {}

    def peer(self, address: str) -> Peer:
        """The clients of an address. Those of a UNIX socket, who have none, are strangers to each other."""
        if not address:
            return Peer()
        return self.peers.setdefault(network(address), Peer())

    def pass_time(self, seconds: float) -> None:
        """Forgets addresses of which there is nothing to say any more."""
        for address in [address for address, peer in self.peers.items() if not peer.pass_time(seconds)]:
            del self.peers[address]


class Share:
    """What the calls of one connection use up of that.

    Args:
        usage: that of all.
    """

    def __init__(self, usage: Usage) -> None:
        self.usage = usage
        self.budget = Budget()
        self.peer = Peer()
        self.calls = 0
        self.buffered = 0
        limit, message = usage.limits.max_buffered_bytes, 5 + usage.limits.max_message_bytes
        self._max_buffered = max(limit // 4, message)
        self._peers_max_buffered = max(limit // 2, message)
        self._max_calls = usage.limits.max_concurrent_calls
        self._reserve = self._max_calls // 8

    def join(self, peer: Peer) -> None:
        """Tells whose connection it is."""
        self.peer = peer
        peer.connections += 1
        self.budget.advance >>= min(int(peer.cuts), _MAX_HALVINGS)

    def leave(self) -> None:
        """The connection is gone."""
        self.peer.connections -= 1
        if self.budget.is_exhausted:
            self.peer.cuts += 1

    def begin_call(self) -> None:
        """Takes a slot among the calls. The last ones are for connections that have few.

        Raises:
            StatusError: there is none.
        """
        usage = self.usage
        if usage.calls >= self._max_calls - self._reserve and (
            usage.calls >= self._max_calls or self.calls >= self._reserve
        ):
            raise StatusError(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many calls at the same time")
        usage.calls += 1
        self.calls += 1

    def end_call(self) -> None:
        """Gives it back."""
        self.usage.calls -= 1
        self.calls -= 1

    def refused(self, stream: Stream) -> None:
        """Notes that a call was refused for what its client sent."""
        stream.worth = 0
        self.budget.add(REFUSED)

    def keep(self, size: int) -> None:
        """Counts bytes in; with a negative number, out.

        Raises:
            StatusError: there are too many now. They are counted all the same.
        """
        self.usage.buffered += size
        self.peer.buffered += size
        self.buffered += size
        if self.usage.buffered > self.usage.limits.max_buffered_bytes:
            raise StatusError(grpc.StatusCode.RESOURCE_EXHAUSTED, "the server holds too many unfinished requests")
        if self.buffered > self._max_buffered:
            raise StatusError(grpc.StatusCode.RESOURCE_EXHAUSTED, "the connection has too many unfinished requests")
        if self.peer.buffered > self._peers_max_buffered:
            raise StatusError(grpc.StatusCode.RESOURCE_EXHAUSTED, "the address has too many unfinished requests")

    def release(self, size: int) -> None:
        """Counts bytes out."""
        self.usage.buffered -= size
        self.peer.buffered -= size
        self.buffered -= size
