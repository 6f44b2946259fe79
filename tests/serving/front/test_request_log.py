"""The request log's files: what is sampled, when a new one is begun, what is deleted, what is dropped."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf

from tests.conftest import ROOT
from tests.serving_fixtures import until
from unroll.serving.front.request_log import Entry, RequestLog, RequestLogParameters
from unroll.serving.protocol import protos

SIZE = 400  # bytes of a request


def entry(number: int, model: str = "m", size: int = SIZE) -> Entry:
    request = protos.PredictRequest()
    request.inputs["text"].string_val.append(b"x" * size)
    return Entry(number, model, 1, f"id-{number}", "Predict", "", request.SerializeToString(), b"")


def written(root: Path) -> list[list[str]]:
    """The request ids in each file, oldest file first."""
    files = []
    for path in sorted(root.glob("*/*.tfrecord"), key=lambda path: path.name):
        lines = [line.split("\t") for line in path.with_suffix(".tsv").read_text().splitlines()]
        records = tf.data.TFRecordDataset(str(path)).as_numpy_iterator()
        logs = [protos.PredictionLog.FromString(record) for record in records]
        assert len(logs) == len(lines), path
        assert all(len(log.predict_log.request.inputs["text"].string_val[0]) == SIZE for log in logs)
        files.append([request_id for _, _, request_id, _ in lines])
    return files


def test_a_large_file_is_closed_and_a_new_one_begun(tmp_path: Path) -> None:
    log = RequestLog(tmp_path, RequestLogParameters(file_bytes=3 * SIZE))
    for number in range(7):
        log.add(entry(number))
    log.close()
    assert written(tmp_path) == [["id-0", "id-1", "id-2"], ["id-3", "id-4", "id-5"], ["id-6"]]


@pytest.mark.parametrize("model", ["..", "../above", "/above", "a/b", "x" * 256, "/" * 200, "." * 100])
def test_no_name_leads_out_of_the_log_or_is_too_long_for_it(tmp_path: Path, model: str) -> None:
    log = RequestLog(tmp_path / "deep" / "log", RequestLogParameters())
    log.add(entry(0, model))
    log.add(entry(1, model + "2"))
    log.close()
    assert sorted(written(tmp_path / "deep" / "log")) == [["id-0"], ["id-1"]]


def test_an_old_file_is_closed_and_a_new_one_begun(tmp_path: Path) -> None:
    log = RequestLog(tmp_path, RequestLogParameters(file_seconds=0.05))
    log.add(entry(0))
    (first,) = until(lambda: list(tmp_path.glob("m/*.tsv")))
    begun = os.stat(first).st_mtime  # a tenth of a second of the same clock makes it old
    until(lambda: _now(tmp_path) > begun + 0.1)
    log.add(entry(1))
    log.close()
    assert written(tmp_path) == [["id-0"], ["id-1"]]


def _now(folder: Path) -> float:
    (folder / "now").write_text("")
    return os.stat(folder / "now").st_mtime


def test_the_oldest_files_of_all_models_make_room(tmp_path: Path) -> None:
    files, total = 12, 4000
    log = RequestLog(tmp_path, RequestLogParameters(file_bytes=1, total_bytes=total))
    for number in range(files):
        log.add(entry(number, model="ab"[number % 2]))
    log.close()
    kept = written(tmp_path)
    assert kept == [[f"id-{number}"] for number in range(files - len(kept), files)]
    assert {path.with_suffix("") for path in tmp_path.glob("*/*.tsv")} == {
        path.with_suffix("") for path in tmp_path.glob("*/*.tfrecord")
    }
    sizes = [path.stat().st_size + path.with_suffix(".tsv").stat().st_size for path in tmp_path.glob("*/*.tfrecord")]
    # Room is made when a file is begun, and then there is one a model that is still written.
    assert total - max(sizes) < sum(sizes) <= total + 2 * max(sizes)


def test_nothing_is_deleted_below_the_limit(tmp_path: Path) -> None:
    log = RequestLog(tmp_path, RequestLogParameters(file_bytes=1))
    for number in range(12):
        log.add(entry(number))
    log.close()
    assert written(tmp_path) == [[f"id-{number}"] for number in range(12)]


IDS = [f"request-{number}" for number in range(20_000)]


@pytest.fixture
def sample(tmp_path: Path) -> Callable[[float], list[str]]:
    def choose(share: float) -> list[str]:
        log = RequestLog(tmp_path, RequestLogParameters(sampling=share))
        log.close()
        return [request_id for request_id in IDS if log.sampled(request_id)]

    return choose


@pytest.mark.parametrize("share", [0.001, 0.1, 0.5, 0.99])
def test_the_sample_has_its_share(sample: Callable[[float], list[str]], share: float) -> None:
    deviation = (len(IDS) * share * (1 - share)) ** 0.5  # of a binomial count
    assert abs(len(sample(share)) - len(IDS) * share) < 4 * deviation


def test_the_sample_depends_on_the_id_alone(sample: Callable[[float], list[str]]) -> None:
    small, large = sample(0.1), sample(0.5)
    assert sample(0.0) == []
    assert sample(1.0) == IDS
    assert set(small) < set(large), "a larger share adds requests and takes none away"
    code = (
        "import sys, pathlib; from unroll.serving.front.request_log import RequestLog, RequestLogParameters\n"
        "log = RequestLog(pathlib.Path(), RequestLogParameters(sampling=0.1))\n"
        "print(*(one for one in sys.stdin.read().split() if log.sampled(one)))"
    )
    other = subprocess.run(
        [sys.executable, "-c", code],
        input=" ".join(IDS),
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "1"},
        check=True,
    )
    assert other.stdout.split() == small, "another process chooses other requests"


def test_what_the_disk_cannot_keep_up_with_is_dropped_and_counted(tmp_path: Path) -> None:
    burst = [entry(number) for number in range(2000)]
    log = RequestLog(tmp_path, RequestLogParameters(queued_bytes=10 * SIZE))
    log.add(entry(0, size=11 * SIZE))
    assert log.dropped == 1, "a record larger than the queue"
    for one in burst:
        log.add(one)
    dropped = log.dropped - 1
    log.close()
    (ids,) = written(tmp_path)
    assert 0 < dropped < len(burst)
    assert len(ids) == len(burst) - dropped
    assert ids == sorted(set(ids), key=lambda one: int(one[3:]))


def test_what_was_written_makes_room_in_the_queue(tmp_path: Path) -> None:
    log = RequestLog(tmp_path, RequestLogParameters(queued_bytes=3 * SIZE))
    for number in range(8):
        log.add(entry(number))
        line = f"\tid-{number}\t"
        until(lambda line=line: any(line in path.read_text() for path in tmp_path.glob("m/*.tsv")))
    log.close()
    assert log.dropped == 0


def test_a_broken_disk_loses_records_and_holds_nothing_up(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "m").write_text("a file where the folder belongs")
    log = RequestLog(tmp_path, RequestLogParameters())
    for number in range(500):
        log.add(entry(number))
    closing = threading.Thread(target=log.close, daemon=True)
    closing.start()
    closing.join(20)
    assert not closing.is_alive(), f"still losing records one by one: {log.dropped} of 500"
    assert log.dropped == 500
    assert str(tmp_path) in caplog.text


def _gone(root: Path, model: Path) -> None:
    shutil.rmtree(root)


def _model_gone(root: Path, model: Path) -> None:
    shutil.rmtree(model)


def _file_gone(root: Path, model: Path) -> None:
    next(model.glob("*.tfrecord")).unlink()


def _lines_gone(root: Path, model: Path) -> None:
    next(model.glob("*.tsv")).unlink()


def _recreated(root: Path, model: Path) -> None:
    root.rename(root.with_name("old"))
    model.mkdir(parents=True)


def _replaced(root: Path, model: Path) -> None:
    file = next(model.glob("*.tfrecord"))
    copy = file.with_name("copy")
    shutil.copy(file, copy)
    copy.rename(file)


@pytest.mark.parametrize("vanish", [_gone, _model_gone, _file_gone, _lines_gone, _recreated, _replaced])
def test_what_vanishes_under_the_log_is_noticed_said_and_begun_anew(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, vanish: Callable[[Path, Path], None]
) -> None:
    root = tmp_path / "log"
    log = RequestLog(root, RequestLogParameters())
    log.add(entry(0))
    until(lambda: any("id-0" in path.read_text() for path in root.glob("m/*.tsv")))
    (before,) = root.glob("m/*.tsv")
    vanish(root, root / "m")
    log.add(entry(1))
    log.close()
    (after,) = set(root.glob("m/*.tsv")) - {before}
    assert "\tid-1\t" in after.read_text()
    assert [line.split(b"\t")[2] for line in after.read_bytes().splitlines()] == [b"id-1"]
    assert after.with_suffix(".tfrecord").stat().st_size > SIZE
    assert log.vanished == 1
    (said,) = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert "is gone or replaced" in said
    assert str(before.with_suffix(".tfrecord")) in said


def test_records_that_went_into_a_deleted_file_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unroll.serving.front.request_log._GATHERING", 1.0)  # before the second of them is written
    log = RequestLog(tmp_path, RequestLogParameters())
    log.add(entry(0))
    log.add(entry(1))
    until(lambda: list(tmp_path.glob("m/*.tsv")))
    shutil.rmtree(tmp_path / "m")
    until(lambda: log.vanished)
    log.add(entry(2))
    log.close()
    assert written(tmp_path) == [["id-2"]]
    assert (log.vanished, log.dropped) == (1, 2)


def test_a_deleted_file_is_let_go_though_nobody_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("unroll.serving.front.request_log._LOOK", 0.05)
    log = RequestLog(tmp_path, RequestLogParameters())
    log.add(entry(0))
    until(lambda: any("id-0" in path.read_text() for path in tmp_path.glob("m/*.tsv")))
    shutil.rmtree(tmp_path / "m")
    until(lambda: log.vanished)
    held = [os.readlink(path) for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    assert not [path for path in held if str(tmp_path / "m") in path]
    log.close()


def test_a_disk_that_is_full_for_a_while_loses_only_what_came_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "unroll.serving")
    monkeypatch.setattr("unroll.serving.front.request_log._PAUSE", 0.0)
    log = RequestLog(tmp_path, RequestLogParameters())
    log.add(entry(0))
    until(lambda: any("id-0" in path.read_text() for path in tmp_path.glob("m/*.tsv")))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
        for number in range(1, 4):
            log.add(entry(number))
            until(lambda number=number: log.dropped == number)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    log.add(entry(4))
    log.close()
    assert log.dropped == 3
    lines = [path.read_text() for path in sorted(tmp_path.glob("m/*.tsv"), key=lambda path: path.name)]
    assert "".join(lines).count("\n") == 2
    assert "id-0" in lines[0]
    assert "id-4" in lines[-1]
    assert len(lines) == 2, "an empty file for each try"
    assert len([record for record in caplog.records if "Records are lost" in record.message]) == 1
    assert "is written again" in caplog.text
