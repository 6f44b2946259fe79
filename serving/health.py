"""grpc.health.v1, whose watchers are let go when the server stops.

grpcio-health-checking's Watch never ends, so that a single watcher would make every stop take as long as
requests in flight may.
"""

import asyncio
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

_Response = health_pb2.HealthCheckResponse


class Health(health_pb2_grpc.HealthServicer):
    """Tells of each service, or model, whether it answers. Used in the event loop's thread."""

    def __init__(self) -> None:
        self._serving: dict[str, bool] = {}
        self._stopping = False
        self._changed = asyncio.Condition()

    async def set(self, service: str, serving: bool) -> None:
        """Says whether a service answers; from `stop` on, none does."""
        async with self._changed:
            self._serving[service] = serving
            self._changed.notify_all()

    async def stop(self) -> None:
        """Tells every watcher that nothing is served any more, and ends its stream."""
        async with self._changed:
            self._stopping = True
            self._changed.notify_all()

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name
        status = self._status(request.service)
        if status == _Response.SERVICE_UNKNOWN:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"unknown service {request.service}")
        return _Response(status=status)

    async def Watch(self, request: Any, context: Any) -> None:  # noqa: N802 - gRPC's name
        told, last = None, False
        while not last:
            async with self._changed:
                while not self._stopping and self._status(request.service) == told:
                    await self._changed.wait()
                status, last = self._status(request.service), self._stopping
            if status != told:
                await context.write(_Response(status=status))
            told = status

    def _status(self, service: str) -> Any:
        if service not in self._serving:
            return _Response.SERVICE_UNKNOWN
        return _Response.SERVING if self._serving[service] and not self._stopping else _Response.NOT_SERVING
