"""Load generator: clients that each send one request after another on a connection of their own.

It speaks just enough HTTP/1.1 and HTTP/2 to be cheap beside the server under test on the same machine.
A gRPC call counts as answered only if it carried a message: HTTP status 200 comes with failures too.
"""

import asyncio
import itertools
import json
import struct
import sys
import time
from pathlib import Path


async def http_client(host: str, port: int, bodies: list[bytes], until: float, seconds: list[float]) -> int:
    """POSTs to /invocations until the clock says `until`. Returns the number of failures."""
    reader, writer = await asyncio.open_connection(host, port)
    failed = 0
    for body in itertools.cycle(bodies):
        start = time.perf_counter()
        if start >= until:
            break
        writer.write(
            b"POST /invocations HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body) + body
        )
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
        if head.split(None, 2)[1] == b"200":
            seconds.append(time.perf_counter() - start)
        else:
            failed += 1
    writer.close()
    return failed


DATA, HEADERS, SETTINGS, PING, WINDOW_UPDATE = 0, 1, 4, 6, 8


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def _header(name: bytes, value: bytes) -> bytes:  # HPACK literal, never indexed: RFC 7541, 6.2.3
    return b"\x10" + bytes((len(name),)) + name + bytes((len(value),)) + value


async def grpc_client(host: str, port: int, bodies: list[bytes], until: float, seconds: list[float]) -> int:
    """Calls Predict until the clock says `until`. Returns the number of failures."""
    reader, writer = await asyncio.open_connection(host, port)
    headers = b"".join(
        _header(*pair)
        for pair in (
            (b":method", b"POST"),
            (b":scheme", b"http"),
            (b":path", b"/tensorflow.serving.PredictionService/Predict"),
            (b":authority", b"x"),
            (b"te", b"trailers"),
            (b"content-type", b"application/grpc"),
        )
    )
    window = _frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", 1 << 30))
    writer.write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(SETTINGS, 0, 0, b"") + window)
    failed = received = 0
    stream = -1
    for body in itertools.cycle(bodies):
        start = time.perf_counter()
        if start >= until:
            break
        stream += 2
        message = b"\x00" + struct.pack(">I", len(body)) + body
        writer.write(_frame(HEADERS, 4, stream, headers) + _frame(DATA, 1, stream, message))
        answered, ended = False, False
        while not ended:
            head = await reader.readexactly(9)
            length, kind, flags = int.from_bytes(head[:3], "big"), head[3], head[4]
            payload = await reader.readexactly(length)
            if kind == SETTINGS and not flags & 1:
                writer.write(_frame(SETTINGS, 1, 0, b""))
            elif kind == PING and not flags & 1:
                writer.write(_frame(PING, 1, 0, payload))
            elif kind == DATA:
                answered = answered or length > 5
                received += length
            ended = kind in (DATA, HEADERS) and bool(flags & 1)
        if received > 1 << 29:
            writer.write(_frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", received)))
            received = 0
        if answered:
            seconds.append(time.perf_counter() - start)
        else:
            failed += 1
    writer.close()
    return failed


def predict_body(text: str) -> bytes:
    from serving import protos

    request = protos.PredictRequest()
    request.model_spec.name = "model"
    request.inputs["text"].dtype = protos.DataType.Value("DT_STRING")
    request.inputs["text"].tensor_shape.dim.add().size = 1
    request.inputs["text"].string_val.append(text.encode())
    return request.SerializeToString()


def invocation_body(text: str) -> bytes:
    return json.dumps({"dataframe_split": {"columns": ["text"], "data": [[text]]}}).encode()


async def run(protocol: str, port: int, clients: int, duration: float, texts: list[str]) -> dict[str, float]:
    """Loads a server on this machine.

    Returns:
        `requests_per_second`, `p50_ms`, `p99_ms`, `failed`.
    """
    client, body = {"grpc": (grpc_client, predict_body), "http": (http_client, invocation_body)}[protocol]
    bodies = [body(text) for text in texts]
    seconds: list[float] = []
    start = time.perf_counter()
    failures = await asyncio.gather(
        *(client("127.0.0.1", port, bodies[number::clients], start + duration, seconds) for number in range(clients))
    )
    elapsed = time.perf_counter() - start
    seconds.sort()
    return {
        "requests_per_second": len(seconds) / elapsed,
        "p50_ms": 1e3 * seconds[len(seconds) // 2],
        "p99_ms": 1e3 * seconds[len(seconds) * 99 // 100],
        "failed": sum(failures),
    }


if __name__ == "__main__":
    _, protocol, port, clients, duration, texts = sys.argv
    chosen = json.loads(Path(texts).read_text())
    print(json.dumps(asyncio.run(run(protocol, int(port), int(clients), float(duration), chosen))))
