"""Several processes that are one server to its clients.

Any of them may get a client's wish for other models, or Prometheus' question for the metrics; they agree over UNIX
sockets that only this user can reach.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc

from serving.call import Call, Method
from serving.http2 import GrpcServer
from serving.metrics import Metrics, merged
from serving.model_spec import RELOAD
from serving.status import StatusError

_EXPOSITION = "/unroll.Sibling/Exposition"
_PATIENCE = 5.0  # seconds for a process that is being started anew


@dataclass(frozen=True)
class SiblingPaths:
    """Where the processes of one server find each other.

    Args:
        own: this one's socket.
        others: the others'.
    """

    own: Path
    others: Sequence[Path]


class Siblings:
    """The other processes of this server. Used in the event loop's thread.

    Args:
        paths: their sockets.
        reload: answers HandleReloadConfigRequest here, or None where nothing can be reloaded.
        metrics: what is counted here.
    """

    def __init__(self, paths: SiblingPaths, reload: Method | None, metrics: Metrics) -> None:
        self._paths = paths
        self._reload = reload
        self._metrics = metrics
        self._server = GrpcServer(self._answer, {})
        self._channels = [grpc.aio.insecure_channel(f"unix:{path}") for path in paths.others]

    async def start(self) -> None:
        """Answers the others from now on."""
        await self._server.listen_unix(str(self._paths.own))

    async def reload(self, message: bytes, call: Call) -> bytes:
        """HandleReloadConfigRequest, here and in all others.

        Raises:
            StatusError: one of them refuses, or a model does not load. What is refused here is not asked of the others.
        """
        assert self._reload is not None
        failure, answer = None, b""
        try:
            answer = await self._reload(message, call)
        except StatusError as error:
            if error.code is not grpc.StatusCode.UNKNOWN:  # that one says what became of a change that was made
                raise
            failure = error
        try:
            await asyncio.gather(*(channel.unary_unary(RELOAD)(message) for channel in self._channels))
        except grpc.aio.AioRpcError as error:
            raise StatusError(error.code(), error.details() or "another process of the server failed") from None
        if failure:
            raise failure
        return answer

    async def exposition(self) -> bytes:
        """What all of them have counted, in Prometheus' text format; without those that do not answer."""
        asked = (channel.unary_unary(_EXPOSITION)(b"", timeout=_PATIENCE) for channel in self._channels)
        heard = await asyncio.gather(*asked, return_exceptions=True)
        return merged([self._metrics.exposition(), *(one for one in heard if isinstance(one, bytes))])

    async def close(self) -> None:
        """Ends the talk."""
        for channel in self._channels:
            await channel.close()
        await self._server.stop(0)

    async def _answer(self, message: bytes, call: Call) -> bytes:
        if call.path == _EXPOSITION:
            return self._metrics.exposition()
        if call.path == RELOAD and self._reload:
            return await self._reload(message, call)
        raise StatusError(grpc.StatusCode.UNIMPLEMENTED, f"Method not found: {call.path}")
