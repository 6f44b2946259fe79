"""A gRPC server without models, in a process of its own: `python -m tests.attacks.grpc_target LIMITS_AS_JSON`.

It answers what it is sent, announces its port, and lives until its input ends. Attacks on frames and connections meet
the same code here as in `unroll.serving.server.start`, and do not wait for TensorFlow.
"""

import asyncio
import gc
import json
import sys
from collections.abc import AsyncIterator

import uvloop

from unroll.serving.http2 import GrpcLimits, GrpcServer
from unroll.serving.protocol.call import Call

ECHO = "/test.Service/Echo"
WATCH = "/test.Service/Watch"
"""Answers its first message at once and then no more, as a health check that is watched."""


async def _echo(message: bytes, _call: Call) -> bytes:
    return message


async def _watch(messages: AsyncIterator[bytes], _call: Call) -> AsyncIterator[bytes]:
    yield await anext(messages, b"")
    await asyncio.Event().wait()


async def main(limits: GrpcLimits) -> None:
    server = GrpcServer(_echo, {WATCH: _watch}, limits)
    gc.set_threshold(20_000, 20, 20)  # as in unroll.serving.server.process
    gc.freeze()
    print(await server.listen("127.0.0.1", 0), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    await server.stop(0)


if __name__ == "__main__":
    uvloop.run(main(GrpcLimits(**json.loads(sys.argv[1]))))
