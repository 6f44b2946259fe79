"""What answers behind the dispatcher: models in this process, or another server."""

import functools
from collections.abc import Collection, Coroutine, Mapping, Sequence
from typing import Any, Protocol

from unroll.serving.front.health import Health
from unroll.serving.front.metrics import Metrics
from unroll.serving.processes.saturation import IdleCores
from unroll.serving.protocol.call import Method
from unroll.serving.server.parameters import ServerParameters
from unroll.serving.services.model_service import ModelService
from unroll.serving.services.prediction_service import PredictionService
from unroll.serving.services.remote_engine import RemoteEngine
from unroll.serving.versions.model_config import ModelConfigs, follow_model_config_file
from unroll.serving.versions.served_models import ServedModels


class Backend(Protocol):
    """Answers, and keeps what it answers with up to date."""

    def methods(self) -> dict[str, Method]:
        """What answers each path."""

    def serving(self) -> Collection[str]:
        """Names of the models that can be asked."""

    def versions(self) -> Mapping[str, Mapping[int, Sequence[str]]]:
        """The models that can be asked, each with its versions, as far as known, and their labels."""

    def signature_defs(self, model: str) -> Mapping[str, Any]:
        """The SignatureDefs of the version that answers who names none; none where they are not known."""

    def following(self) -> list[Coroutine[Any, Any, None]]:
        """What must run for as long as the server does."""

    async def close(self) -> None:
        """Lets every request finish, and lets go of everything."""


class SessionBackend:
    """Models in this process.

    Args:
        configs: what to serve.
        parameters: how.
        health: told of each model.
        metrics: what counts batches.
    """

    def __init__(self, configs: ModelConfigs, parameters: ServerParameters, health: Health, metrics: Metrics) -> None:
        self._configs = configs
        self._parameters = parameters
        self._versions = ServedModels(configs, parameters.loading, parameters.versions, health.set, metrics)
        metrics.reads(
            "unroll_loaded_versions", "gauge", "Versions that answer.", ("model", "version"), self._count_versions
        )
        metrics.reads(
            "unroll_queued_requests", "gauge", "Requests that wait for a batch.", ("model",), self._count_queued
        )

    async def start(self) -> None:
        """Loads the models.

        Raises:
            UserError: none loads.
        """
        await self._versions.start()

    def methods(self) -> dict[str, Method]:
        services = self._parameters.services
        prediction = PredictionService(
            self._versions,
            services.limits,
            services.tensor_content,
            services.strict_shapes,
            services.check_method_names,
        )
        return {**prediction.methods(), **ModelService(self._versions).methods()}

    def serving(self) -> Collection[str]:
        return self._versions.serving

    def versions(self) -> Mapping[str, Mapping[int, Sequence[str]]]:
        configs = self._configs.models()
        return {
            name: {
                version: [label for label, number in sorted(configs[name].labels.items()) if number == version]
                for version, state in self._versions.states(name).items()
                if state.state == "AVAILABLE"
            }
            for name in self._versions.serving
            if name in configs
        }

    def signature_defs(self, model: str) -> Mapping[str, Any]:
        servable = self._versions.serving[model]
        return {name: servable.signature_defs[name] for name in servable.signatures}

    def following(self) -> list[Coroutine[Any, Any, None]]:
        parameters, tasks = self._parameters, [self._versions.watch(), self._versions.tune(IdleCores())]
        if parameters.poll_seconds > 0:
            tasks.append(self._versions.follow(parameters.poll_seconds))
        if parameters.model_config_file and parameters.model_config_seconds:
            # Nobody waits for an answer, so a label may wait for its version.
            reload = functools.partial(self._versions.reload, strict_labels=False)
            file, seconds = parameters.model_config_file, parameters.model_config_seconds
            tasks.append(follow_model_config_file(file, seconds, self._configs, reload))
        return tasks

    async def close(self) -> None:
        await self._versions.close()

    def _count_versions(self) -> dict[tuple[str, ...], float]:
        return {
            (name, str(version)): 1.0
            for name in self._versions.serving
            for version, state in self._versions.states(name).items()
            if state.state == "AVAILABLE"
        }

    def _count_queued(self) -> dict[tuple[str, ...], float]:
        return {(name,): float(requests) for name, requests in self._versions.queued.items()}


class RemoteBackend:
    """Another server's models.

    Args:
        parameters: `remote` says where it is.
        health: told of each model.
    """

    def __init__(self, parameters: ServerParameters, health: Health) -> None:
        assert parameters.remote
        self._parameters = parameters
        self._engine = RemoteEngine(parameters.remote, parameters.remote_models, health.set)

    async def start(self) -> None:
        """Looks once whether the server, or the models that were named, can be asked."""
        await self._engine.start()

    def methods(self) -> dict[str, Method]:
        return self._engine.methods()

    def serving(self) -> Collection[str]:
        return self._engine.serving

    def versions(self) -> Mapping[str, Mapping[int, Sequence[str]]]:
        return {name: {} for name in self._engine.serving}

    def signature_defs(self, model: str) -> Mapping[str, Any]:
        return {}

    def following(self) -> list[Coroutine[Any, Any, None]]:
        return [self._engine.follow(max(self._parameters.poll_seconds, 0.1))]

    async def close(self) -> None:
        await self._engine.close()
