"""A sample of requests and responses on disk, for the monitor.

The layout is contract 3 of docs/architecture.md: `<root>/<model>/<start>-<pid>.tfrecord` holds
PredictionLogs, the `.tsv` beside it one line a record: time_ns, version, request_id, method. Requests may
hold personal data, so only the owner may read the files.
"""

import contextlib
import functools
import hashlib
import logging
import os
import queue
import tempfile
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, NamedTuple
from urllib.parse import quote

from unroll.errors import UserError
from unroll.serving.files import tfrecord
from unroll.serving.protocol import wire

_log = logging.getLogger(__name__)
_METHOD_FIELDS = {"Classify": 2, "Regress": 3, "MultiInference": 4, "Predict": 6}  # of PredictionLog
_MAX_FOLDER = 255  # characters, which file systems take
_PAUSE = 1.0  # seconds after an error in which nothing is tried
_LOOK = 1.0  # seconds of silence after which open files are looked for: a deleted one takes room until it is closed
_GATHERING = 0.05  # seconds in which entries come together: each waking of the log takes time from who answers


@dataclass(frozen=True)
class RequestLogParameters:
    """What is kept, and how much of it.

    Args:
        sampling: share of the requests that is logged, chosen by a hash of the request id.
        file_bytes: a file this large is closed and a new one begun.
        file_seconds: likewise a file this old.
        total_bytes: beyond this, the oldest closed files are deleted.
        queued_bytes: what may wait for the disk; beyond this, records are dropped and counted.
    """

    sampling: float = 1.0
    file_bytes: int = 64 << 20
    file_seconds: float = 3600.0
    total_bytes: int = 1 << 30
    queued_bytes: int = 64 << 20


def check_root(root: Path) -> None:
    """Returns if the directory of logs can be written to, or made: the first record makes it. Nothing is left there.

    Args:
        root: the directory.

    Raises:
        UserError: nothing can be written there.

    Example:
        >>> check_root(Path("workspace/requests"))
    """
    root = root.absolute()
    nearest = next(path for path in (root, *root.parents) if os.path.lexists(path))
    if nearest.is_file():
        problem, remedy = f"{nearest} is a file, not a folder", "Move it away, name another folder"
    else:
        try:
            with tempfile.TemporaryFile(dir=nearest):
                return
        except OSError as error:
            problem = f"{nearest} cannot be written to ({error.strerror})"
            remedy = "Name a folder that this user may write to"
    raise UserError(f"--request_log {root}: {problem}. {remedy}, or give --request_log_sampling=0 for no log.")


class Entry(NamedTuple):
    """One answered request. `request` and `response` are the messages as they were on the wire."""

    time_ns: int
    model: str
    version: int
    request_id: str
    method: str
    signature: str
    request: bytes
    response: bytes


class RequestLog:
    """Writes entries in a thread of its own, so that no request ever waits for the disk.

    A file that is deleted or replaced while it is written, alone or with its folder, is noticed and a new one begun.

    Args:
        root: the directory of logs. Made by the first record, for its owner only, and again where it is gone.
        parameters: sampling, rotation and limits.

    Attributes:
        dropped: records that are in no file: the disk did not keep up, or the file vanished.
        vanished: files that did.
    """

    def __init__(self, root: Path, parameters: RequestLogParameters) -> None:
        self.dropped = 0
        self.vanished = 0
        self._root = root
        self._parameters = parameters
        self._threshold = int(parameters.sampling * 2**64)
        self._queue: queue.SimpleQueue[Entry | None] = queue.SimpleQueue()
        self._bytes_in = 0  # written by the caller's thread only
        self._bytes_out = 0  # written by the log's thread only
        self._files: dict[str, _File] = {}
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._write_all, name="request-log", daemon=True)
        self._thread.start()

    def sampled(self, request_id: str) -> bool:
        """Whether a request is in the sample. The answer depends on its id alone."""
        if self._parameters.sampling >= 1:
            return True
        digest = hashlib.blake2b(request_id.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") < self._threshold

    def add(self, entry: Entry) -> None:
        """Hands over an entry. Drops it when the disk does not keep up."""
        size = len(entry.request) + len(entry.response)
        if self._bytes_in - self._bytes_out + size > self._parameters.queued_bytes:
            self.dropped += 1
            return
        self._bytes_in += size
        self._queue.put(entry)

    def close(self) -> None:
        """Writes what is queued and closes the files."""
        self._ending.set()
        self._queue.put(None)
        self._thread.join()

    def _write_all(self) -> None:
        told = 0
        try_again = 0.0
        failing = False
        while (entry := self._next()) is not None:
            if self._queue.empty():
                self._ending.wait(_GATHERING)
            if time.monotonic() < try_again:  # dropped at once, or else a queue would take hours to close
                self.dropped += 1
            else:
                written = False
                try:
                    self._write(entry)
                    written = True
                    if self._queue.empty():
                        for file in self._files.values():
                            file.flush()
                        self._forget_vanished()
                    if failing:
                        failing = False
                        _log.info("request log %s: is written again", self._root)
                except Exception as error:
                    self.dropped += not written
                    self._abandon()
                    try_again = time.monotonic() + _PAUSE
                    if not failing:
                        failing = True
                        _log.error("request log %s: %s. Records are lost until this is fixed.", self._root, error)
            self._bytes_out += len(entry.request) + len(entry.response)
            if self.dropped > told and self._queue.empty() and not failing:
                told = self.dropped
                _log.warning("request log: %d record%s dropped so far", told, "" if told == 1 else "s")
        self._abandon()

    def _next(self) -> Entry | None:
        while True:
            try:
                return self._queue.get(timeout=_LOOK if self._files else None)
            except queue.Empty:
                self._forget_vanished()

    def _write(self, entry: Entry) -> None:
        file = self._files.get(entry.model)
        if file and not file.unseen and file.has_vanished():
            self._forget(entry.model)
            file = None
        if file and file.is_full(self._parameters):
            file.close()
            del self._files[entry.model]
            file = None
        if file is None:
            self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._delete_oldest()
            file = self._files[entry.model] = _File(self._root / _folder(entry.model))
        file.write(entry)

    def _abandon(self) -> None:
        """Closes all files after an error. What they still held and cannot write any more is lost."""
        for file in self._files.values():
            try:
                file.close()
            except Exception:
                self.dropped += file.unseen
                file.delete_if_empty()
        self._files.clear()

    def _forget_vanished(self) -> None:
        for model, file in list(self._files.items()):
            if file.has_vanished():
                self._forget(model)
            else:
                file.unseen = 0

    def _forget(self, model: str) -> None:
        file = self._files.pop(model)
        with contextlib.suppress(Exception):
            file.close()
        self.vanished += 1  # once its space on disk is free
        self.dropped += file.unseen
        _log.error(
            "request log: %s is gone or replaced, and what it held with it. The next record begins a new file",
            file.path,
        )

    def _delete_oldest(self) -> None:
        open_files = {file.path for file in self._files.values()}
        closed = sorted(
            (path for path in self._root.glob("*/*.tfrecord") if path not in open_files),
            key=lambda path: path.name,
        )
        total = sum(path.stat().st_size for path in self._root.glob("*/*") if path.is_file())
        for path in closed:
            if total <= self._parameters.total_bytes:
                break
            for half in (path, path.with_suffix(".tsv")):
                if half.exists():
                    total -= half.stat().st_size
                    half.unlink()


def _folder(model: str) -> str:
    """A model's folder: its name, but where that would lead elsewhere, deeper or out of the log, or is too long."""
    name = quote(model, safe=" ", errors="replace") if model.strip(".") else model.replace(".", "%2E")
    if len(name) <= _MAX_FOLDER:
        return name
    return f"{name[: _MAX_FOLDER - 33]}-{hashlib.blake2b(name.encode(), digest_size=16).hexdigest()}"


class _File:
    """A file of records, and the one of lines beside it.

    Attributes:
        unseen: records written since the files were last seen on disk.
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.unseen = 0
        self._opened = time.monotonic()
        self._bytes = 0
        stem = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{os.getpid()}"
        self.path = directory / f"{stem}.tfrecord"
        records = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        self._records: IO[bytes] = os.fdopen(records, "wb")
        lines_path = directory / f"{stem}.tsv"
        lines = os.open(lines_path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        self._lines: IO[str] = os.fdopen(lines, "w", encoding="utf-8")
        self._identities = {path: _identity(path) for path in (self.path, lines_path)}

    def is_full(self, parameters: RequestLogParameters) -> bool:
        age = time.monotonic() - self._opened
        return self._bytes >= parameters.file_bytes or age >= parameters.file_seconds

    def has_vanished(self) -> bool:
        """Whether another file, or none, stands where one of the two was: deleted, moved, under another mount."""
        try:
            return any(_identity(path) != identity for path, identity in self._identities.items())
        except (FileNotFoundError, NotADirectoryError):
            return True
        except OSError:  # cannot be told, as where a folder may not be entered any more: what is open is still written
            return False

    def write(self, entry: Entry) -> None:
        record = _prediction_log(entry)
        self._records.write(tfrecord.record(record))
        self._lines.write(f"{entry.time_ns}\t{entry.version}\t{entry.request_id}\t{entry.method}\n")
        self._bytes += len(record)
        self.unseen += 1

    def flush(self) -> None:
        self._records.flush()
        self._lines.flush()

    def close(self) -> None:
        try:
            self._records.close()
        finally:
            self._lines.close()

    def delete_if_empty(self) -> None:
        """Deletes what holds no record: a full disk would get another such file at every try."""
        with contextlib.suppress(OSError):
            if not os.path.getsize(self.path):
                for path in self._identities:
                    path.unlink()


def _identity(path: Path) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_dev, status.st_ino


def _prediction_log(entry: Entry) -> bytes:
    metadata = _spec(entry.model, entry.version, entry.signature) + wire.integer(4, entry.time_ns // 1_000_000_000)
    pair = wire.block(1, entry.request) + wire.block(2, entry.response)
    return wire.block(1, metadata) + wire.block(_METHOD_FIELDS[entry.method], pair)


@functools.lru_cache(maxsize=256)
def _spec(model: str, version: int, signature: str) -> bytes:
    spec = wire.block(1, model.encode()) + wire.block(2, wire.integer(1, version)) + wire.block(3, signature.encode())
    return wire.block(1, spec)
