"""Finds how a version runs fastest on this machine: by trying, while it serves and cores are idle.

No setting of TensorFlow's threads is best for all graphs. A small LSTM's ops take less time than their change of
threads, so that one thread is twice as fast; members of an ensemble, or convolutions, gain from every core. A version
serves at once, each run in one thread, and nobody waits for trials. What was found is remembered by the graph's digest,
so that the next start tries nothing.
"""

import hashlib
import json
import logging
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from unroll.serving.engine.cores import cores
from unroll.serving.engine.executors import DEFAULT, SINGLE_THREADED
from unroll.serving.engine.graph_effects import has_effects
from unroll.serving.engine.graph_session import device_types, read_meta_graph
from unroll.serving.engine.inputs import Feeds
from unroll.serving.engine.load_error import LoadError
from unroll.serving.engine.parallelism import Parallelism
from unroll.serving.engine.session_engine import SessionEngine, Signature
from unroll.serving.protocol.status import StatusError
from unroll.serving.versions import warmup
from unroll.serving.versions.failures import stamp_of
from unroll.serving.versions.trials import MAX_ROWS, Figures, StoppedError, Trials, Way
from unroll.workspace import write_atomically

_log = logging.getLogger(__name__)
_SIMPLEST = Parallelism()
_MAX_BYTES = 1 << 29  # of variables, which are in memory once for each session that is tried
_LARGE_OPS = 2e-3  # seconds of a row from which on ops may be large enough to be divided


class Tuning:
    """The settings of one version.

    Args:
        directory: the version's directory, which has been verified.
        cache: folder of what is remembered; None: nothing is.
        tags: see `SessionEngine`.
        session_config: see `SessionEngine`.
        verify: raises LoadError for a directory that is not to be trusted; called before it is read again.

    Nothing is tried, and each run stays in one thread, where there is one core or a GPU, where there are no warmup
    records of rows, where a run changes something, and where the variables are large.
    """

    def __init__(
        self,
        directory: Path,
        cache: Path | None,
        tags: Sequence[str] = ("serve",),
        session_config: Any = None,
        verify: Callable[[Path], None] | None = None,
    ) -> None:
        self._directory = directory
        self._tags = tags
        self._session_config = session_config
        self._verify = verify
        self._stamp = stamp_of(directory)
        self._known = _Known(cache, _digest(directory, tags, session_config))

    def load(self) -> SessionEngine:
        """Loads the version with the settings that are remembered; where none are, with the simplest.

        Raises:
            LoadError: see `SessionEngine`.
        """
        return self._load(self._known.read() or _SIMPLEST)

    @property
    def untried(self) -> bool:
        """Whether there is something to try."""
        return self._known.read() is None and _may_try(self._directory)

    def better(
        self, engine: SessionEngine, stopped: Callable[[], bool], undisturbed: Callable[[], bool]
    ) -> SessionEngine | None:
        """Tries other settings than the simplest. Takes seconds, and all cores.

        Args:
            engine: what `load` gave.
            stopped: whether the trials are to end without an outcome; asked between their runs.
            undisturbed: whether nothing else has run meanwhile; only then is the outcome remembered.

        Returns:
            The version with settings that are clearly faster, warmed; None where the simplest stay.
        """
        started = time.monotonic()
        ways = [Way(_SIMPLEST, engine, alone=False)]
        best = None
        try:
            if (known := self._known.read()) is not None:  # by another process, meanwhile
                best = None if known == _SIMPLEST else self._warmed(ways, known)
            elif figures := self._figures(ways, stopped):
                parallelism = _best(figures)
                _log.info(
                    "%s: %s: %s (tried %d settings for %.1f s)",
                    *(self._directory, _told(parallelism), figures[parallelism]),
                    *(len(figures), time.monotonic() - started),
                )
                if parallelism != _SIMPLEST:
                    best = self._warmed(ways, parallelism)
                if undisturbed():
                    self._known.write(parallelism)
        except (StatusError, StoppedError):  # of a warmup record, which told of it when it was replayed; or in vain
            pass
        except Exception as error:  # damage raises whatever the code that meets it raises
            _log.warning(
                "%s: each run stays in one thread, since nothing else can be tried: %s", self._directory, error
            )
        finally:
            for tried in {id(way.engine): way.engine for way in ways}.values():
                if tried not in (engine, best):
                    tried.close()
        return best

    def _load(self, parallelism: Parallelism) -> SessionEngine:
        return SessionEngine(self._directory, parallelism, self._tags, self._session_config)

    def _load_again(self, parallelism: Parallelism) -> SessionEngine:
        """Loads the very version that serves, or raises LoadError."""
        if self._verify:
            self._verify(self._directory)
        if stamp_of(self._directory) == self._stamp:
            engine = self._load(parallelism)
            if stamp_of(self._directory) == self._stamp:
                return engine
            engine.close()
        raise LoadError("its files are not those any more that it was loaded from")

    def _figures(self, ways: list[Way], stopped: Callable[[], bool]) -> dict[Parallelism, Figures]:
        """Compares the simplest settings with others, whose engines it adds."""
        request = self._request(ways[0].engine)
        if request is None:
            return {}
        trials = Trials(*request, stopped)
        if trials.measure(ways[0]) > _LARGE_OPS:
            self._add(ways, Parallelism(DEFAULT, intra_op=cores(), inter_op=cores(), only_alone=True))
        across = self._add(ways, Parallelism(DEFAULT, inter_op=cores(), only_alone=True))
        for way in ways[1:]:
            trials.prepare(way)
        ways.append(Way(Parallelism(DEFAULT), across.engine, alone=False))  # no run of which is ever said to be alone
        return trials.compared(ways)

    def _add(self, ways: list[Way], parallelism: Parallelism) -> Way:
        ways.append(Way(parallelism, self._load_again(parallelism), alone=True))
        return ways[-1]

    def _warmed(self, ways: list[Way], parallelism: Parallelism) -> SessionEngine:
        """The engine of some settings, ready to serve."""
        engine = next((way.engine for way in ways if way.engine.parallelism == parallelism), None)
        engine = engine or self._load_again(parallelism)
        ways.append(Way(parallelism, engine, alone=False))
        engine.prepare()
        warmup.replay(engine, self._directory)
        return engine

    def _request(self, engine: SessionEngine) -> tuple[Signature, Feeds] | None:
        """The rows of the first warmup record that has some; None where no settings are to be tried."""
        for signature, feeds in warmup.runs(engine, self._directory):
            counts = {array.shape[:1] for array in feeds}
            if signature.batchable and len(counts) == 1 and counts != {()} and counts != {(0,)}:
                graph_def = read_meta_graph(self._directory, self._tags).graph_def
                if has_effects(graph_def, (spec.tensor for spec in signature.outputs.values())):
                    return None
                return signature, [array[:MAX_ROWS] for array in feeds]
        return None


def _may_try(directory: Path) -> bool:
    variables = sum(file.stat().st_size for file in directory.glob("variables/*"))
    return cores() > 1 and device_types() == {"CPU"} and variables <= _MAX_BYTES and warmup.file(directory).is_file()


def _best(figures: dict[Parallelism, Figures]) -> Parallelism:
    clear = [parallelism for parallelism in figures if figures[parallelism].clear]
    return min(clear, key=lambda parallelism: figures[parallelism].cost, default=_SIMPLEST)


def _told(parallelism: Parallelism) -> str:
    if parallelism.inter_op == -1:
        return "each run in one thread" + (", by the default executor" if parallelism.executor == DEFAULT else "")
    what = "ops" if parallelism.intra_op == 1 else "ops, and parts of ops,"
    return f"{what} on all cores where a run is alone, in one thread beside others"


class _Known:
    """What is remembered of a version's graph.

    Args:
        cache: see `Tuning`.
        digest: of all that decides how fast it runs.
    """

    def __init__(self, cache: Path | None, digest: str) -> None:
        self._file = cache / f"{digest}.json" if cache else None

    def read(self) -> Parallelism | None:
        if self._file is None:
            return None
        try:
            known = Parallelism(**json.loads(self._file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
        return known if known.executor in (None, DEFAULT, SINGLE_THREADED) else None

    def write(self, parallelism: Parallelism) -> None:
        if self._file is None:
            return
        try:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self._file, json.dumps(asdict(parallelism)).encode())
        except OSError as error:
            _log.info("%s: cannot be written (%s): it will be tried again", self._file, error.strerror)


def _digest(directory: Path, tags: Sequence[str], session_config: Any) -> str:
    """Of the graph, and of what else decides how fast it runs."""
    machine = (version("tensorflow"), platform.machine(), platform.processor(), cores())
    config = b"" if session_config is None else session_config.SerializeToString(deterministic=True)
    digest = hashlib.sha256(repr((machine, sorted(tags), config)).encode())
    for name in ("saved_model.pb", "saved_model.pbtxt"):
        if (file := directory / name).exists():
            digest.update(file.read_bytes())
    return digest.hexdigest()[:32]
