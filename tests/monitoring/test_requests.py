"""The log reader agrees with TensorFlow's writer and the official messages, and survives torn files."""

import os
import struct
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unroll.errors import UserError
from unroll.monitoring.requests import RequestLog, Skipped, Window
from unroll.serving.files import tfrecord

START = 1_795_000_000_000_000_000


def outputs(n, value=0.25):
    return {"score": np.full(n, value, np.float32), "label": np.array([b"positive"] * n)}


def write_log(log_writer, predict_log, directory, count, version=1, start=START, stem="a"):
    writer = log_writer(directory, stem)
    for i in range(count):
        log = predict_log({"text": [f"text {i}"]}, outputs(1, i))
        writer.add(log, start + i, version, f"id-{stem}-{i}")
    writer.close()
    return writer.path


def read(log, requests):
    batches = list(log.read(requests, ["text"], ["score", "label"]))
    if not batches:
        return [], []
    texts = np.concatenate([batch.inputs["text"] for batch in batches]).tolist()
    return texts, [key for batch in batches for key in batch.keys]


@given(st.lists(st.binary(max_size=600), max_size=5))
def test_tfrecord_reads_and_writes_what_tensorflow_writes(tmp_path_factory, messages):
    import tensorflow as tf

    path = tmp_path_factory.mktemp("tfrecord") / "a.tfrecord"
    with tf.io.TFRecordWriter(str(path)) as writer:
        for message in messages:
            writer.write(message)
    data = path.read_bytes()
    spans = tfrecord.spans(data)
    assert [data[start:end] for start, end in spans] == messages
    assert all(tfrecord.intact(data, spans))
    assert b"".join(map(tfrecord.record, messages)) == data


def test_every_named_tensor_of_every_row(tmp_path, log_writer, predict_log):
    writer = log_writer(tmp_path)
    writer.add(predict_log({"text": ["naïve", "b"]}, outputs(2)), START, 1, "first")
    writer.add(predict_log({"text": [[b"\xff"]]}, {"score": [[0.5]], "label": ["x"]}), START + 1, 1, "second")
    writer.close()
    log = RequestLog(tmp_path)
    (batch,) = log.read(log.select(Window(), 1), ["text"], ["score", "label"])
    assert batch.inputs["text"].tolist() == [b"\xff", "naïve".encode(), b"b"]
    assert batch.outputs["score"].tolist() == [0.5, 0.25, 0.25]
    assert batch.outputs["label"].tolist() == [b"x", b"positive", b"positive"]
    assert batch.keys == ["second/0", "first/0", "first/1"]


def test_requests_that_cannot_be_compared_are_counted(tmp_path, log_writer, predict_log):
    from tensorflow_serving.apis import prediction_log_pb2

    writer = log_writer(tmp_path)
    writer.add(predict_log({"text": ["good"]}, outputs(1)), START, 1, "a")
    writer.add(predict_log({"other": ["x"]}, outputs(1)), START, 1, "b")
    writer.add(predict_log({"text": ["x"]}, {"score": [1.0]}), START, 1, "c")
    writer.add(predict_log({"text": ["x", "y"]}, outputs(1)), START, 1, "d")
    writer.add(prediction_log_pb2.PredictionLog(), START, 1, "e", method="Classify")
    for signature in ("serving_default", "step"):
        log = predict_log({"text": [signature]}, outputs(1))
        log.predict_log.request.model_spec.signature_name = signature
        writer.add(log, START - 1, 1, signature)
    writer.close()
    log = RequestLog(tmp_path)
    assert read(log, log.select(Window(), 1)) == ([b"good", b"serving_default"], ["a/0", "serving_default/0"])
    assert log.skipped == Skipped(method=1, signature=1, tensors=3)


def test_windows(tmp_path, log_writer, predict_log):
    now = time.time_ns()
    hour = 3600 * 10**9
    write_log(log_writer, predict_log, tmp_path, 5, start=now - 30 * hour, stem="a")
    write_log(log_writer, predict_log, tmp_path, 5, start=now - hour, stem="b")
    write_log(log_writer, predict_log, tmp_path, 3, version=2, start=now - 2 * hour, stem="c")
    log = RequestLog(tmp_path)
    assert read(log, log.select(Window.parse("3"), 1))[1] == ["id-b-4/0", "id-b-3/0", "id-b-2/0"]
    assert len(log.select(Window.parse("24h"), 1)) == 5
    assert len(log.select(Window.parse("2d"), 1)) == 10
    assert len(log.select(Window.parse("10m"), 1)) == 0
    assert len(log.select(Window.parse("1000"), 2)) == 3
    assert {version: request.request_id for version, request in log.newest().items()} == {
        1: "id-b-4",
        2: "id-c-2",
    }


@pytest.mark.parametrize("text", ["", "0", "soon", "-5", "24 h", "1.5h", "7y"])
def test_a_bad_window_is_refused(text):
    with pytest.raises(UserError, match="--window"):
        Window.parse(text)


def test_a_torn_tail_is_ignored_at_any_byte(tmp_path, log_writer, predict_log):
    path = write_log(log_writer, predict_log, tmp_path / "whole", 3, stem="é")
    records, lines = path.read_bytes(), path.with_suffix(".tsv").read_bytes()
    (tmp_path / "torn").mkdir()
    torn = tmp_path / "torn" / "a.tfrecord"
    ends = [end + 4 for _, end in tfrecord.spans(records)]
    for cut in range(0, len(records), 7):
        torn.write_bytes(records[:cut])
        torn.with_suffix(".tsv").write_bytes(lines)
        log = RequestLog(torn.parent)
        texts, _ = read(log, log.select(Window(), 1))
        assert len(texts) == sum(end <= cut for end in ends), f"cut at byte {cut}"
    torn.write_bytes(records)
    for cut in range(len(lines)):
        torn.with_suffix(".tsv").write_bytes(lines[:cut])
        log = RequestLog(torn.parent)
        texts, _ = read(log, log.select(Window(), 1))
        assert len(texts) == lines[:cut].count(b"\n"), f"cut at byte {cut}"


def test_a_damaged_record_is_left_out(tmp_path, log_writer, predict_log):
    path = write_log(log_writer, predict_log, tmp_path, 3)
    data = bytearray(path.read_bytes())
    start, end = tfrecord.spans(bytes(data))[1]
    data[(start + end) // 2] ^= 1
    path.write_bytes(data)
    log = RequestLog(tmp_path)
    assert sorted(read(log, log.select(Window(), 1))[0]) == [b"text 0", b"text 2"]
    assert log.skipped.damaged == 1


def test_a_damaged_length_ends_the_file(tmp_path, log_writer, predict_log):
    path = write_log(log_writer, predict_log, tmp_path, 3)
    data = bytearray(path.read_bytes())
    start, _ = tfrecord.spans(bytes(data))[1]
    data[start - 12 : start - 4] = struct.pack("<Q", 2**60)
    path.write_bytes(data)
    log = RequestLog(tmp_path)
    assert read(log, log.select(Window(), 1))[0] == [b"text 0"]


def test_a_file_that_rotation_deleted_meanwhile(tmp_path, log_writer, predict_log):
    write_log(log_writer, predict_log, tmp_path, 2, stem="a")
    gone = write_log(log_writer, predict_log, tmp_path, 2, stem="b")
    log = RequestLog(tmp_path)
    requests = log.select(Window(), 1)
    os.unlink(gone)
    assert len(read(log, requests)[0]) == 2


def test_what_the_server_writes(tmp_path, predict_log):
    """The other side of contract 3."""
    from unroll.serving.front.request_log import Entry, RequestLogParameters
    from unroll.serving.front.request_log import RequestLog as Writer

    writer = Writer(tmp_path, RequestLogParameters())
    for i in range(3):
        log = predict_log({"text": [f"text {i}"]}, outputs(1)).predict_log
        writer.add(
            Entry(
                START + i, "m", 4, f"id-{i}", "Predict", "",
                log.request.SerializeToString(), log.response.SerializeToString(),
            )
        )  # fmt: skip
    writer.close()
    log = RequestLog(tmp_path / "m")
    assert read(log, log.select(Window(), 4)) == (
        [b"text 2", b"text 1", b"text 0"],
        ["id-2/0", "id-1/0", "id-0/0"],
    )
