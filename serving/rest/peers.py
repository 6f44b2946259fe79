"""Who is connected to the REST endpoint, and how much of it is one client's."""

import asyncio
import functools
import logging
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING, cast

import uvicorn
from uvicorn.server import ServerState

from unroll.serving.front.addresses import network
from unroll.serving.front.handshake import Handshake
from unroll.serving.front.rate_limited_log import RateLimitedLog

if TYPE_CHECKING:
    from unroll.serving.rest.connections import Connection

FRESH_SECONDS = 1.0
"""For which a new connection need not give way to another."""
_SWEEPS = 4  # within the shortest of the times, so that none is exceeded by much
_NO_TLS = "This port speaks HTTPS: ask https://."
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
        connections_per_peer: of one address. A further one takes the slot of the one that has been idle longest.
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
class Peer:
    """An address, its connections, and those of them that ask nothing at the moment, the longest idle first."""

    address: str
    connections: int = 0
    idle: dict["Connection | RestHandshake", None] = field(default_factory=dict)


class Connections:
    """All connections of an endpoint.

    Args:
        config: uvicorn's, loaded.
        limits: see `ConnectionLimits`.
    """

    def __init__(self, config: uvicorn.Config, limits: ConnectionLimits) -> None:
        self.config = config
        self.limits = limits
        self.state = ServerState()
        self.unreadable = RateLimitedLog(_log)
        """Clients that speak another protocol."""
        self.handshakes: dict[RestHandshake, Peer] = {}
        self._peers: dict[str, Peer] = {}

    def __iter__(self) -> Iterator["Connection"]:
        return iter(cast("list[Connection]", list(self.state.connections)))

    def __len__(self) -> int:
        return len(self.state.connections)

    def shake_hands(
        self,
        context: ssl.SSLContext,
        speak: "Callable[[Connections, RestHandshake], Connection]",
        client: socket.socket,
        address: str,
    ) -> None:
        """Takes an accepted client that is to speak TLS; `speak` makes the connection when it does."""
        peer = self.enter(address)
        if peer is None:
            client.close()
            return
        handshake = RestHandshake(self, context)
        self.handshakes[handshake] = peer
        peer.idle[handshake] = None
        handshake.begin(client, address, functools.partial(speak, self, handshake))

    async def sweep(self) -> None:
        """Cuts off, for as long as it runs, who takes too long."""
        loop = asyncio.get_running_loop()
        while True:
            self.state.default_headers = [(b"date", formatdate(usegmt=True).encode())]
            now = loop.time()
            for connection in self:
                connection.check(now)
            await asyncio.sleep(self.limits.sweep_seconds)

    def enter(self, address: str) -> Peer | None:
        """Counts a new connection; None if there is no room for it."""
        address = network(address)
        peer = self._peers.setdefault(address, Peer(address))
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

    def leave(self, peer: Peer) -> None:
        peer.connections -= 1
        if not peer.connections:
            self._peers.pop(peer.address, None)

    def end_handshake(self, handshake: "RestHandshake") -> Peer | None:
        """Notes that a handshake is over; gives whose it was, unless that was noted before."""
        peer = self.handshakes.pop(handshake, None)
        if peer is not None:
            peer.idle.pop(handshake, None)
        return peer


class RestHandshake(Handshake):
    """One TLS handshake, which takes a slot among the connections."""

    def __init__(self, connections: Connections, context: ssl.SSLContext) -> None:
        super().__init__(
            context, connections.limits.handshake_seconds, self._lost, connections.unreadable, refusal(400, _NO_TLS)
        )
        self._all = connections
        self._since = self._loop.time()

    def give_way(self) -> bool:
        """See `Connection.give_way`."""
        if self._loop.time() - self._since < FRESH_SECONDS:
            return False
        self._all.handshakes[self].idle.pop(self, None)
        self.abort()
        return True

    def _lost(self) -> None:
        if (peer := self._all.end_handshake(self)) is not None:
            self._all.leave(peer)


def refusal(status: int, message: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    """A whole answer, behind which the connection is closed."""
    line = b"HTTP/1.1 %d %b\r\n" % (status, HTTPStatus(status).phrase.encode())
    head = [line, *(b"%s: %s\r\n" % header for header in headers)]
    head.append(b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n" % len(message))
    return b"".join([*head, b"connection: close\r\n\r\n", message.encode()])
