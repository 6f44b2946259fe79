"""tensorflow.serving.ModelService: GetModelStatus."""

from typing import Any

import grpc
from google.protobuf.message import DecodeError

from serving import protos
from serving.prediction_service import REQUEST_ID, request_id_of
from serving.versions import Versions

SERVICE = "tensorflow.serving.ModelService"


class ModelService:
    """Answers the service's calls.

    Args:
        versions: what is in memory.
    """

    def __init__(self, versions: Versions) -> None:
        self._versions = versions

    def handler(self) -> grpc.GenericRpcHandler:
        """What a gRPC server registers."""
        return grpc.method_handlers_generic_handler(
            SERVICE, {"GetModelStatus": grpc.unary_unary_rpc_method_handler(self._get_model_status)}
        )

    async def _get_model_status(self, message: bytes, context: Any) -> bytes:
        await context.send_initial_metadata(((REQUEST_ID, request_id_of(context)),))
        try:
            request = protos.GetModelStatusRequest.FromString(message)
        except DecodeError:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "The request is not a GetModelStatusRequest message")
        if not request.HasField("model_spec"):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "Missing ModelSpec")
        spec = request.model_spec
        states = self._versions.states(spec.name)
        if spec.HasField("version"):
            version = spec.version.value
            if version not in states:
                await context.abort(grpc.StatusCode.NOT_FOUND, f"Could not find version {version} of model {spec.name}")
            states = {version: states[version]}
        if not states:
            await context.abort(grpc.StatusCode.NOT_FOUND, f"Could not find any versions of model {spec.name}")
        response = protos.GetModelStatusResponse()
        for version, state in states.items():
            status = response.model_version_status.add()
            status.version = version
            status.state = protos.ModelVersionStatus.State.Value(state.state)
            status.status.SetInParent()
            if state.error:
                status.status.error_code = grpc.StatusCode.UNKNOWN.value[0]
                status.status.error_message = state.error
        return response.SerializeToString()
