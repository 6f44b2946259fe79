"""What every request passes, whichever endpoint it came to: who may ask, what is counted, what is logged."""

import asyncio
import time
from collections.abc import Mapping

import grpc

from unroll.serving.front.auth import Auth
from unroll.serving.front.metrics import Metrics
from unroll.serving.front.request_log import Entry, RequestLog
from unroll.serving.protocol.call import Call, Method
from unroll.serving.protocol.status import StatusError

_EARLY = 0.02  # seconds: timers are rounded, and a client's own timer may end before the server's


class Dispatcher:
    """Answers calls with the methods behind it. Used in the event loop's thread.

    Args:
        methods: what answers each path.
        log: where answered requests go, or None.
        metrics: what counts the calls, or None.
        auth: who may ask, or None for everybody.
    """

    def __init__(
        self,
        methods: Mapping[str, Method],
        log: RequestLog | None = None,
        metrics: Metrics | None = None,
        auth: Auth | None = None,
    ) -> None:
        self._methods = methods
        self._log = log
        self._metrics = metrics
        self._auth = auth

    def admit(self, call: Call) -> None:
        """Returns if the caller of a call is known, so that its message is worth reading; `answer` checks the rest.

        Raises:
            StatusError: the call is refused.
        """
        if self._auth:
            try:
                self._auth.identify(call)
            except StatusError as error:
                self._count(call, error.code, 0.0)
                raise

    async def answer(self, message: bytes, call: Call) -> bytes:
        """Answers one call.

        Raises:
            StatusError: the call is refused.
        """
        started, time_ns = time.perf_counter(), time.time_ns()
        code = grpc.StatusCode.INTERNAL
        method = self._methods.get(call.path)
        try:
            if self._auth:
                self._auth.check(call, message)
            if method is None:
                raise StatusError(grpc.StatusCode.UNIMPLEMENTED, f"Method not found: {call.path}")
            response = await method(message, call)
            code = grpc.StatusCode.OK
        except StatusError as error:
            code = error.code
            raise
        except asyncio.CancelledError:
            expired = call.deadline and asyncio.get_running_loop().time() >= call.deadline - _EARLY
            code = grpc.StatusCode.DEADLINE_EXCEEDED if expired else grpc.StatusCode.CANCELLED
            raise
        finally:
            self._count(call, code, time.perf_counter() - started)
        if self._log and call.watched and self._log.sampled(call.request_id):
            assert call.version is not None
            self._log.add(
                Entry(
                    time_ns, call.model, call.version, call.request_id, call.method, call.signature, message, response
                )
            )
        return response

    def _count(self, call: Call, code: grpc.StatusCode, seconds: float) -> None:
        if self._metrics and call.counted:
            if call.path not in self._methods:
                call.path = ""  # clients make paths up, and each would be counted for good
            self._metrics.answered(call, code, seconds)
