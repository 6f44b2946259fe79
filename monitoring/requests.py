"""The request log, read back: contract 3 of docs/architecture.md."""

import heapq
import io
import mmap
import os
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError

from unroll.errors import UserError
from unroll.serving.files import regular_files, tfrecord
from unroll.serving.protocol import protos, tensors

MAX_REQUESTS = 20_000
MAX_RECORDS = 20_000
_BATCH_BYTES = 16 << 20
DEFAULT_SIGNATURE = "serving_default"
_Tensors = dict[str, np.ndarray]
_MAX_INT64 = 2**63 - 1  # of a time in nanoseconds, and of a version
_MAX_ROWS = 1 << 20  # of a request that is read
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


@dataclass(frozen=True)
class Window:
    """Which of a version's requests are looked at: the newest ones, at most `MAX_REQUESTS`.

    Args:
        requests: how many.
        seconds: not older than this; None for any age.
    """

    requests: int = MAX_REQUESTS
    seconds: float | None = None

    @classmethod
    def parse(cls, text: str) -> "Window":
        """Reads `1000` (requests), `30m`, `24h`, `7d` or `2w`.

        Raises:
            UserError: for anything else.
        """
        match = re.fullmatch(r"([0-9]{1,9})([smhdw]?)", text.strip())
        if not match or int(match[1]) == 0:
            raise UserError(
                f"--window: {text!r} is neither a number of requests (1000) nor an age (30m, 24h, 7d). "
                "Give one of these."
            )
        if match[2]:
            return cls(seconds=int(match[1]) * _UNITS[match[2]])
        return cls(requests=min(int(match[1]), MAX_REQUESTS))


@dataclass(frozen=True, order=True)
class Request:
    """One logged request's line in the `.tsv`; ordered by time."""

    time_ns: int
    file: Path
    line: int
    version: int
    request_id: str
    method: str


@dataclass(frozen=True)
class Batch:
    """Records whose tensors have the same shapes but for their rows.

    Args:
        inputs: by tensor name, n rows.
        outputs: by tensor name, n rows.
        keys: n keys, `<request id>/<row>`.
        times: int64 `(n,)`, when they were asked, in nanoseconds.
        requests: how many requests they came in.
    """

    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]
    keys: list[str]
    times: np.ndarray
    requests: int


@dataclass
class Skipped:
    """How many requests were read over.

    Args:
        method: not answered by Predict.
        signature: asked of a signature other than the default one.
        tensors: without the tensors that the features need, or of other shapes: an output filter.
        damaged: on disk: a checksum is wrong, or what it guards is not a request.
        lines: of the log's `.tsv` files, that tell of no request. Whose they were is not known.
    """

    method: int = 0
    signature: int = 0
    tensors: int = 0
    damaged: int = 0
    lines: int = 0


@dataclass
class RequestLog:
    """The log of one model.

    Args:
        directory: `<requests>/<model>`.
        skipped: counts what `read` had to read over.
    """

    directory: Path
    skipped: Skipped = field(default_factory=Skipped)

    def newest(self) -> dict[int, Request]:
        """The newest request that each version answered."""
        newest: dict[int, Request] = {}
        for request in self._requests():
            newest[request.version] = max(newest.get(request.version, request), request)
        return newest

    def select(self, window: Window, version: int) -> list[Request]:
        """The requests in a window that a version answered, newest first."""
        since = 0 if window.seconds is None else time.time_ns() - int(window.seconds * 1e9)
        chosen = (r for r in self._requests() if r.version == version and r.time_ns >= since)
        return heapq.nlargest(window.requests, chosen)

    def read(
        self,
        requests: Sequence[Request],
        inputs: Sequence[str],
        outputs: Sequence[str],
        optional_inputs: Sequence[str] = (),
    ) -> Iterator[Batch]:
        """Reads the named tensors of Predict requests and of their responses.

        A request may carry several records. Reading stops at `MAX_RECORDS` of them. Memory holds a file's
        pages and one batch.

        Args:
            requests: what `select` gave.
            inputs: names of input tensors.
            outputs: names of output tensors.
            optional_inputs: names of input tensors that are read where a request has them.
        """
        files: dict[Path, list[Request]] = {}
        for request in requests:
            files.setdefault(request.file, []).append(request)
        records = 0
        for path, wanted in files.items():
            for batch in self._read_file(path, wanted, inputs, outputs, optional_inputs):
                yield batch
                records += len(batch.keys)
                if records >= MAX_RECORDS:
                    return

    def _read_file(self, path: Path, requests: Sequence[Request], *names: Sequence[str]) -> Iterator[Batch]:
        # A rotated file may be deleted at any moment; one without a record cannot be mapped.
        with suppress(FileNotFoundError), _open(path) as file:
            if not os.fstat(file.fileno()).st_size:
                return
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                spans = tfrecord.spans(data)
                written = [request for request in requests if request.line < len(spans)]
                if tfrecord.is_damaged(data, tfrecord.end_of(spans)):
                    self.skipped.damaged += len(requests) - len(written)
                for part in _parts(written, [spans[request.line] for request in written]):
                    yield from self._read_part(data, part, *names)

    def _read_part(
        self,
        data: mmap.mmap,
        part: Sequence[tuple[Request, tuple[int, int]]],
        inputs: Sequence[str],
        outputs: Sequence[str],
        optional_inputs: Sequence[str],
    ) -> Iterator[Batch]:
        alike: dict[Any, list[tuple[Request, int, _Tensors, _Tensors]]] = {}
        intact = tfrecord.intact(data, [span for _, span in part])
        for (request, (start, end)), good in zip(part, intact, strict=True):
            if request.method != "Predict":
                self.skipped.method += 1
                continue
            if not good:
                self.skipped.damaged += 1
                continue
            try:
                log = protos.PredictionLog.FromString(data[start:end]).predict_log
            except DecodeError:
                self.skipped.damaged += 1
                continue
            if log.request.model_spec.signature_name not in ("", DEFAULT_SIGNATURE):
                self.skipped.signature += 1
                continue
            try:
                optional = [name for name in optional_inputs if name in log.request.inputs]
                sent = {name: _rows(log.request.inputs, name) for name in [*inputs, *optional]}
                answered = {name: _rows(log.response.outputs, name) for name in outputs}
                (n,) = {len(array) for array in [*sent.values(), *answered.values()]}
            except (KeyError, ValueError, IndexError, OverflowError):
                self.skipped.tensors += 1
                continue
            shapes = tuple((name, array.shape[1:], array.dtype) for name, array in [*sent.items(), *answered.items()])
            alike.setdefault(shapes, []).append((request, n, sent, answered))
        for found in alike.values():
            yield Batch(
                {name: np.concatenate([sent[name] for _, _, sent, _ in found]) for name in found[0][2]},
                {name: np.concatenate([answered[name] for _, _, _, answered in found]) for name in outputs},
                [f"{request.request_id}/{row}" for request, n, _, _ in found for row in range(n)],
                np.repeat([request.time_ns for request, *_ in found], [n for _, n, *_ in found]),
                len(found),
            )

    def _requests(self) -> Iterator[Request]:
        damaged = 0
        for path in sorted(self.directory.glob("*.tsv")):
            # A rotated file may be deleted at any moment.
            with (
                suppress(FileNotFoundError),
                _open(path) as file,
                io.TextIOWrapper(file, encoding="utf-8", errors="replace", newline="\n") as lines,
            ):
                for number, line in enumerate(lines):
                    if not line.endswith("\n"):  # still being written
                        break
                    time_ns, version, *rest = [*line.rstrip("\n").split("\t"), ""]
                    if len(rest) == 3 and _is_number(time_ns) and _is_number(version):
                        file_of_records = path.with_suffix(".tfrecord")
                        yield Request(int(time_ns), file_of_records, number, int(version), rest[0], rest[1])
                    else:
                        damaged += 1
        self.skipped.lines = damaged


def _open(path: Path) -> io.BufferedReader:
    try:
        return regular_files.open_regular(path)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}). Move it out of the log's folder") from None


def _is_number(cell: str) -> bool:
    return cell.isascii() and cell.isdecimal() and len(cell) <= len(str(_MAX_INT64)) and int(cell) <= _MAX_INT64


def _parts(
    requests: Sequence[Request], spans: Sequence[tuple[int, int]]
) -> Iterator[list[tuple[Request, tuple[int, int]]]]:
    """Requests with their spans, in parts of about `_BATCH_BYTES`."""
    part: list[tuple[Request, tuple[int, int]]] = []
    size = 0
    for request, (start, end) in zip(requests, spans, strict=True):
        part.append((request, (start, end)))
        size += end - start
        if size >= _BATCH_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def _rows(messages: Any, name: str) -> np.ndarray:
    """The tensor, one row a record; `(n, 1)` becomes `(n,)`."""
    if name not in messages:
        raise KeyError(name)
    tensor = tensors.decode(messages[name])
    if tensor.ndim == 0 or not 0 < len(tensor) <= min(tensor.size, _MAX_ROWS):  # rows that hold nothing cost as much
        raise ValueError(f"{name} has no rows, or empty ones, or too many. Received: shape {tensor.shape}")
    return tensor.reshape(-1) if tensor.ndim == 2 and tensor.shape[1] == 1 else tensor
