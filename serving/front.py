"""What every request passes, whichever door it came in by: who may ask, what is counted, what is logged."""

import time
from collections.abc import Mapping

import grpc

from serving.call import Call, Method
from serving.request_log import Entry, RequestLog
from serving.status import StatusError


class Front:
    """Answers calls with the methods behind it. Used in the event loop's thread.

    Args:
        methods: what answers each path.
        log: where answered requests go, or None.
    """

    def __init__(self, methods: Mapping[str, Method], log: RequestLog | None = None) -> None:
        self._methods = methods
        self._log = log

    async def answer(self, message: bytes, call: Call) -> bytes:
        """Answers one call.

        Raises:
            StatusError: the call is refused, or its deadline has passed.
        """
        time_ns = time.time_ns()
        method = self._methods.get(call.path)
        if method is None:
            raise StatusError(grpc.StatusCode.UNIMPLEMENTED, f"Method not found: {call.path}")
        response = await method(message, call)
        if self._log and call.watched and self._log.sampled(call.request_id):
            assert call.version is not None
            self._log.add(
                Entry(
                    time_ns, call.model, call.version, call.request_id, call.method, call.signature, message, response
                )
            )
        return response
