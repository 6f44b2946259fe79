"""An honest client, in a process of its own: calls at a steady pace until its input ends, then how they went.

    python -m tests.attacks.honest PROTOCOL PORT PATH BODY_IN_HEX CALLS_A_SECOND

Says `ready` when it begins, and at the end one line of JSON: see `tests.attacks.trial.Calls`. Up to four calls
are under way at a time. A call's time counts from when it was due, not from when its turn came, so that a server that
stands still for a second spoils a second's worth of calls and not four. Each connection makes 25 calls.
"""

import json
import select
import sys
import threading
import time
from collections import Counter

from benchmarks.harness.connections import CONNECTIONS, Connection
from benchmarks.harness.trailers import OK

_AT_A_TIME = 4
_CALLS_A_CONNECTION = 25
_PATIENCE = 5.0  # seconds for one answer


class Honest:
    """The client.

    Args:
        protocol, port, path, body: what to call.
        rate: calls a second.
    """

    def __init__(self, protocol: str, port: int, path: str, body: bytes, rate: float) -> None:
        self._kind = CONNECTIONS[protocol]
        self._port = port
        self._request = self._kind.encode(path, body)
        self._rate = rate
        self._idle: list[tuple[Connection, int]] = []  # and how many calls each made
        self._busy: dict[int, tuple[Connection, int, float]] = {}  # and when the call was due
        self._poll = select.poll()
        self.seconds: list[float] = []
        self.failures: Counter[str] = Counter()

    def run(self, over: threading.Event) -> None:
        """Calls until it is over, and waits for the answers."""
        begun, made = time.perf_counter(), 0
        while self._busy or not over.is_set():
            early = begun + made / self._rate - time.perf_counter()
            if early <= 0 and len(self._busy) < _AT_A_TIME and not over.is_set():
                self._call(begun + made / self._rate)
                made += 1
            else:
                waits = len(self._busy) == _AT_A_TIME or early <= 0
                self._look(0.05 if waits else min(early, 0.05))

    def _call(self, due: float) -> None:
        try:
            connection, calls = self._idle.pop() if self._idle else (self._kind(self._port, _PATIENCE), 0)
        except OSError as error:
            self.failures[f"no connection: {error}"] += 1
            return
        connection.call(self._request)
        self._busy[connection.socket.fileno()] = connection, calls + 1, due
        self._poll.register(connection.socket, select.POLLIN)

    def _look(self, seconds: float) -> None:
        for file, _ in self._poll.poll(seconds * 1000):
            if outcome := self._busy[file][0].receive():
                self._end(file, outcome)
        late = time.perf_counter() - _PATIENCE
        for file in [file for file, (_, _, due) in self._busy.items() if due < late]:
            self._end(file, f"no answer in {_PATIENCE:g} s")

    def _end(self, file: int, outcome: str) -> None:
        connection, calls, due = self._busy.pop(file)
        self._poll.unregister(file)
        if outcome == OK:
            self.seconds.append(time.perf_counter() - due)
        else:
            self.failures[outcome] += 1
        if outcome != OK or connection.closing or calls == _CALLS_A_CONNECTION:
            connection.socket.close()
        else:
            self._idle.append((connection, calls))


def main(protocol: str, port: int, path: str, body: bytes, rate: float) -> None:
    over = threading.Event()
    client = Honest(protocol, port, path, body, rate)

    def wait() -> None:
        sys.stdin.read()
        over.set()

    threading.Thread(target=wait, daemon=True).start()
    print("ready", flush=True)
    client.run(over)
    seconds = sorted(client.seconds)
    quantiles = {f"p{part}_ms": seconds[len(seconds) * part // 100] * 1000 if seconds else 0.0 for part in (50, 99)}
    print(json.dumps({"answered": len(seconds), "failures": client.failures, **quantiles}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3], bytes.fromhex(sys.argv[4]), float(sys.argv[5]))
