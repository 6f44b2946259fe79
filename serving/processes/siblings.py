"""Several processes that are one server to its clients.

Any of them may get a client's wish for other models, or Prometheus' question for the metrics; they agree over UNIX
sockets that only this user can reach.
"""

import asyncio
import logging
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc

from unroll.serving.front.metrics import Metrics, merged
from unroll.serving.http2 import GrpcServer
from unroll.serving.protocol.call import Call, Method
from unroll.serving.protocol.model_spec import RELOAD
from unroll.serving.protocol.status import StatusError

_log = logging.getLogger(__name__)
_EXPOSITION = "/unroll.Sibling/Exposition"
_CONFIGURATION = "/unroll.Sibling/Configuration"
_JOINED = "/unroll.Sibling/Joined"
_PATIENCE = 5.0  # seconds for a process that hangs
_STAMP = struct.Struct("<q")
_DONE = grpc.StatusCode.UNKNOWN  # of a reload: says what became of a change that was made
# A channel of its own for each question: one that is kept does not try a process again for a while that was away.
_OPTIONS = [("grpc.use_local_subchannel_pool", 1)]


@dataclass(frozen=True)
class SiblingPaths:
    """Where the processes of one server find each other.

    Args:
        own: this one's socket.
        others: the others', of which some need not run.
    """

    own: Path
    others: Sequence[Path]


class Siblings:
    """The other processes of this server. Used in the event loop's thread.

    Args:
        paths: their sockets.
        reload: answers HandleReloadConfigRequest here, or None where nothing can be reloaded.
        metrics: what is counted here.

    Attributes:
        paths: their sockets.
        on_newcomer: called when another of them has begun to listen where clients come in.
    """

    on_newcomer: Callable[[], None] | None = None

    def __init__(self, paths: SiblingPaths, reload: Method | None, metrics: Metrics) -> None:
        self.paths = paths
        self._reload = reload
        self._metrics = metrics
        self._server = GrpcServer(self._answer, {})
        self._configuration = b""  # when it was last reloaded, and by which message

    async def start(self) -> None:
        """Answers the others from now on, and serves what a client had them serve before this process was there."""
        await self._server.listen_unix(str(self.paths.own))
        newest = max(filter(None, await self._ask_all(_CONFIGURATION)), key=_stamp, default=b"")
        if newest and self._reload:
            try:
                await self._reload_here(newest, Call(RELOAD))
            except StatusError as error:
                _log.error("what the other processes of this server serve cannot be served here: %s", error)

    async def join(self) -> None:
        """Tells the others that clients can reach this process."""
        await self._ask_all(_JOINED)

    async def reload(self, message: bytes, call: Call) -> bytes:
        """HandleReloadConfigRequest, here and in all others.

        Raises:
            StatusError: one of them refuses, or a model does not load. What is refused here is not asked of the others.
        """
        configuration = _STAMP.pack(time.time_ns()) + message
        failure, answer = None, b""
        try:
            answer = await self._reload_here(configuration, call)
        except StatusError as error:
            if error.code is not _DONE:
                raise
            failure = error
        # One that is away, since it is being restarted, asks for the configuration when it is back.
        await asyncio.gather(*(self._ask(path, RELOAD, configuration, None) for path in self.paths.others))
        if failure:
            raise failure
        return answer

    async def exposition(self) -> bytes:
        """What all of them have counted, in Prometheus' text format; without those that do not answer."""
        return merged([self._metrics.exposition(), *await self._ask_all(_EXPOSITION)])

    async def close(self) -> None:
        """Ends the talk."""
        await self._server.stop(0)

    async def _ask_all(self, method: str) -> list[bytes]:
        """The answers of those that give one."""
        asked = (self._ask(path, method) for path in self.paths.others)
        return [one for one in await asyncio.gather(*asked, return_exceptions=True) if isinstance(one, bytes)]

    async def _ask(
        self, path: Path, method: str, message: bytes = b"", seconds: float | None = _PATIENCE
    ) -> bytes | None:
        """Another process's answer; None where it is away."""
        if not path.exists():  # it never was there: no channel for that
            return None
        async with grpc.aio.insecure_channel(f"unix:{path}", options=_OPTIONS) as channel:
            try:
                return await channel.unary_unary(method)(message, timeout=seconds)
            except grpc.aio.AioRpcError as error:
                if error.code() is grpc.StatusCode.UNAVAILABLE:
                    return None
                raise StatusError(error.code(), error.details() or "another process of the server failed") from None

    async def _reload_here(self, configuration: bytes, call: Call) -> bytes:
        assert self._reload is not None
        try:
            answer = await self._reload(configuration[_STAMP.size :], call)
        except StatusError as error:
            if error.code is _DONE:
                self._configuration = configuration
            raise
        self._configuration = configuration
        return answer

    async def _answer(self, message: bytes, call: Call) -> bytes:
        if call.path == _EXPOSITION:
            return self._metrics.exposition()
        if call.path == _CONFIGURATION:
            return self._configuration
        if call.path == _JOINED:
            if self.on_newcomer:
                self.on_newcomer()
            return b""
        if call.path == RELOAD and self._reload:
            return await self._reload_here(message, call)
        raise StatusError(grpc.StatusCode.UNIMPLEMENTED, f"Method not found: {call.path}")


def _stamp(configuration: bytes) -> int:
    return _STAMP.unpack_from(configuration)[0]
