"""The gRPC door: calls come in by grpc.aio and go to the front."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import grpc

from serving.call import REQUEST_ID, Call
from serving.front import Front
from serving.status import StatusError


def handlers(front: Front, services: Iterable[tuple[str, Iterable[str]]]) -> list[grpc.GenericRpcHandler]:
    """What a grpc.aio server registers.

    Args:
        front: answers the calls.
        services: names of services, each with its methods.
    """
    return [
        grpc.method_handlers_generic_handler(
            service,
            {name: grpc.unary_unary_rpc_method_handler(_handler(front, f"/{service}/{name}")) for name in names},
        )
        for service, names in services
    ]


def _handler(front: Front, path: str) -> Callable[[bytes, Any], Awaitable[bytes]]:
    async def handle(message: bytes, context: Any) -> bytes:
        left = context.time_remaining()
        deadline = None if left is None else asyncio.get_running_loop().time() + left
        call = Call(path, "GRPC", dict(context.invocation_metadata()), deadline)
        await context.send_initial_metadata(((REQUEST_ID, call.request_id),))
        try:
            return await front.answer(message, call)
        except StatusError as error:
            await context.abort(error.code, error.message)
        raise AssertionError("abort raises")

    return handle
