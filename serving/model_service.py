"""tensorflow.serving.ModelService: GetModelStatus."""

import grpc
from google.protobuf.message import DecodeError

from serving import protos
from serving.call import Call, Method
from serving.status import StatusError, invalid
from serving.versions import Versions

SERVICE = "tensorflow.serving.ModelService"


class ModelService:
    """Answers the service's calls.

    Args:
        versions: what is in memory.
    """

    def __init__(self, versions: Versions) -> None:
        self._versions = versions

    def methods(self) -> dict[str, Method]:
        """What answers each path."""
        return {f"/{SERVICE}/GetModelStatus": self._get_model_status}

    async def _get_model_status(self, message: bytes, call: Call) -> bytes:
        try:
            request = protos.GetModelStatusRequest.FromString(message)
        except DecodeError:
            raise invalid("The request is not a GetModelStatusRequest message") from None
        if not request.HasField("model_spec"):
            raise invalid("Missing ModelSpec")
        spec = request.model_spec
        call.model = spec.name
        states = self._versions.states(spec.name)
        if spec.HasField("version"):
            version = spec.version.value
            if version not in states:
                raise StatusError(grpc.StatusCode.NOT_FOUND, f"Could not find version {version} of model {spec.name}")
            states = {version: states[version]}
        if not states:
            raise StatusError(grpc.StatusCode.NOT_FOUND, f"Could not find any versions of model {spec.name}")
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
