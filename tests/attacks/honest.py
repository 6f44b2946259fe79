"""An honest client, in a process of its own: calls at a steady pace until its input ends, then how they went.

    python -m tests.attacks.honest PROTOCOL PORT PATH BODY_IN_HEX CALLS_A_SECOND

Says `ready` once it was answered, and at the end one line of JSON: see `tests.attacks.trial.Calls`. A call's time
counts from when it was due, not from when its turn came, so that a server that stands still for a second spoils a
second's worth of calls and not one. Every 25th call is made on a new connection.
"""

import json
import select
import sys
import threading
import time
from collections import Counter

from benchmarks.connections import CONNECTIONS, LOST, Connection
from benchmarks.trailers import OK

_CALLS_A_CONNECTION = 25
_PATIENCE = 5.0  # seconds for one answer


def main(protocol: str, port: int, path: str, body: bytes, rate: float) -> None:
    over = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        over.set()

    threading.Thread(target=wait, daemon=True).start()
    kind = CONNECTIONS[protocol]
    request = kind.encode(path, body)
    seconds: list[float] = []
    failures: Counter[str] = Counter()
    connection: Connection | None = None
    begun = time.perf_counter()
    while not over.is_set():
        due = begun + (len(seconds) + failures.total()) / rate
        if (early := due - time.perf_counter()) > 0:
            time.sleep(early)
        if connection is None:
            try:
                connection = kind(port, _PATIENCE)
            except OSError as error:
                failures[f"no connection: {error}"] += 1
                continue
        outcome = _call(connection, request)
        if outcome == OK:
            seconds.append(time.perf_counter() - due)
            if len(seconds) == 1:
                print("ready", flush=True)
                begun = time.perf_counter() - 1 / rate  # what came before is the start-up
        else:
            failures[outcome] += 1
        if outcome == LOST or connection.closing or (len(seconds) + failures.total()) % _CALLS_A_CONNECTION == 0:
            connection.socket.close()
            connection = None
    seconds = sorted(seconds[1:])
    quantiles = {f"p{part}_ms": seconds[len(seconds) * part // 100] * 1000 if seconds else 0.0 for part in (50, 99)}
    print(json.dumps({"answered": len(seconds), "failures": failures, **quantiles}))


def _call(connection: Connection, request: bytes) -> str:
    connection.call(request)
    give_up = time.perf_counter() + _PATIENCE
    while (left := give_up - time.perf_counter()) > 0:
        select.select([connection.socket], [], [], left)
        if outcome := connection.receive():
            return outcome
    return LOST


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], bytes.fromhex(sys.argv[4]), float(sys.argv[5]))
