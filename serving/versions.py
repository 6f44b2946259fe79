"""Which versions are in memory: follows the store, and answers who serves a request.

A new version is loaded and warmed while the old one serves; then the new one takes over, and the old one
is closed when its last request is answered. A version that does not load is reported once and tried again
only when its directory changes.
"""

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc

from errors import UserError
from serving import warmup, wire
from serving.batching import Batcher, BatchingParameters
from serving.session_engine import LoadError, SessionEngine, Signature
from serving.status import StatusError, invalid
from serving.store import Store

_log = logging.getLogger(__name__)


class Servable:
    """One loaded version.

    Args:
        name: the model.
        version: its number.
        engine: the loaded SavedModel.
        batching: limits of its queue.
    """

    def __init__(self, name: str, version: int, engine: SessionEngine, batching: BatchingParameters) -> None:
        self.name = name
        self.version = version
        self.signatures = engine.signatures
        self.signature_defs = engine.signature_defs
        self.batcher = Batcher(engine, batching)

    def model_spec(self, signature: Signature) -> bytes:
        """The resolved ModelSpec that answers carry, serialized."""
        return (
            wire.block(1, self.name.encode())
            + wire.block(2, wire.integer(1, self.version))
            + wire.block(3, signature.name.encode())
        )


@dataclass
class VersionState:
    """What GetModelStatus tells of a version.

    Args:
        state: START, LOADING, AVAILABLE, UNLOADING or END.
        error: why it could not be loaded, or empty.
    """

    state: str
    error: str = ""


@dataclass
class _Model:
    current: Servable | None = None
    states: dict[int, VersionState] = field(default_factory=dict)
    failed: dict[int, Any] = field(default_factory=dict)  # what the directory looked like


class Versions:
    """The models of a store, at their highest version that loads.

    All methods run in the event loop's thread; only loading leaves it.

    Args:
        store: where versions appear and disappear.
        batching: limits of each version's queue.
        intra_op: threads within one op.
        inter_op: threads across ops.
        on_serving: told a model's name and whether it can be asked, whenever that changes.
    """

    def __init__(
        self,
        store: Store,
        batching: BatchingParameters,
        intra_op: int,
        inter_op: int,
        on_serving: Callable[[str, bool], Awaitable[None]],
    ) -> None:
        self._store = store
        self._batching = batching
        self._threads = (intra_op, inter_op)
        self._on_serving = on_serving
        self._models: dict[str, _Model] = {}
        self._retiring: set[asyncio.Task[None]] = set()

    @property
    def serving(self) -> dict[str, Servable]:
        """The version in charge, by model name."""
        return {name: model.current for name, model in sorted(self._models.items()) if model.current}

    def find(self, spec: Any) -> Servable:
        """The version that a ModelSpec asks for.

        Raises:
            StatusError: in TensorFlow Serving's words.
        """
        if not spec.name:
            raise invalid("ModelSpec has no name specified.")
        if spec.HasField("version_label"):
            raise invalid(f"Unrecognized servable version label: {spec.version_label}")
        model = self._models.get(spec.name)
        current = model.current if model else None
        if spec.HasField("version"):
            if current is None or current.version != spec.version.value:
                wanted = f"Specific({spec.name}, {spec.version.value})"
                raise StatusError(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: {wanted}")
        elif current is None:
            raise StatusError(grpc.StatusCode.NOT_FOUND, f"Servable not found for request: Latest({spec.name})")
        assert current is not None
        return current

    def states(self, name: str) -> dict[int, VersionState]:
        """Every version of a model that was seen, by number; empty for an unknown model."""
        model = self._models.get(name)
        return dict(sorted(model.states.items())) if model else {}

    def failures(self) -> list[str]:
        """One line for each version of the store that does not load."""
        return [
            _failure(self._store.root / name / str(version), model.states[version].error)
            for name, model in sorted(self._models.items())
            for version in sorted(model.failed)
        ]

    async def follow(self, seconds: float) -> None:
        """Polls the store until cancelled."""
        while True:
            await asyncio.sleep(seconds)
            try:
                await self.poll()
            except Exception as error:  # the next poll may fare better; without polls no promotion is ever seen
                _log.error("store %s: %s. What is loaded is still served.", self._store.root, _reason(error))

    async def poll(self) -> None:
        """Brings what is in memory in line with the store."""
        if not self._store.root.is_dir():
            raise NotADirectoryError("the directory is gone")
        held = {name: self._store.versions(name) for name in self._store.models()}
        for name in sorted(held.keys() | self._models.keys()):
            await self._update(name, self._models.setdefault(name, _Model()), held.get(name, []))

    async def close(self) -> None:
        """Lets every request finish, then unloads everything."""
        for name, model in self._models.items():
            await self._take_over(name, model, None)
        await asyncio.gather(*self._retiring)

    async def _update(self, name: str, model: _Model, versions: list[int]) -> None:
        for gone in model.failed.keys() - set(versions):
            del model.failed[gone]
        if not versions and model.current:
            _log.info("%s: withdrawn from the store", name)
            await self._take_over(name, model, None)
        for version in reversed(versions):
            if model.current and model.current.version == version:
                return
            if (servable := await self._load(name, model, version)) is not None:
                await self._take_over(name, model, servable)
                return

    async def _load(self, name: str, model: _Model, version: int) -> Servable | None:
        with contextlib.suppress(UserError, FileNotFoundError):  # withdrawn meanwhile: the next poll sees it
            path = self._store.path(name, version)
            stamp = _stamp(path)
            if model.failed.get(version) == stamp:
                return None
            model.states[version] = VersionState("LOADING")
            try:
                engine = await asyncio.to_thread(_load_warm, path, *self._threads)
            except Exception as error:  # damage raises whatever the code that meets it raises
                if path.exists():
                    model.failed[version] = stamp
                    model.states[version] = VersionState("END", _reason(error))
                    _log.error("%s", _failure(path, _reason(error)))
                else:
                    del model.states[version]
                return None
            model.failed.pop(version, None)
            return Servable(name, version, engine, self._batching)
        return None

    async def _take_over(self, name: str, model: _Model, servable: Servable | None) -> None:
        old, model.current = model.current, servable
        if servable:
            model.states[servable.version] = VersionState("AVAILABLE")
            _log.info("%s: version %d is served", name, servable.version)
        if old:
            retiring = asyncio.create_task(self._retire(model, old))
            self._retiring.add(retiring)
            retiring.add_done_callback(self._retiring.discard)
        if bool(old) != bool(servable):
            await self._on_serving(name, bool(servable))

    async def _retire(self, model: _Model, old: Servable) -> None:
        model.states[old.version] = VersionState("UNLOADING")
        await old.batcher.close()
        if model.states[old.version].state == "UNLOADING":  # else it is back in charge, loaded anew
            model.states[old.version] = VersionState("END")
        _log.info("%s: version %d is unloaded", old.name, old.version)


def _load_warm(path: Path, intra_op: int, inter_op: int) -> SessionEngine:
    engine = SessionEngine(path, intra_op, inter_op)
    try:
        warmup.replay(engine, path)
    except BaseException:
        engine.close()
        raise
    return engine


def _stamp(path: Path) -> list[tuple[str, int, int]]:
    """What tells one state of a version's directory from another."""
    entries = []
    for folder, _, files in os.walk(path):
        for file in [*files, ""]:
            status = os.stat(os.path.join(folder, file))
            entries.append((os.path.join(folder, file), status.st_mtime_ns, status.st_size))
    return sorted(entries)


def _reason(error: Exception) -> str:
    named = isinstance(error, LoadError | OSError)  # their messages stand alone; a KeyError's is the key
    return " ".join((str(error) if named else f"{type(error).__name__}: {error}").split())


def _failure(path: Path, reason: str) -> str:
    return f"{path}: cannot be loaded ({reason}). Remove the directory, or export this model again."
