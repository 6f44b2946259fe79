"""Mixed traffic on a server: closed loop to find its capacity, then open loop at a given rate."""

import heapq
import math
import random
import select
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks.harness.connections import CONNECTIONS, LOST, TIMEOUT, Connection, GrpcConnection
from benchmarks.harness.trailers import OK

_MAX_CONNECTIONS = 256  # connections per endpoint; what comes while all are busy waits, and its wait counts
_CANCELLED, _HUNG_UP = 0.005, 0.002  # shares of the requests whose clients cancel, or hang up, at once
_TO_CANCEL = 0.01  # share of the requests that are of the kinds to be cancelled
_AT_ONCE = 0.2  # share of those that are cancelled before anything can have come of them
_MOMENTS = 5e-5, 0.2  # seconds after which the others are, in equal shares by magnitude
_TIMEOUTS_US = 300, 6000
_CANCELS, _DEADLINE, _EXCEEDED = "cancelled", "deadline exceeded", "code 4"


@dataclass(frozen=True)
class Kind:
    """Requests of one kind.

    Args:
        protocol: `grpc` or `http`.
        path: of the method or URL.
        bodies: messages or JSON documents.
        ending: how those end that are to be cancelled: by `reset` or `hang up` at some moment, or by a `deadline`
            that they carry (gRPC).
    """

    protocol: str
    path: str
    bodies: Sequence[bytes]
    ending: str = ""


@dataclass(frozen=True)
class _Request:
    """One that waits for a connection, `due` when it would have been sent were there no end of them."""

    due: float
    data: bytes
    ending: str = ""


@dataclass
class Seen:
    """What came of requests: outcomes, and seconds from when each was due to its answer."""

    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    @property
    def failures(self) -> dict[str, int]:
        return {name: count for name, count in self.outcomes.items() if name not in (OK, _CANCELS, _DEADLINE)}


class Traffic:
    """Sends requests of all kinds in equal shares.

    Args:
        ports: by protocol.
        kinds: what is sent.
        to_cancel: what is sent besides, one request in a hundred, and cancelled at any moment.
    """

    def __init__(self, ports: dict[str, int], kinds: Sequence[Kind], to_cancel: Sequence[Kind] = ()) -> None:
        self._ports = ports
        self._random = random.Random(0)
        self._requests = [(kind, self._encoded(kind)) for kind in kinds]
        self._to_cancel = [(kind, self._encoded(kind)) for kind in to_cancel]
        self._poll = select.epoll()
        self._open: dict[int, tuple[str, Connection]] = {}
        self._idle: dict[str, list[int]] = {protocol: [] for protocol in ports}
        self._flying: dict[int, _Request] = {}
        self._ends: list[tuple[float, int, float]] = []  # when to cancel which connection's call, due at
        self._waiting: dict[str, deque[_Request]] = {protocol: deque() for protocol in ports}
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
            while len(self._flying) + sum(map(len, self._waiting.values())) < clients:  # some are cancelled at once
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
        until = time.perf_counter() + TIMEOUT
        while self._flying and time.perf_counter() < until:
            self._receive(0.1)
        for file in list(self._flying):
            self.seen.outcomes["timeout"] += 1
            self._hang_up(file)

    def _encoded(self, kind: Kind) -> list[bytes]:
        if kind.ending == "deadline":
            timeout = self._random.randint
            return [GrpcConnection.encode(kind.path, body, timeout(*_TIMEOUTS_US)) for body in kind.bodies]
        return [CONNECTIONS[kind.protocol].encode(kind.path, body) for body in kind.bodies]

    def _arrive(self, due: float) -> None:
        cancels = self._to_cancel and self._random.random() < _TO_CANCEL
        kind, requests = self._random.choice(self._to_cancel if cancels else self._requests)
        self._waiting[kind.protocol].append(_Request(due, self._random.choice(requests), kind.ending))
        self._send(kind.protocol)

    def _send(self, protocol: str) -> None:
        waiting, idle = self._waiting[protocol], self._idle[protocol]
        while waiting and (idle or sum(name == protocol for name, _ in self._open.values()) < _MAX_CONNECTIONS):
            file = idle.pop() if idle else self._connect(protocol)
            connection = self._open[file][1]
            if connection.closing:
                self._hang_up(file)
                continue
            request = waiting.popleft()
            connection.call(request.data)
            self._flying[file] = request
            if request.ending:
                self._plan_end(file, request)
                continue
            chance = self._random.random()
            if chance < _HUNG_UP:
                self._cancel(file, "hang up")
            elif chance < _HUNG_UP + _CANCELLED and protocol == "grpc":
                self._cancel(file, "reset")

    def _plan_end(self, file: int, request: _Request) -> None:
        if request.ending == "deadline":
            return
        if self._random.random() < _AT_ONCE:
            self._cancel(file, request.ending)
            return
        seconds = math.exp(self._random.uniform(*map(math.log, _MOMENTS)))
        heapq.heappush(self._ends, (time.perf_counter() + seconds, file, request.due))

    def _cancel(self, file: int, ending: str) -> None:
        self.seen.outcomes[_CANCELS] += 1
        if ending == "hang up":
            self._hang_up(file)
            return
        protocol, connection = self._open[file]
        del self._flying[file]
        connection.cancel()
        self._idle[protocol].append(file)

    def _connect(self, protocol: str) -> int:
        connection = CONNECTIONS[protocol](self._ports[protocol])
        file = connection.socket.fileno()
        self._open[file] = protocol, connection
        self._poll.register(file, select.EPOLLIN)
        return file

    def _hang_up(self, file: int) -> None:
        protocol, connection = self._open.pop(file)
        self._flying.pop(file, None)
        if file in self._idle[protocol]:
            self._idle[protocol].remove(file)
        self._poll.unregister(file)
        connection.socket.close()

    def _receive(self, timeout: float) -> None:
        """Reads what comes, and cancels what is to be cancelled by now."""
        if self._ends:
            timeout = min(timeout, max(0.0, self._ends[0][0] - time.perf_counter()))
        for file, _ in self._poll.poll(timeout):
            if file not in self._open:  # hung up since `poll` returned
                continue
            protocol, connection = self._open[file]
            outcome = connection.receive()
            if outcome is None:
                continue
            request = self._flying.pop(file, None)
            if request is not None:
                self._note(request, outcome)
            if outcome == LOST:
                self._hang_up(file)
            elif request is not None:
                self._idle[protocol].append(file)
                self._send(protocol)
        now = time.perf_counter()
        while self._ends and self._ends[0][0] <= now:
            _, file, due = heapq.heappop(self._ends)
            request = self._flying.get(file)
            if request is not None and request.due == due:  # else it was answered before
                protocol = self._open[file][0]
                self._cancel(file, request.ending)
                self._send(protocol)

    def _note(self, request: _Request, outcome: str) -> None:
        if request.ending == "deadline" and outcome == _EXCEEDED:
            outcome = _DEADLINE
        self.seen.outcomes[outcome] += 1
        if not request.ending:
            self.seen.seconds.append(time.perf_counter() - request.due)
