"""Whatever became of the files that a report reads, it ends with a report or one line, never with a traceback."""

import json
import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from unroll.errors import UserError
from unroll.monitoring import SeriesFeature
from unroll.monitoring.actuals import Actuals
from unroll.monitoring.cli import app
from unroll.monitoring.profile import DIGEST, JSON_NAME, NPZ_NAME
from unroll.serving.files import tfrecord

REQUESTS = 40
SEEDS = int(os.environ.get("FUZZ_SEEDS", "5"))  # of each kind of damage


@pytest.fixture(scope="module")
def intact(tmp_path_factory, build_profile, write_version, log_writer, predict_log, source) -> Path:
    """A version, its requests and a table of what came true."""
    home = tmp_path_factory.mktemp("intact")
    write_version(home / "store" / "topic" / "1", build_profile(source(1), 120))
    writer = log_writer(home / "requests" / "topic")
    texts = source(2)
    outputs = texts.outputs(REQUESTS)
    for i, text in enumerate(texts.texts(REQUESTS)):
        log = predict_log({"text": [text]}, {name: array[i : i + 1] for name, array in outputs.items()})
        writer.add(log, time.time_ns() + i, 1, f"request-{i}")
    writer.close()
    return home


@pytest.fixture
def home(intact: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(intact, tmp_path / "home"))


def report(home: Path, *arguments: str) -> dict | str:
    """The report, or the line in its place."""
    result = CliRunner().invoke(app, ["report", "topic", "--home", str(home), "--json", *arguments])
    if isinstance(result.exception, UserError | OSError):
        told = str(result.exception)
        assert told
        assert "\n" not in told
        return told
    assert result.exit_code in (0, 3), repr(result.exception)
    return json.loads(result.stdout)


def file(home: Path, suffix: str) -> Path:
    (found,) = home.rglob(f"*{suffix}")
    return found


def damaged(content: bytes, chance: random.Random) -> bytes:
    """Cut, flipped, zeroed, filled with junk, or with a piece twice."""
    start = chance.randrange(len(content))
    end = min(len(content), start + chance.choice((1, 4, 64, 4096)))
    return chance.choice(
        (
            content[:start],
            content[:start] + bytes([content[start] ^ 1 << chance.randrange(8)]) + content[start + 1 :],
            content[:start] + bytes(end - start) + content[end:],
            content[:start] + chance.randbytes(end - start) + content[end:],
            content[:end] + content[start:],
            content[:start] + content[end:],
            chance.randbytes(end - start),
        )
    )


def _as_old(home: Path) -> None:
    """The profile of a version that was exported before profiles held their digest."""
    profile = file(home, JSON_NAME)
    document = json.loads(profile.read_text())
    del document[DIGEST]
    profile.write_text(json.dumps(document))


def _reshuffled_records(home: Path, chance: random.Random) -> None:
    """Whole records with right checksums, whose messages are damaged."""
    path = file(home, ".tfrecord")
    messages = tfrecord.records(path.read_bytes())
    path.write_bytes(b"".join(tfrecord.record(damaged(message, chance)) for message in messages))


def _damage(suffix: str) -> Callable[[Path, random.Random], None]:
    def damage(home: Path, chance: random.Random) -> None:
        path = file(home, suffix)
        path.write_bytes(damaged(path.read_bytes(), chance))

    return damage


@pytest.mark.parametrize("seed", range(SEEDS))
@pytest.mark.parametrize(
    "damage",
    [_reshuffled_records, *map(_damage, (".tfrecord", ".tsv", JSON_NAME, NPZ_NAME, "vocabulary.txt"))],
    ids=["messages", "records", "lines", "profile", "arrays", "vocabulary"],
)
def test_damage_ends_in_a_report_or_one_line(home, damage, seed):
    if seed % 2:
        _as_old(home)
    damage(home, random.Random(seed))
    found = report(home, *(["--html", str(home / "page.html")] if seed % 5 == 0 else []))
    if isinstance(found, dict):
        window = found["window"]
        assert window["records"] + sum(window["skipped"].values()) <= REQUESTS + 2 * window["skipped"]["lines"] + 1


SERIES = SeriesFeature(("load",), 24, 48, 0, 2, seconds=3600, time_column="date", series_column="meter")


def table() -> pd.DataFrame:
    times = pd.date_range("2026-01-01", periods=200, freq="h")
    return pd.DataFrame({"date": times, "meter": ["a", "b"] * 100, "load": np.arange(200) / 3})


def read_labels(path: Path) -> Actuals | str:
    try:
        actuals = Actuals.read(path, SERIES)
    except UserError as error:
        told = str(error)
        return told if "\n" not in told and told.startswith("--labels: ") else pytest.fail(told)
    horizon = np.zeros((2, 3, 1), np.float32)
    actuals.match(
        {"history": horizon, "timestamp": np.array([1767225600, 2**62]), "series": np.array([b"a", b"\xff"], object)},
        {"forecast": horizon, "quantiles": np.zeros((2, 3, 1, 3), np.float32)},
    )
    return actuals


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_damaged_labels_end_in_values_or_one_line(tmp_path, suffix):
    path = tmp_path / f"labels{suffix}"
    table().to_csv(path, index=False) if suffix == ".csv" else table().to_parquet(path)
    content = path.read_bytes()
    assert isinstance(read_labels(path), Actuals)
    for seed in range(20 * SEEDS):
        path.write_bytes(damaged(content, random.Random(seed)))
        read_labels(path)


HEAD = b"date,meter,load\n"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\0" * 5000,
        bytes(range(256)) * 20,
        HEAD,
        HEAD + b"\0,\0,\0\n",
        HEAD + b"2026-01-01,a," + b"9" * 400 + b"\n",
        HEAD + b"2026-01-01,a,1e999\n",
        HEAD + b"9" * 30 + b",a,1\n",
        HEAD + b"-9223372036854775808,a,1\n",
        HEAD + b"999999-01-01,a,1\n",
        HEAD + b'"2026-01-01,a,1\n' * 3,
        HEAD + b"2026-01-01,a,1,2,3\n",
        b"date,date,meter,load\n2026-01-01,2026-01-01,a,1\n",
        b"\xff\xfed\0a\0t\0e\0",
    ],
    ids=lambda content: repr(content[:40]),
)
def test_strange_labels_end_in_values_or_one_line(tmp_path, content):
    (tmp_path / "labels.csv").write_bytes(content)
    read_labels(tmp_path / "labels.csv")


@pytest.mark.parametrize(
    "columns",
    [
        {"load": pa.array([[1.0], [2.0]])},
        {"load": pa.array([b"\xff", b"1"])},
        {"load": pa.array([True, False])},
        {"date": pa.array([[1], [2]])},
        {"date": pa.array([b"\xff", None])},
        {"date": pa.array([1e300, float("nan")])},
        {"date": pa.array([True, False])},
        {"date": pa.array([2**63 - 1, -(2**63)])},
        {"meter": pa.array([{"a": 1}, None])},
        {"meter": pa.array(["a", None])},
        {"meter": pa.array([1, None])},
        {"meter": pa.array([None, None])},
        {"load": pa.array(["1", None])},
        {"load": pa.array([None, None])},
        {"load": pa.array(["x", "1"])},
        {"meter": pa.array([b"\xff\0", b""])},
    ],
    ids=lambda columns: " ".join(f"{name} {array.type} {array.to_pylist()}" for name, array in columns.items()),
)
def test_columns_of_other_types_end_in_values_or_one_line(tmp_path, columns):
    plain = {"date": pa.array([0, 3600]), "meter": pa.array(["a", "b"]), "load": pa.array([1.0, 2.0])}
    pq.write_table(pa.table({**plain, **columns}), tmp_path / "labels.parquet")
    read_labels(tmp_path / "labels.parquet")
    twice = pa.Table.from_arrays([*plain.values(), plain["load"]], [*plain, "load"])
    pq.write_table(twice, tmp_path / "labels.parquet")
    read_labels(tmp_path / "labels.parquet")


@pytest.mark.parametrize("suffix", [".tfrecord", ".tsv", JSON_NAME, NPZ_NAME, "vocabulary.txt"])
def test_a_fifo_holds_no_report_up(home, suffix):
    path = file(home, suffix)
    path.unlink()
    os.mkfifo(path)
    assert "it is a FIFO" in str(report(home))


def test_a_fifo_or_a_folder_holds_no_labels(tmp_path):
    os.mkfifo(tmp_path / "labels.csv")
    assert "it is a FIFO, not a file" in str(read_labels(tmp_path / "labels.csv"))
    assert "it is a folder" in str(read_labels(tmp_path))
    assert "No such file" in str(read_labels(tmp_path / "none"))


def test_a_vocabulary_elsewhere_is_not_read(home):
    secret = home / "secret"
    secret.write_text("a\nb\n")
    vocabulary = file(home, "vocabulary.txt")
    vocabulary.unlink()
    vocabulary.symlink_to(secret)
    assert "is not the version's" in str(report(home))
