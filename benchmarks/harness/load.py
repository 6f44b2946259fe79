"""Load generator: clients that each send one request after another on a connection of their own.

It shares the machine with the server under test, so it is cheap: one thread, epoll, requests encoded beforehand.

    python -m benchmarks.harness.load grpc 8500 /tensorflow.serving.PredictionService/Predict 64 4.0 requests.bin
"""

import json
import select
import struct
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.harness.connections import CONNECTIONS, LOST, TIMEOUT, Connection
from benchmarks.harness.trailers import OK


def run(protocol: str, port: int, path: str, clients: int, duration: float, bodies: Sequence[bytes]) -> dict[str, Any]:
    """Loads a server on this machine; each client sends its next request when the answer is there.

    Args:
        protocol: `grpc` or `http`.
        port: the server's.
        path: of the method, or of the URL.
        clients: how many, each with a connection of its own.
        duration: seconds.
        bodies: messages or JSON documents, taken in turn.

    Returns:
        `requests_per_second` (answered in time), `p50_ms`, `p99_ms`, `requests` (all that were sent),
        `failed`, `failures` (number by kind), `load_us` (this process's own CPU time a request).
    """
    kind = CONNECTIONS[protocol]
    requests = [kind.encode(path, body) for body in bodies]
    poll = select.epoll()
    connections: dict[int, Connection] = {}
    started: dict[int, float] = {}
    seconds: list[float] = []
    failures: Counter[str] = Counter()
    number = in_time = 0

    def send(connection: Connection) -> None:
        nonlocal number
        request = requests[number % len(requests)]
        number += 1
        started[connection.socket.fileno()] = time.perf_counter()
        connection.call(request)

    def connect() -> Connection:
        connection = kind(port)
        connections[connection.socket.fileno()] = connection
        poll.register(connection.socket, select.EPOLLIN)
        return connection

    for _ in range(clients):
        connect()
    cpu, start = time.process_time(), time.perf_counter()
    until = start + duration
    for connection in list(connections.values()):
        send(connection)
    while started and time.perf_counter() < until + TIMEOUT:
        for file, _ in poll.poll(1.0):
            connection = connections[file]
            outcome = connection.receive()
            if outcome is None:
                continue
            now = time.perf_counter()
            begun = started.pop(file, None)
            if outcome != OK:
                failures[outcome] += begun is not None
            elif begun is not None:
                seconds.append(now - begun)
                in_time += now <= until
            if outcome == LOST or connection.closing:
                del connections[file]
                connection.socket.close()
                if now < until:
                    connection = connect()
            if now < until:
                send(connection)
    failures["timeout"] += len(started)
    cpu = time.process_time() - cpu
    for connection in connections.values():
        connection.socket.close()
    failed = sum(failures.values())
    seconds.sort()
    if not seconds:
        raise SystemExit(f"{protocol} on port {port}: no request of {number} was answered: {dict(+failures)}")
    return {
        "requests_per_second": in_time / duration,
        "p50_ms": 1e3 * seconds[len(seconds) // 2],
        "p99_ms": 1e3 * seconds[len(seconds) * 99 // 100],
        "failed": failed,
        "failures": dict(+failures),
        "requests": len(seconds) + failed,
        "load_us": 1e6 * cpu / (len(seconds) + failed),
    }


def write_bodies(file: Path, bodies: Sequence[bytes]) -> None:
    """For `read_bodies` in another process."""
    file.write_bytes(b"".join(struct.pack(">I", len(body)) + body for body in bodies))


def read_bodies(file: Path) -> list[bytes]:
    content, at, bodies = file.read_bytes(), 0, []
    while at < len(content):
        end = at + 4 + int.from_bytes(content[at : at + 4], "big")
        bodies.append(content[at + 4 : end])
        at = end
    return bodies


if __name__ == "__main__":
    _, protocol, port, path, clients, duration, file = sys.argv
    print(json.dumps(run(protocol, int(port), path, int(clients), float(duration), read_bodies(Path(file)))))
