"""tensorflow.serving.ModelService: what state each version is in, and serving other models."""

import grpc

from unroll.serving.protocol import protos
from unroll.serving.protocol.call import Call, Method
from unroll.serving.protocol.model_spec import RELOAD, STATUS
from unroll.serving.protocol.status import StatusError, invalid, parsed
from unroll.serving.versions.model_config import listed_models
from unroll.serving.versions.served_models import ServedModels

_MAX_CONFIG_BYTES = 1 << 22  # parsed, it may take fifty times that


class ModelService:
    """Answers the service's calls.

    Args:
        versions: what is in memory.
    """

    def __init__(self, versions: ServedModels) -> None:
        self._versions = versions

    def methods(self) -> dict[str, Method]:
        """What answers each path."""
        return {
            STATUS: self._get_model_status,
            RELOAD: self._handle_reload_config_request,
        }

    async def _get_model_status(self, message: bytes, call: Call) -> bytes:
        request = parsed(protos.GetModelStatusRequest, message)
        if not request.HasField("model_spec"):
            raise invalid("Missing ModelSpec")
        spec = request.model_spec
        call.model = spec.name
        states = self._versions.states(spec.name)
        if choice := spec.WhichOneof("version_choice"):
            labelled = choice == "version_label"
            version = self._versions.labelled(spec.name, spec.version_label) if labelled else spec.version.value
            if version not in states:
                raise StatusError(grpc.StatusCode.NOT_FOUND, f"Could not find version {version} of model {spec.name}")
            states = {version: states[version]}
        if not states:
            raise StatusError(grpc.StatusCode.NOT_FOUND, f"Could not find any versions of model {spec.name}")
        response = protos.GetModelStatusResponse()
        for version, state in sorted(states.items(), reverse=True):  # newest first, as in TensorFlow Serving
            status = response.model_version_status.add()
            status.version = version
            status.state = protos.ModelVersionStatus.State.Value(state.state)
            status.status.SetInParent()
            if state.error:
                status.status.error_code = grpc.StatusCode.UNKNOWN.value[0]
                status.status.error_message = state.error
        return response.SerializeToString()

    async def _handle_reload_config_request(self, message: bytes, call: Call) -> bytes:
        if len(message) > _MAX_CONFIG_BYTES:
            raise StatusError(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"The configuration has {len(message)} bytes; this server takes at most {_MAX_CONFIG_BYTES}.",
            )
        config = parsed(protos.ReloadConfigRequest, message).config
        if not config.HasField("model_config_list"):
            raise invalid(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently "
                "supported"
            )
        await self._versions.reload(listed_models(config.model_config_list))
        response = protos.ReloadConfigResponse()
        response.status.SetInParent()
        return response.SerializeToString()
