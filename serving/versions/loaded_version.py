"""One version of a model in memory: loaded, warmed, with a queue of its own."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unroll.serving.batching.batcher import Batcher
from unroll.serving.batching.parameters import BatchingParameters
from unroll.serving.engine import memory
from unroll.serving.engine.inputs import Feeds
from unroll.serving.engine.load_error import LoadError
from unroll.serving.engine.parallelism import Parallelism
from unroll.serving.engine.session_engine import SessionEngine, Signature
from unroll.serving.files import regular_files
from unroll.serving.front.metrics import Metrics
from unroll.serving.protocol import wire
from unroll.serving.versions import warmup
from unroll.serving.versions.loaders import Loaders
from unroll.serving.versions.tuning import Tuning

_QUICK_SECONDS = 0.05  # of warmup records that each thread runs
_TWICE = 2  # a second run still takes half as long again as a third


@dataclass(frozen=True)
class LoadParameters:
    """How a version is loaded.

    Args:
        batching: limits of its queue.
        parallelism: how ops are spread over threads; None: as is fastest for each version, see
            `unroll.serving.versions.tuning`, which needs warmup records.
        tuning_cache: folder where that is remembered; None: nowhere.
        tags: of the graph to load.
        session_config: a ConfigProto for all but threads; None for TensorFlow's own.
        enable_model_warmup: whether its warmup records are run before it serves.
        warmup_iterations: how often each of them is run.
        per_model_batching: whether the `batching_params.pbtxt` of a version goes before `batching`.
        verify: raises LoadError for a version's directory that is not to be trusted; called before anything in it is
            used.
    """

    batching: BatchingParameters = field(default_factory=BatchingParameters)
    parallelism: Parallelism | None = field(default_factory=Parallelism)
    tuning_cache: Path | None = None
    tags: tuple[str, ...] = ("serve",)
    session_config: Any = None
    enable_model_warmup: bool = True
    warmup_iterations: int = 1
    per_model_batching: bool = False
    verify: Callable[[Path], None] | None = None


@dataclass(frozen=True)
class Loaded:
    """What was made of a version's directory.

    Args:
        engine: the SavedModel, warmed.
        batching: limits of its queue.
        quick: names of signatures and inputs, which each thread runs before it serves.
        tuning: other settings that are to be tried; None where there are none, or the fastest are known.
    """

    engine: SessionEngine
    batching: BatchingParameters
    quick: list[tuple[str, Feeds]]
    tuning: Tuning | None = None


class LoadedVersion:
    """One loaded version. Made in the event loop's thread.

    Args:
        name: the model.
        version: its number.
        directory: what it was loaded from.
        loaded: what was made of that.
        metrics: what counts its batches, or None.
    """

    def __init__(
        self,
        name: str,
        version: int,
        directory: Path,
        loaded: Loaded,
        metrics: Metrics | None,
    ) -> None:
        self.name = name
        self.version = version
        self.directory = directory
        self.signatures = loaded.engine.signatures
        self.signature_defs = loaded.engine.signature_defs
        self.batcher = Batcher(loaded.engine, loaded.batching, metrics)
        self._loaded = loaded
        self._specs: dict[str, bytes] = {}
        self.untried = loaded.tuning is not None
        self._trying: asyncio.Task[None] | None = None
        self._closing = False

    async def warm(self) -> None:
        """Has each thread that will serve run something: TensorFlow prepares its kernels once for each thread."""

        def run() -> None:
            for name, feeds in self._loaded.quick * _TWICE:
                self._loaded.engine.run(name, feeds)

        if self._loaded.quick:
            await self.batcher.threads.each(run)

    async def tune(self, loaders: Loaders) -> None:
        """Tries, once, how it runs fastest, and goes on like that. Who is cancelled meanwhile does not end it.

        Args:
            loaders: a thread to try in.
        """
        self.untried = False
        self._trying = asyncio.create_task(self._tune(loaders))
        await asyncio.shield(self._trying)

    async def close(self) -> None:
        """Runs what is queued, then gives the memory back."""
        self._closing = True
        if self._trying:
            await asyncio.wait([self._trying])
        await self.batcher.close()

    async def _tune(self, loaders: Loaders) -> None:
        loaded, begun = self._loaded, self.batcher.running.begun

        def attempt() -> SessionEngine | None:
            if loaded.tuning is None or self._closing:
                return None
            return loaded.tuning.better(
                loaded.engine, lambda: self._closing, lambda: self.batcher.running.begun == begun
            )

        if better := await loaders.run(attempt):
            await self.batcher.replace(better)

    def model_spec(self, signature: Signature) -> bytes:
        """The resolved ModelSpec that answers carry, serialized."""
        spec = self._specs.get(signature.name)
        if spec is None:
            spec = self._specs[signature.name] = (
                wire.block(1, self.name.encode())
                + wire.block(2, wire.integer(1, self.version))
                + wire.block(3, signature.name.encode())
            )
        return spec


def load(directory: Path, parameters: LoadParameters) -> Loaded:
    """Loads and warms a version. Takes seconds: for a thread other than the event loop's.

    Raises:
        LoadError: the directory holds no SavedModel that this server can run, or one that is not to be trusted, or a
            warmup record that the model does not accept. Other damage raises what the code that meets it raises.
        UserError: its batching parameters cannot be read.
    """
    if parameters.verify:
        parameters.verify(directory)
    try:
        regular_files.check_tree(directory)  # TensorFlow would wait for who writes to a FIFO
    except OSError as error:
        raise LoadError(f"{error.filename}: {error.strerror}") from None
    batching = parameters.batching.for_version(directory) if parameters.per_model_batching else parameters.batching
    tags, config = parameters.tags, parameters.session_config
    tuning, quick = None, []
    if parameters.parallelism is None and parameters.enable_model_warmup:
        tuning = Tuning(directory, parameters.tuning_cache, tags, config, parameters.verify)
        engine = tuning.load()
    else:
        engine = SessionEngine(directory, parameters.parallelism or Parallelism(), tags, config)
    try:
        engine.prepare()
        if parameters.enable_model_warmup:
            warmup.replay(engine, directory, parameters.warmup_iterations)
            quick = warmup.quick(engine, directory, tags, _QUICK_SECONDS)
    except BaseException:
        engine.close()
        raise
    memory.give_back()
    return Loaded(engine, batching, quick, tuning if tuning and tuning.untried else None)
