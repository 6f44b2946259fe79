"""Finds how a version runs fastest on this machine: by trying, when it is loaded.

No setting of TensorFlow's threads is best for all graphs. A small LSTM's ops take less time than their change of
threads, so that one thread is twice as fast; members of an ensemble, or convolutions, gain from every core. What was
found is remembered by the graph's digest, so that the next start tries nothing.
"""

import hashlib
import json
import logging
import platform
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
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
from unroll.serving.versions.trials import MAX_ROWS, Figures, Trials, Way
from unroll.workspace import write_atomically

_log = logging.getLogger(__name__)
_SIMPLEST = Parallelism()
_MAX_BYTES = 1 << 29  # of variables, which are in memory once for each session that is tried
_LARGE_OPS = 2e-3  # seconds of a row from which on ops may be large enough to be divided
_CLEARLY = 0.9  # of the simplest settings' cost, before others are preferred


def tuned(
    directory: Path, cache: Path | None, tags: Sequence[str] = ("serve",), session_config: Any = None
) -> SessionEngine:
    """Loads a version with the settings that are fastest for its own warmup records.

    Nothing is tried, and each run stays in one thread, where there is one core or a GPU, where there are no warmup
    records of rows, where a run changes something, and where the variables are large.

    Args:
        directory: the version's directory.
        cache: folder of what is remembered; None: nothing is.
        tags: see `SessionEngine`.
        session_config: see `SessionEngine`.

    Raises:
        LoadError: see `SessionEngine`.
    """

    def load(parallelism: Parallelism) -> SessionEngine:
        return SessionEngine(directory, parallelism, tags, session_config)

    known = _Known(cache, _digest(directory, tags, session_config))
    if (parallelism := known.read()) is not None:
        return load(parallelism)
    if not _may_try(directory):
        return load(_SIMPLEST)
    started = time.monotonic()
    with ThreadPoolExecutor(1) as other_core:
        across = other_core.submit(load, Parallelism(DEFAULT, inter_op=cores(), only_alone=True))
        ways = [Way(_SIMPLEST, load(_SIMPLEST), alone=False)]
    figures: dict[Parallelism, Figures] = {}
    try:
        ways.append(Way(across.result().parallelism, across.result(), alone=True))
        if request := _request(ways[0].engine, directory, tags):
            figures = _compared(ways, load, *request)
    except StatusError:  # of a warmup record, which tells of it when it is replayed
        pass
    except LoadError as error:
        _log.warning("%s: each run stays in one thread, since nothing else can be tried: %s", directory, error)
    except BaseException:
        _kept(ways, None)
        raise
    best = _best(figures) if figures else _SIMPLEST
    if figures:
        _log.info(
            "%s: %s: %s (tried %d settings for %.1f s)",
            *(directory, _told(best), figures[best], len(figures), time.monotonic() - started),
        )
        known.write(best)
    return _kept(ways, best) or load(best)


def _may_try(directory: Path) -> bool:
    variables = sum(file.stat().st_size for file in directory.glob("variables/*"))
    return cores() > 1 and device_types() == {"CPU"} and variables <= _MAX_BYTES and warmup.file(directory).is_file()


def _compared(
    ways: list[Way], load: Callable[[Parallelism], SessionEngine], signature: Signature, feeds: Feeds
) -> dict[Parallelism, Figures]:
    """Tries the two ways that are there, and others, whose engines it adds."""
    trials = Trials(signature, feeds)
    with ThreadPoolExecutor(len(ways)) as threads:
        list(threads.map(trials.prepare, ways))
    # The second's engine, but that no run is ever said to be alone.
    ways.append(Way(Parallelism(DEFAULT), ways[1].engine, alone=False))
    if trials.measure(ways[0]) > _LARGE_OPS:
        within = load(Parallelism(DEFAULT, intra_op=cores(), inter_op=cores(), only_alone=True))
        ways.append(Way(within.parallelism, within, alone=True))
        trials.prepare(ways[-1])
    return trials.compared(ways)


def _kept(ways: list[Way], best: Parallelism | None) -> SessionEngine | None:
    """The engine of the best settings, if it was made with just these; the others are closed."""
    kept = None
    for engine in {id(way.engine): way.engine for way in ways}.values():
        if engine.parallelism == best:
            kept = engine
        else:
            engine.close()
    return kept


def _request(engine: SessionEngine, directory: Path, tags: Sequence[str]) -> tuple[Signature, Feeds] | None:
    """The rows of the first warmup record that has some; None where no settings are to be tried."""
    for signature, feeds in warmup.runs(engine, directory):
        counts = {array.shape[:1] for array in feeds}
        if signature.batchable and len(counts) == 1 and counts != {()} and counts != {(0,)}:
            graph_def = read_meta_graph(directory, tags).graph_def
            if has_effects(graph_def, (spec.tensor for spec in signature.outputs.values())):
                return None
            return signature, [array[:MAX_ROWS] for array in feeds]
    return None


def _best(figures: dict[Parallelism, Figures]) -> Parallelism:
    best = min(figures, key=lambda parallelism: figures[parallelism].cost)
    return best if figures[best].cost < _CLEARLY * figures[_SIMPLEST].cost else _SIMPLEST


def _told(parallelism: Parallelism) -> str:
    if parallelism.inter_op == -1:
        return "each run in one thread" + (", by the default executor" if parallelism.executor == DEFAULT else "")
    what = "ops" if parallelism.intra_op == 1 else "ops, and parts of ops,"
    return f"{what} on all cores where a run is alone, in one thread beside others"


class _Known:
    """What is remembered of a version's graph.

    Args:
        cache: see `tuned`.
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
            _log.info("%s: cannot be written (%s): it will be tried anew", self._file, error.strerror)


def _digest(directory: Path, tags: Sequence[str], session_config: Any) -> str:
    """Of the graph, and of what else decides how fast it runs."""
    machine = (version("tensorflow"), platform.machine(), platform.processor(), cores())
    config = b"" if session_config is None else session_config.SerializeToString(deterministic=True)
    digest = hashlib.sha256(repr((machine, sorted(tags), config)).encode())
    for name in ("saved_model.pb", "saved_model.pbtxt"):
        if (file := directory / name).exists():
            digest.update(file.read_bytes())
    return digest.hexdigest()[:32]
