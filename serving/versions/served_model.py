"""One model: which of its versions are in memory, and which of them answers.

A new version is loaded and warmed while the old one serves; then the new one takes over, and the old one is closed
when its last request is answered. A version that does not load is tried again some times, and whenever its directory
changes; until then the next best serves, and the versions in memory stay.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from unroll.serving.batching.batcher import QUIET_TURNS
from unroll.serving.engine.load_error import LoadError, as_load_error
from unroll.serving.front.metrics import Metrics
from unroll.serving.versions.failures import Failure, Stamp, look, stamp_of
from unroll.serving.versions.loaded_version import Loaded, LoadedVersion, LoadParameters, load
from unroll.serving.versions.loaders import Loaders
from unroll.serving.versions.model_config import ModelConfig
from unroll.serving.versions.version_policy import Specific

_log = logging.getLogger(__name__)
CANARY = "canary"
_TURNS = 10 * QUIET_TURNS  # of the event loop, within which a batcher starts what is due
_REST_SECONDS = 1.0  # for a version that others replace: its unloading would delay their first requests


@dataclass(frozen=True)
class VersionParameters:
    """How versions are followed.

    Args:
        num_load_threads: versions that are loaded at the same time; 0: one for each core.
        max_num_load_retries: how often a version that does not load is tried again.
        load_retry_seconds: how long to wait before each of these tries.
        allow_version_labels_for_unavailable_models: whether a label that is new to a model may name a version that is
            not loaded.
        canary_share: share of the requests that name neither version nor label which the version labelled `canary`
            answers; the highest of the others answers the rest. 0: the label has no such effect.
    """

    num_load_threads: int = 0
    max_num_load_retries: int = 5
    load_retry_seconds: float = 60.0
    allow_version_labels_for_unavailable_models: bool = False
    canary_share: float = 0.0


@dataclass
class VersionState:
    """What GetModelStatus tells of a version.

    Args:
        state: START, LOADING, AVAILABLE, UNLOADING or END.
        error: why it could not be loaded, or empty.
    """

    state: str
    error: str = ""


class ServedModel:
    """One model's versions. All methods run in the event loop's thread; only disk and loading leave it.

    Args:
        name: the model.
        loading: how a version is loaded.
        parameters: how versions are followed.
        loaders: threads to load in.
        on_serving: told whether the model can be asked, whenever that changes.
        metrics: what counts batches, or None.
    """

    def __init__(
        self,
        name: str,
        loading: LoadParameters,
        parameters: VersionParameters,
        loaders: Loaders,
        on_serving: Callable[[str, bool], Awaitable[None]],
        metrics: Metrics | None,
    ) -> None:
        self.name = name
        self.config: ModelConfig | None = None
        self.latest: LoadedVersion | None = None  # answers who names no version
        self.canary: LoadedVersion | None = None  # answers the canary's share of them
        self.loaded: dict[int, LoadedVersion] = {}
        self.labels: dict[str, int] = {}
        self.states: dict[int, VersionState] = {}
        self.problem = ""  # with its directory
        self.telling = True  # of what fails, in the log
        self._loading = loading
        self._parameters = parameters
        self._loaders = loaders
        self._on_serving = on_serving
        self._metrics = metrics
        self._serving = False
        self._overdue: set[object] = set()  # at the last look
        self._stalled = False
        self._failures: dict[int, Failure] = {}
        self._absences: set[str] = set()  # said
        self._updating = asyncio.Lock()
        self._retiring: set[asyncio.Task[None]] = set()

    @property
    def updating(self) -> bool:
        """Whether `update` is at work."""
        return self._updating.locked()

    def failures(self) -> list[str]:
        """One line for each thing that keeps it from serving what its configuration says."""
        failures = [str(self._failures[version]) for version in sorted(self._failures)]
        return [self.problem, *failures] if self.problem else failures

    async def configure(self, config: ModelConfig | None) -> None:
        """Takes a new configuration; `update` loads what it asks for.

        Args:
            config: None withdraws the model: no request finds it any more.
        """
        self.config = config
        if config is None:
            self.problem = ""
            self._failures.clear()
            self._absences.clear()
            await self._drop(set(self.loaded))
        await self._settle()
        if config and not self._serving:
            await self._on_serving(self.name, False)

    async def update(self) -> None:
        """Brings what is in memory in line with the disk and the configuration; returns when all is tried."""
        async with self._updating:
            config = self.config
            if config is None:
                return
            try:
                directories, stamps = await asyncio.to_thread(look, config.base_path, list(self._failures))
            except OSError as error:
                self._complain(
                    f"Could not find base path {config.base_path} for servable {self.name}: {error.strerror}",
                    ". What is loaded is still served." if self.loaded else "",
                )
                return
            if directories:
                self.problem = ""
            else:
                self._complain(
                    f"No versions of servable {self.name} found under base path {config.base_path}. A version is a "
                    "folder whose name is a number."
                )
            await self._follow(config, directories, stamps)
            if self.config is config:
                self._tell_absences(config, directories.keys())

    async def check_queues(self) -> None:
        """Says that the model cannot be asked while a request waits, look after look, though the engine is idle.

        No fault is known that does this. Should there be one, who balances the load is to hear of it.
        """
        overdue = self._overdue & self._look_at_queues()
        for _ in range(_TURNS if overdue else 0):  # between two looks, a process that got no time may not have had one
            await asyncio.sleep(0)
        stalled = not overdue.isdisjoint(self._look_at_queues())
        self._overdue = self._look_at_queues()
        if stalled != self._stalled:
            self._stalled = stalled
            if stalled:
                _log.error("%s: requests wait though the engine is idle; its health is NOT_SERVING", self.name)
            else:
                _log.info("%s: requests are run again", self.name)
            await self._tell_serving()

    def _look_at_queues(self) -> set[object]:
        return {servable.batcher.overdue for servable in self.loaded.values()} - {None}

    async def close(self) -> None:
        """Lets every request finish, then unloads everything."""
        await self.configure(None)
        await asyncio.gather(*self._retiring)

    async def _follow(self, config: ModelConfig, directories: dict[int, Path], stamps: dict[int, Stamp]) -> None:
        for gone in self._failures.keys() - directories.keys():
            del self._failures[gone]
        resting = {
            version
            for version, failure in self._failures.items()
            if failure.stamp == stamps[version] and time.monotonic() < failure.retry_at
        }
        while self.config is config:
            # In place of a version that does not load, the next one serves.
            wanted = config.policy.wanted(directories.keys() - resting)
            missing = sorted(version for version in wanted if not self._holds(version, config.base_path))
            if not missing:
                if wanted or not config.policy.wanted(directories):
                    await self._drop(self.loaded.keys() - wanted)
                return
            for version in missing:
                self.states[version] = VersionState("START")
            loads = [self._load(version, directories[version]) for version in reversed(missing)]
            loaded = await asyncio.gather(*loads)
            resting |= set(missing) - set(loaded)

    def _holds(self, version: int, base_path: Path) -> bool:
        return version in self.loaded and self.loaded[version].directory.parent == base_path

    async def _load(self, version: int, directory: Path) -> int | None:
        """Returns the version, or None if it does not load."""
        loop = asyncio.get_running_loop()
        started = 0.0
        again = version in self._failures  # which is said only if it ends otherwise

        def attempt() -> tuple[Stamp, Loaded | LoadError]:
            loop.call_soon_threadsafe(self.states.__setitem__, version, VersionState("LOADING"))
            nonlocal started
            started = time.monotonic()  # others may have been loaded first
            if not again:
                _log.info("%s: loading version %d from %s", self.name, version, directory)
            stamp = stamp_of(directory)
            try:
                return stamp, load(directory, self._loading)
            except Exception as error:  # damage raises whatever the code that meets it raises
                return stamp, as_load_error(error)

        stamp, outcome = await self._loaders.run(attempt)
        if isinstance(outcome, LoadError):
            if self.config and directory.exists():
                self._note_failure(version, directory, stamp, outcome)
            else:  # withdrawn meanwhile
                del self.states[version]
            return None
        servable = LoadedVersion(self.name, version, directory, outcome, self._metrics)
        await servable.warm()
        if self.config is None:
            self.states[version] = VersionState("UNLOADING")
            self._retire(servable)
            return None
        self._failures.pop(version, None)
        replaced = self.loaded.get(version)
        self.loaded[version] = servable
        self.states[version] = VersionState("AVAILABLE")
        if replaced:
            self._retire(replaced)
        _log.info("%s: version %d is served, loaded in %.1f s", self.name, version, time.monotonic() - started)
        await self._settle()
        return version

    def _note_failure(self, version: int, directory: Path, stamp: Stamp, error: LoadError) -> None:
        before = self._failures.get(version)
        tries = before.tries + 1 if before and before.stamp == stamp else 1
        again = tries <= self._parameters.max_num_load_retries
        retry_at = time.monotonic() + self._parameters.load_retry_seconds if again else float("inf")
        failure = Failure(directory, stamp, " ".join(str(error).split()), error.remedy, tries, retry_at)
        if self.telling and (not before or before.reason != failure.reason):
            _log.error("%s", failure)
        self._failures[version] = failure
        self.states[version] = VersionState("END", failure.reason)

    async def _drop(self, versions: Collection[int]) -> None:
        dropped = [self.loaded.pop(version) for version in versions]
        for servable in dropped:
            self.states[servable.version] = VersionState("UNLOADING")
            self._retire(servable)
        await self._settle()

    async def _settle(self) -> None:
        """Works out who answers, after a change of what is loaded or configured."""
        wanted = self.config.labels if self.config else {}
        labels = {label: version for label, version in self.labels.items() if label in wanted}
        for label, version in wanted.items():
            early = self._parameters.allow_version_labels_for_unavailable_models and label not in labels
            if version in self.loaded or early:
                labels[label] = version
        before, self.labels = self.labels, labels
        if self.config:
            self._tell_labels(before)

        canary = labels.get(CANARY) if self._parameters.canary_share else None
        others = self.loaded.keys() - {canary}
        self.canary = self.loaded.get(canary) if others and canary is not None else None
        self.latest = self.loaded[max(others or self.loaded)] if self.loaded else None
        await self._tell_serving()

    async def _tell_serving(self) -> None:
        serving = self.latest is not None and not self._stalled
        if serving != self._serving:
            self._serving = serving
            await self._on_serving(self.name, serving)

    def _retire(self, servable: LoadedVersion) -> None:
        retiring = asyncio.create_task(self._unload(servable))
        self._retiring.add(retiring)
        retiring.add_done_callback(self._retiring.discard)

    async def _unload(self, servable: LoadedVersion) -> None:
        if self.loaded:
            await asyncio.sleep(_REST_SECONDS)
        await servable.close()
        if self.states[servable.version].state == "UNLOADING":  # else it is loaded again
            self.states[servable.version] = VersionState("END")
        _log.info("%s: version %d is unloaded", self.name, servable.version)

    def _complain(self, problem: str, consequence: str = "") -> None:
        if self.telling and problem != self.problem:
            _log.warning("%s%s", problem, consequence)
        self.problem = problem

    def _tell_labels(self, before: Mapping[str, int]) -> None:
        for label, version in sorted(self.labels.items()):
            if before.get(label) != version:
                _log.info("%s: label %s is now version %d", self.name, label, version)
        for label in sorted(before.keys() - self.labels.keys()):
            _log.info("%s: label %s is removed", self.name, label)

    def _tell_absences(self, config: ModelConfig, present: Collection[int]) -> None:
        """Says, once, which versions the configuration names in vain. Those that do not load are said elsewhere."""
        absent = f"is not in {config.base_path}"
        asked_for = config.policy.versions if isinstance(config.policy, Specific) else frozenset()
        absences = [f"version {version} is asked for and {absent}" for version in sorted(asked_for - set(present))]
        chosen = config.policy.wanted(present)
        for label, version in sorted(config.labels.items()):
            if version not in self.loaded and not (version in present and version in chosen):
                reason = "the version policy leaves out" if version in present else absent
                kept = self.labels.get(label, version)
                stays = "" if kept == version else f"; it stays at version {kept}"
                absences.append(f"label {label} waits for version {version}, which {reason}{stays}")
        for absence in absences:
            if absence not in self._absences:
                _log.warning("%s: %s", self.name, absence)
        self._absences = set(absences)
