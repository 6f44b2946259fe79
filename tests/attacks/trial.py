"""Attacks on a real server over loopback, with an honest client beside them that must not notice.

An attack is a function that does its worst for at most a few seconds and returns after how many of them the server cut
each of its connections off. `withstands` runs it beside an honest client and judges both:

- no honest call fails;
- their p99 stays under 50 ms, over a few hundred calls at a steady pace;
- every connection of the attack is closed by the server within two seconds.

Times are those of a machine that others may use. So a second honest client asks a server that nobody attacks and that
does nothing (`tests.attacks.control`): where even that takes long, three times as long is granted. And an attack is
tried up to three times. A server that really stands still, for seconds where the machine hesitates for a tenth of one,
does so each time; a call that fails is never excused. Where a server that does nothing has a p99 of 20 ms, in a few
ms otherwise, no times are judged.
"""

import contextlib
import json
import select
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CUT_OFF_SECONDS = 2.0
P99_MS = 50.0
_MACHINES_PART = 3  # times what the server takes that nobody attacks
_ATTEMPTS = 3
_RATE = 200  # honest calls a second
_MIN_CALLS = 300  # for a p99
_BUSY_MS = 20.0  # of the p99 of a server that does nothing, in a few ms otherwise: there is no core to be had
_LOOK_SECONDS = 0.005


@dataclass(frozen=True)
class Target:
    """Where honest calls go: `protocol` is `grpc` or `http`, see `benchmarks.harness.connections`."""

    protocol: str
    port: int
    path: str
    body: bytes = b""


@dataclass
class Calls:
    """How an honest client's calls went."""

    answered: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    p50_ms: float = 0.0
    p99_ms: float = 0.0


Attack = Callable[[], list[float | None]]
"""Returns after how many seconds each of its connections was cut off, None for one that was not."""


@contextlib.contextmanager
def process(module: str, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """Runs a module that ends when its input does."""
    with subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as running:
        assert running.stdin
        try:
            yield running
        finally:
            running.stdin.close()


def line(running: subprocess.Popen[str]) -> str:
    """The next line that a process says."""
    assert running.stdout
    return running.stdout.readline()


@contextlib.contextmanager
def control() -> Iterator[Target]:
    """A server that nobody attacks."""
    with process("tests.attacks.control") as running:
        yield Target("http", int(line(running)), "/")


@contextlib.contextmanager
def honest_client(target: Target, rate: float = _RATE) -> Iterator[Calls]:
    """An honest client that calls for the duration; what is given is filled in at the end."""
    arguments = (target.protocol, str(target.port), target.path, target.body.hex(), str(rate))
    calls = Calls()
    with process("tests.attacks.honest", *arguments) as running:
        assert line(running) == "ready\n"
        yield calls
        assert running.stdin
        running.stdin.close()
        for name, value in json.loads(line(running)).items():
            setattr(calls, name, value)


def withstands(target: Target, attack: Attack, within: float | None = CUT_OFF_SECONDS) -> None:
    """Runs an attack beside an honest client, and judges; see the module.

    Args:
        target: where the honest client calls.
        attack: what to withstand. At each attempt it begins again.
        within: seconds until the last of its connections must be cut off; None: they need not be.
    """
    judged = []
    for attempt in range(_ATTEMPTS):
        with control() as idle, honest_client(idle) as machine, honest_client(target) as calls:
            begun = time.monotonic()
            cuts = attack()
            time.sleep(max(0.0, _MIN_CALLS / _RATE - (time.monotonic() - begun)))
        assert not calls.failures, calls
        late = [] if within is None else [cut for cut in cuts if cut is None or cut > within]
        verdict = (
            f"attempt {attempt + 1}: p99 {calls.p99_ms:.1f} ms over {calls.answered} calls, "
            f"{machine.p99_ms:.1f} ms of a server that is not attacked; of {len(cuts)} connections {cuts.count(None)} "
            f"were never cut off, the last after {max(filter(None, cuts), default=0.0):.1f} s"
        )
        if calls.p99_ms < max(P99_MS, _MACHINES_PART * machine.p99_ms) and not late:
            return
        print(verdict)
        if machine.p99_ms < _BUSY_MS:
            judged.append(verdict)
    assert not judged, judged[-1]
    warnings.warn(f"the machine was too busy for times to tell anything: {verdict}", stacklevel=2)


def flood(
    port: int,
    opening: bytes = b"",
    more: Callable[[], bytes] | None = None,
    connections: int = 1,
    bytes_per_second: float = 5e6,
    seconds: float = 2.5,
    reads: bool = True,
    source: str = "127.0.0.1",
) -> list[float | None]:
    """Connections that each send something once, and then more and more at a rate that they share.

    Args:
        port: of the server.
        opening: what each sends first.
        more: called for what comes next, of one connection; None: nothing more is sent.
        connections: how many.
        bytes_per_second: of all together.
        seconds: how long at most.
        reads: whether answers are read, and thrown away.
        source: address to come from.

    Returns:
        For each connection, after how many seconds the server closed it; None: it did not.
    """
    begun = time.monotonic()
    cuts: list[float | None] = [None] * connections
    poll = select.poll()
    open_sockets: dict[int, tuple[int, socket.socket]] = {}
    unsent: dict[int, bytes] = {}
    for number in range(connections):
        try:
            one = socket.create_connection(("127.0.0.1", port), 5, (source, 0))
        except OSError:
            cuts[number] = time.monotonic() - begun
            continue
        one.setblocking(False)
        open_sockets[one.fileno()] = number, one
        unsent[one.fileno()] = opening
        poll.register(one, select.POLLRDHUP)
    sent = 0
    try:
        while open_sockets and (spent := time.monotonic() - begun) < seconds:
            for file, (_, one) in open_sockets.items():
                if not unsent[file] and more and sent < spent * bytes_per_second:
                    unsent[file] = more()
                with contextlib.suppress(OSError):
                    if reads:
                        one.recv(1 << 20)
                with contextlib.suppress(OSError):
                    done = one.send(unsent[file]) if unsent[file] else 0
                    sent += done
                    unsent[file] = unsent[file][done:]
            for file, _ in poll.poll(_LOOK_SECONDS * 1000):
                poll.unregister(file)
                number, one = open_sockets.pop(file)
                one.close()
                cuts[number] = time.monotonic() - begun
    finally:
        for _, one in open_sockets.values():
            one.close()
    return cuts
