"""Mixed traffic on a server: closed loop to find its capacity, then open loop at a given rate."""

import random
import select
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.connections import CONNECTIONS, LOST, TIMEOUT, Connection
from benchmarks.trailers import OK

_MOST = 256  # connections a door; what comes while all are busy waits, and its wait counts
_CANCELLED, _HUNG_UP = 0.005, 0.002  # shares of the requests that their clients give up


@dataclass(frozen=True)
class Kind:
    """Requests of one kind: `bodies` for the method or URL `path`, by `grpc` or `http`."""

    protocol: str
    path: str
    bodies: Sequence[bytes]


@dataclass
class Seen:
    """What came of requests: outcomes, and seconds from when each was due to its answer."""

    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    @property
    def failures(self) -> dict[str, int]:
        return {name: count for name, count in self.outcomes.items() if name not in (OK, "cancelled")}


class Traffic:
    """Sends requests of all kinds in equal shares.

    Args:
        ports: by protocol.
        kinds: what is sent.
    """

    def __init__(self, ports: dict[str, int], kinds: Sequence[Kind]) -> None:
        self._ports = ports
        self._requests = [
            (kind.protocol, [CONNECTIONS[kind.protocol].encode(kind.path, body) for body in kind.bodies])
            for kind in kinds
        ]
        self._random = random.Random(0)
        self._poll = select.epoll()
        self._open: dict[int, tuple[str, Connection]] = {}
        self._idle: dict[str, list[int]] = {protocol: [] for protocol in ports}
        self._due: dict[int, float] = {}  # of the call in flight
        self._waiting: dict[str, deque[tuple[float, bytes]]] = {protocol: deque() for protocol in ports}
        self.seen = Seen()

    def take(self) -> Seen:
        """What was seen since the last time; may be called from another thread."""
        seen, self.seen = self.seen, Seen()
        return seen

    def close(self) -> None:
        """Hangs up; what is sent later opens new connections."""
        for file in list(self._open):
            self._hang_up(file)

    def capacity(self, clients: int, seconds: float) -> float:
        """Requests a second that `clients` get answered which each send their next as soon as they may."""
        until = time.perf_counter() + seconds
        self.take()
        while (now := time.perf_counter()) < until:
            while len(self._due) + sum(map(len, self._waiting.values())) < clients:  # some are given up at once
                self._arrive(now)
            self._receive(0.1)
        rate = self.seen.outcomes[OK] / seconds
        self._finish()
        return rate

    def run(self, rate: float, seconds: float) -> None:
        """Sends `rate` requests a second on average, whether answers come or not."""
        due = time.perf_counter()
        until = due + seconds
        while (now := time.perf_counter()) < until:
            while due <= now:
                self._arrive(due)
                due += self._random.expovariate(rate)
            self._receive(max(0.0, due - time.perf_counter()))
        self._finish()

    def _finish(self) -> None:
        give_up = time.perf_counter() + TIMEOUT
        while self._due and time.perf_counter() < give_up:
            self._receive(0.1)
        for file in list(self._due):
            self.seen.outcomes["timeout"] += 1
            self._hang_up(file)

    def _arrive(self, due: float) -> None:
        protocol, requests = self._random.choice(self._requests)
        self._waiting[protocol].append((due, self._random.choice(requests)))
        self._send(protocol)

    def _send(self, protocol: str) -> None:
        waiting, idle = self._waiting[protocol], self._idle[protocol]
        while waiting and (idle or sum(name == protocol for name, _ in self._open.values()) < _MOST):
            file = idle.pop() if idle else self._connect(protocol)
            connection = self._open[file][1]
            if connection.closing:
                self._hang_up(file)
                continue
            due, request = waiting.popleft()
            connection.call(request)
            chance = self._random.random()
            if chance < _HUNG_UP:
                self.seen.outcomes["cancelled"] += 1
                self._hang_up(file)
            elif chance < _HUNG_UP + _CANCELLED and protocol == "grpc":
                self.seen.outcomes["cancelled"] += 1
                connection.cancel()
                idle.append(file)
            else:
                self._due[file] = due

    def _connect(self, protocol: str) -> int:
        connection = CONNECTIONS[protocol](self._ports[protocol])
        file = connection.socket.fileno()
        self._open[file] = protocol, connection
        self._poll.register(file, select.EPOLLIN)
        return file

    def _hang_up(self, file: int) -> None:
        protocol, connection = self._open.pop(file)
        self._due.pop(file, None)
        if file in self._idle[protocol]:
            self._idle[protocol].remove(file)
        self._poll.unregister(file)
        connection.socket.close()

    def _receive(self, timeout: float) -> int:
        """Reads what came. Returns how many calls ended."""
        ended = 0
        for file, _ in self._poll.poll(timeout):
            if file not in self._open:  # hung up since `poll` returned
                continue
            protocol, connection = self._open[file]
            outcome = connection.receive()
            if outcome is None:
                continue
            due = self._due.pop(file, None)
            if due is not None:
                ended += 1
                self.seen.outcomes[outcome] += 1
                self.seen.seconds.append(time.perf_counter() - due)
            if outcome == LOST:
                self._hang_up(file)
            elif due is not None:
                self._idle[protocol].append(file)
                self._send(protocol)
        return ended
