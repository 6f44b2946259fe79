"""A gRPC server on asyncio: HTTP/2 (RFC 9113) as far as gRPC needs it.

grpc.aio spends 120 to 160 microseconds of one core on a call, several times what a small model takes to answer it.
Here a call is parsed, handed over and answered in a fraction of that, on the loop that also forms the batches.
"""

from unroll.serving.http2.grpc_server import GrpcServer
from unroll.serving.http2.usage import GrpcLimits

__all__ = ["GrpcLimits", "GrpcServer"]
