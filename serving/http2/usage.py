"""What clients may use up, and what they do."""

from dataclasses import dataclass

import grpc

from serving.status import StatusError


@dataclass(frozen=True)
class GrpcLimits:
    """What clients may use up.

    Args:
        max_message_bytes: of one request, uncompressed.
        max_concurrent_calls: unary ones, on all connections; beyond them RESOURCE_EXHAUSTED.
        max_streams: calls of all kinds at the same time on one connection; a client waits before it begins more.
        max_connections: beyond them, new ones are closed.
        max_buffered_bytes: of requests that have come in part, of messages that were compressed or that wait in a
            stream, and of answers that the client does not take yet; on all connections. One connection may have a
            quarter of them, or one message.
        max_header_bytes: of one request's metadata.
    """

    max_message_bytes: int = 32 << 20
    max_concurrent_calls: int = 8192
    max_streams: int = 2048
    max_connections: int = 4096
    max_buffered_bytes: int = 1 << 30
    max_header_bytes: int = 16 << 10


@dataclass
class Usage:
    """What all calls of a server use up at the moment: how many there are, and bytes that are kept for them."""

    limits: GrpcLimits
    calls: int = 0
    buffered: int = 0


class Share:
    """What the calls of one connection use up of that.

    Args:
        usage: that of all.
    """

    def __init__(self, usage: Usage) -> None:
        self.usage = usage
        self.buffered = 0
        self._max_buffered = max(usage.limits.max_buffered_bytes // 4, 5 + usage.limits.max_message_bytes)

    def keep(self, size: int) -> None:
        """Counts bytes in; with a negative number, out.

        Raises:
            StatusError: there are too many now. They are counted all the same.
        """
        self.usage.buffered += size
        self.buffered += size
        if self.usage.buffered > self.usage.limits.max_buffered_bytes:
            raise StatusError(grpc.StatusCode.RESOURCE_EXHAUSTED, "the server holds too many unfinished requests")
        if self.buffered > self._max_buffered:
            raise StatusError(grpc.StatusCode.RESOURCE_EXHAUSTED, "the connection has too many unfinished requests")
