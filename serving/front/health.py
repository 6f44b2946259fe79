"""grpc.health.v1, told by the server of itself, of each service and of each model."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from grpc_health.v1 import health_pb2

from unroll.serving.protocol.call import Call, Method, Stream
from unroll.serving.protocol.status import StatusError, invalid

SERVICE = "grpc.health.v1.Health"
_Response = health_pb2.HealthCheckResponse


class Health:
    """Tells of each service, or model, whether it answers. Used in the event loop's thread.

    Args:
        services: what answers until `stop`, whichever models there are. The server as a whole, whose name is empty,
            answers if one of its models does, or if none is known.
    """

    def __init__(self, services: Iterable[str]) -> None:
        self._services = frozenset(services)
        self._models: dict[str, bool] = {}
        self._stopping = False
        self._changed = asyncio.Condition()

    def methods(self) -> dict[str, Method]:
        """What answers each path of one answer."""
        return {f"/{SERVICE}/Check": self._check}

    def streams(self) -> dict[str, Stream]:
        """What answers each path of many answers."""
        return {f"/{SERVICE}/Watch": self._watch}

    async def set(self, model: str, serving: bool) -> None:
        """Says whether a model answers; from `stop` on, none does."""
        async with self._changed:
            self._models[model] = serving
            self._changed.notify_all()

    async def stop(self) -> None:
        """Tells every watcher that nothing is served any more, and ends its stream."""
        async with self._changed:
            self._stopping = True
            self._changed.notify_all()

    async def _check(self, message: bytes, call: Call) -> bytes:
        service = _service(message)
        status = self._status(service)
        if status == _Response.SERVICE_UNKNOWN:
            raise StatusError(grpc.StatusCode.NOT_FOUND, f"unknown service {service}")
        return _Response(status=status).SerializeToString()

    async def _watch(self, messages: AsyncIterator[bytes], call: Call) -> AsyncIterator[bytes]:
        service = _service(await anext(messages, b""))
        told, last = None, False
        while not last:
            async with self._changed:
                while not self._stopping and self._status(service) == told:
                    await self._changed.wait()
                status, last = self._status(service), self._stopping
            if status != told:
                yield _Response(status=status).SerializeToString()
            told = status

    def _status(self, service: str) -> Any:
        if not service:
            serving = not self._models or any(self._models.values())
        elif service in self._services:
            serving = True
        elif service in self._models:
            serving = self._models[service]
        else:
            return _Response.SERVICE_UNKNOWN
        return _Response.SERVING if serving and not self._stopping else _Response.NOT_SERVING


def _service(message: bytes) -> str:
    try:
        return health_pb2.HealthCheckRequest.FromString(message).service
    except DecodeError:
        raise invalid("The request is not a HealthCheckRequest message") from None
