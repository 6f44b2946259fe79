"""A gRPC server in a process of its own, without TensorFlow: `python -m tests.conformance.http2.echo_server`."""

import asyncio
import contextlib

import grpc

from unroll.serving.http2 import GrpcLimits, GrpcServer
from unroll.serving.protocol.call import Call
from unroll.serving.protocol.status import StatusError

MAX_STREAMS = 100


class Service:
    """Its methods."""

    def __init__(self) -> None:
        self.held = self.cancelled = 0

    async def answer(self, message: bytes, call: Call) -> bytes:
        """Echoes; `Fail` refuses with the message as status text, `Hold` never ends, `Held` counts those that wait."""
        if call.method == "Fail":
            raise StatusError(grpc.StatusCode.INVALID_ARGUMENT, message.decode())
        if call.method == "Hold":
            self.held += 1
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                self.held -= 1
                self.cancelled += 1
        if call.method == "Held":
            return b"%d %d" % (self.held, self.cancelled)
        return message


async def _main() -> None:
    server = GrpcServer(Service().answer, {}, GrpcLimits(max_streams=MAX_STREAMS))
    print(await server.listen("127.0.0.1", 0), flush=True)
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_main())
