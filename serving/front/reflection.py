"""gRPC's server reflection, by which grpcurl and the like learn what the server answers."""

from collections.abc import AsyncIterator, Sequence

from google.protobuf.message import DecodeError
from grpc_reflection.v1alpha import reflection, reflection_pb2

from unroll.serving.protocol import protos
from unroll.serving.protocol.call import Call, Stream
from unroll.serving.protocol.status import invalid

SERVICE = reflection.SERVICE_NAME
_NAMES = (SERVICE, "grpc.reflection.v1.ServerReflection")  # the same messages under two names


def streams(services: Sequence[str]) -> dict[str, Stream]:
    """What answers each path.

    Args:
        services: full names of what the server offers.
    """
    servicer = reflection.aio.ReflectionServicer(services, pool=protos.POOL)

    async def answer(messages: AsyncIterator[bytes], call: Call) -> AsyncIterator[bytes]:
        async for response in servicer.ServerReflectionInfo(_parsed(messages), None):
            yield response.SerializeToString()

    return {f"/{name}/ServerReflectionInfo": answer for name in _NAMES}


async def _parsed(messages: AsyncIterator[bytes]) -> AsyncIterator[reflection_pb2.ServerReflectionRequest]:
    async for message in messages:
        try:
            yield reflection_pb2.ServerReflectionRequest.FromString(message)
        except DecodeError:
            raise invalid("The request is not a ServerReflectionRequest message") from None
