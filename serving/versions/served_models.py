"""Which models are in memory: follows what is to be served, and answers who serves a request."""

import asyncio
import hashlib
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import grpc

from unroll.errors import UserError
from unroll.serving.front.metrics import Metrics
from unroll.serving.protocol.status import StatusError, invalid
from unroll.serving.versions.loaded_version import LoadedVersion, LoadParameters
from unroll.serving.versions.loaders import Loaders
from unroll.serving.versions.model_config import ModelConfig, ModelConfigs
from unroll.serving.versions.served_model import ServedModel, VersionParameters, VersionState

_log = logging.getLogger(__name__)
_WATCH_SECONDS = 1.0
_IDLE_CORES = 0.9  # for trials. Where fewer are idle, there is nothing to gain by using more of them


class ServedModels:
    """The models that are served, each with the versions that its policy asks for.

    All methods run in the event loop's thread; only disk and loading leave it. Models are followed each for itself:
    one that loads for long, or whose directory cannot be read, holds up no other.

    Args:
        configs: what to serve.
        loading: how a version is loaded.
        parameters: how versions are followed.
        on_serving: told a model's name and whether it can be asked, whenever that changes.
        metrics: what counts batches, or None.
    """

    def __init__(
        self,
        configs: ModelConfigs,
        loading: LoadParameters,
        parameters: VersionParameters,
        on_serving: Callable[[str, bool], Awaitable[None]],
        metrics: Metrics | None = None,
    ) -> None:
        self._configs = configs
        self._loading = loading
        self._parameters = parameters
        self._on_serving = on_serving
        self._metrics = metrics
        self._canary_threshold = int(parameters.canary_share * 2**64)
        self._models: dict[str, ServedModel] = {}
        self._loaders = Loaders(parameters.num_load_threads or os.cpu_count() or 1)
        self._trials = Loaders(1)
        self._reloading = asyncio.Lock()
        self._updates: set[asyncio.Task[None]] = set()
        self._said = ""

    @property
    def serving(self) -> dict[str, LoadedVersion]:
        """The version that answers who names none, by model name."""
        return {name: model.latest for name, model in sorted(self._models.items()) if model.latest}

    @property
    def queued(self) -> dict[str, int]:
        """Requests that wait for a batch, by the name of each model in memory."""
        return {
            name: sum(servable.batcher.queued for servable in model.loaded.values())
            for name, model in sorted(self._models.items())
            if model.loaded
        }

    def find(self, spec: Any, request_id: str = "") -> LoadedVersion:
        """The version that a ModelSpec asks for.

        Args:
            spec: the ModelSpec.
            request_id: decides whether the canary answers a request that names neither version nor label; without it,
                the canary does not.

        Raises:
            StatusError: in TensorFlow Serving's words.
        """
        name = spec.name
        if not name:
            raise invalid("ModelSpec has no name specified.")
        model = self._models.get(name)
        choice = spec.WhichOneof("version_choice")
        if choice is None:
            if model is None or model.latest is None:
                raise _not_found(f"Latest({name})")
            if model.canary and request_id and self._is_canary(request_id):
                return model.canary
            return model.latest
        version = spec.version.value if choice == "version" else self.labelled(name, spec.version_label)
        servable = model.loaded.get(version) if model else None
        if servable is None:
            raise _not_found(f"Specific({name}, {version})")
        return servable

    def labelled(self, name: str, label: str) -> int:
        """The version of a model that a label stands for.

        Raises:
            StatusError: INVALID_ARGUMENT: the model has no such label.
        """
        model = self._models.get(name)
        if model is None or label not in model.labels:
            raise invalid(f"Unrecognized servable version label: {label}")
        return model.labels[label]

    def states(self, name: str) -> dict[int, VersionState]:
        """Every version of a model that was seen, by number; empty for an unknown model."""
        model = self._models.get(name)
        return dict(sorted(model.states.items())) if model else {}

    def failures(self) -> list[str]:
        """One line for each version that does not load, and each model without versions."""
        return [line for _, model in sorted(self._models.items()) for line in model.failures()]

    async def start(self) -> None:
        """As `poll`, at a start: if nothing can be served, that is said by who starts, and not in the log too.

        Raises:
            OSError: it cannot be told which models there are.
            UserError: nothing can be served.
        """
        await self._configure(self._configs.models())
        for model in self._models.values():
            model.telling = False
        await asyncio.gather(*(model.update() for model in self._models.values()))
        if not self.serving:
            raise UserError(" ".join(self.failures()) or "There is no model to serve.")
        for line in self.failures():
            _log.error("%s", line)
        for model in self._models.values():
            model.telling = True

    async def poll(self) -> None:
        """Brings what is in memory in line with the disk; returns when all has been tried.

        Raises:
            OSError: it cannot be told which models there are.
        """
        await self._configure(self._configs.models())
        await asyncio.gather(*(model.update() for model in self._models.values()))

    async def follow(self, seconds: float) -> None:
        """Looks at the disk that often, until cancelled."""
        while True:
            await asyncio.sleep(seconds)
            configs = self._configs
            try:
                wanted = await asyncio.to_thread(configs.models)
            except OSError as error:
                self._say(f"{error}. What is loaded is still served.")
                continue
            self._said = ""
            async with self._reloading:
                if self._configs is configs:
                    await self._configure(wanted)
            for model in self._models.values():
                if not model.updating:
                    self._start_update(model)

    async def watch(self) -> None:
        """Looks every second whether each model's queue moves, until cancelled."""
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            for model in list(self._models.values()):
                await model.check_queues()

    async def tune(self, idle_cores: Callable[[], float]) -> None:
        """Has versions tried by other settings, one after another, while a core is idle; until cancelled.

        Args:
            idle_cores: how many were idle since it was called before.
        """
        while True:
            await asyncio.sleep(_WATCH_SECONDS)
            loaded = [version for model in self._models.values() for version in model.loaded.values()]
            untried = next((version for version in loaded if version.untried), None)
            if idle_cores() >= _IDLE_CORES and untried:
                await untried.tune(self._trials)

    async def reload(self, configs: ModelConfigs, strict_labels: bool = True) -> None:
        """Serves other models; returns when the new and the changed ones are loaded, or have failed.

        Args:
            configs: all that is to be served from now on. The other models are withdrawn at once.
            strict_labels: whether a label must name a version that is loaded already, as TensorFlow Serving has it;
                otherwise such a label is assigned, or moved, once its version is loaded.

        Raises:
            StatusError: FAILED_PRECONDITION for such a label; nothing is changed. UNKNOWN for a new model of which no
                version loads; it is tried again, and the others are served.
        """
        async with self._reloading:
            wanted = configs.models()
            if strict_labels:
                self._check_labels(wanted)
            self._configs = configs
            known = {name for name, model in self._models.items() if model.config}
            changed = await self._configure(wanted)
        if changed:  # a caller that is cancelled does not stop them
            await asyncio.wait([self._start_update(model) for model in changed])
        failed = [model for model in changed if model.name not in known and model.config and not model.latest]
        if failed:
            reasons = "".join(f"{{{_reasons(model)}}}, " for model in failed)
            message = f"{len(failed)} model(s) did not become available: {{{reasons}}}"
            raise StatusError(grpc.StatusCode.UNKNOWN, message)

    async def close(self) -> None:
        """Lets every request finish, then unloads everything. What is being loaded is not waited for."""
        for update in self._updates:
            update.cancel()
        await asyncio.gather(*(model.close() for model in self._models.values()))

    def _is_canary(self, request_id: str) -> bool:
        # Personal to this use: a sample of the log by the same id is not a sample of the canary's requests.
        digest = hashlib.blake2b(request_id.encode(), digest_size=8, person=b"canary").digest()
        return int.from_bytes(digest, "big") < self._canary_threshold

    async def _configure(self, wanted: Mapping[str, ModelConfig]) -> list[ServedModel]:
        """Tells each model its configuration, and returns those for which it is a new one."""
        changed = []
        for name in sorted(wanted.keys() | self._models.keys()):
            if name not in self._models:
                self._models[name] = ServedModel(
                    name, self._loading, self._parameters, self._loaders, self._on_serving, self._metrics
                )
            model, config = self._models[name], wanted.get(name)
            if config != model.config:
                if config is None:
                    _log.info("%s: withdrawn", name)
                await model.configure(config)
                changed.append(model)
        return changed

    def _check_labels(self, wanted: Mapping[str, ModelConfig]) -> None:
        for name, config in wanted.items():
            model = self._models.get(name)
            labels, loaded = (model.labels, model.loaded) if model else ({}, {})
            for label, version in config.labels.items():
                early = self._parameters.allow_version_labels_for_unavailable_models
                if version not in loaded and not (early and labels.get(label, version) == version):
                    raise StatusError(
                        grpc.StatusCode.FAILED_PRECONDITION,
                        f"Request to assign label to version {version} of model {name}, which is not currently "
                        "available for inference",
                    )

    def _start_update(self, model: ServedModel) -> "asyncio.Task[None]":
        update = asyncio.create_task(self._update(model))
        self._updates.add(update)
        update.add_done_callback(self._updates.discard)
        return update

    async def _update(self, model: ServedModel) -> None:
        try:
            await model.update()
        except Exception:  # the next look may fare better; without looks no promotion is ever seen
            _log.exception("%s: its versions could not be followed. What is loaded is still served.", model.name)

    def _say(self, problem: str) -> None:
        if problem != self._said:
            _log.error("%s", problem)
        self._said = problem


def _not_found(servable: str) -> StatusError:
    return StatusError(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {servable}")


def _reasons(model: ServedModel) -> str:
    versions = [
        f"{{name: {model.name} version: {version}}} due to error: {state.error}"
        for version, state in sorted(model.states.items())
        if state.error
    ]
    return ", ".join(versions) or f"{{name: {model.name}}} due to error: {model.problem}"
