"""Health of the server as a whole, which follows its models."""

import asyncio
from collections.abc import AsyncIterator

from grpc_health.v1 import health_pb2

from unroll.serving.front.health import SERVICE, Health
from unroll.serving.protocol.call import Call

SERVING, NOT_SERVING = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


async def check(health: Health, service: str = "") -> int:
    path = f"/{SERVICE}/Check"
    message = health_pb2.HealthCheckRequest(service=service).SerializeToString()
    return health_pb2.HealthCheckResponse.FromString(await health.methods()[path](message, Call(path))).status


async def watch(health: Health) -> AsyncIterator[int]:
    async def one() -> AsyncIterator[bytes]:
        yield health_pb2.HealthCheckRequest().SerializeToString()

    path = f"/{SERVICE}/Watch"
    async for answer in health.streams()[path](one(), Call(path)):
        yield health_pb2.HealthCheckResponse.FromString(answer).status


async def test_the_server_serves_while_one_of_its_models_does() -> None:
    health = Health(["a.Service"])
    assert await check(health) == SERVING  # a proxy of another server that knows no model yet
    watching = watch(health)
    async with asyncio.timeout(20):
        assert await anext(watching) == SERVING
        await health.set("one", False)
        assert await check(health) == NOT_SERVING
        assert await anext(watching) == NOT_SERVING
        await health.set("two", True)
        assert await anext(watching) == SERVING
        assert (await check(health, "one"), await check(health, "two")) == (NOT_SERVING, SERVING)
        await health.set("one", True)
        await health.set("two", False)
        assert await check(health) == SERVING
        await health.set("one", False)
        assert await anext(watching) == NOT_SERVING
        assert await check(health, "a.Service") == SERVING
        await health.set("one", True)
        assert await anext(watching) == SERVING
        await health.stop()
        assert await anext(watching) == NOT_SERVING
        assert await anext(watching, None) is None
        assert await check(health, "a.Service") == NOT_SERVING
