import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.serving_fixtures import ROOT
from unroll.errors import UserError
from unroll.serving.versions.store import Served, Store


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source" / "variables").mkdir(parents=True)
    (tmp_path / "source" / "saved_model.pb").write_bytes(b"graph")
    (tmp_path / "source" / "variables" / "data").write_bytes(b"weights")
    return tmp_path / "source"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_put_copies_and_leaves_the_source(store: Store, source: Path) -> None:
    assert store.models() == []
    assert store.versions("m") == []
    path = store.put("m", 2, source)
    assert path == store.path("m", 2) == store.root / "m" / "2"
    assert (path / "variables" / "data").read_bytes() == b"weights"
    assert (source / "saved_model.pb").is_file()
    assert (store.models(), store.versions("m")) == (["m"], [2])
    assert [entry.name for entry in (store.root / "m").iterdir()] == ["2"]


def test_versions_are_numbers(store: Store, source: Path) -> None:
    store.put("m", 9, source)
    (store.root / "m" / "9").rename(store.root / "m" / "00123")
    store.put("m", 10, source)
    for name in ("x", ".hidden", "1.5", "²"):
        (store.root / "m" / name).mkdir()
    (store.root / "m" / "77").write_text("a file")
    assert store.versions("m") == [10, 123]
    assert store.path("m", 123).name == "00123"


def test_serve_makes_a_version_the_highest(store: Store, source: Path) -> None:
    for version in (1, 2, 3):
        store.put("m", version, source)
    assert store.serve("m", 2, source) == Served(store.path("m", 2), {3: store.root / ".withdrawn" / "m" / "3"})
    assert store.versions("m") == [1, 2]
    assert store.serve("m", 5, source) == Served(store.path("m", 5), {})
    assert store.versions("m") == [1, 2, 5]
    assert store.models() == ["m"]
    assert sorted(entry.name for entry in store.root.iterdir()) == [".lock", ".withdrawn", "m"]


def test_a_withdrawn_version_is_kept_and_comes_back_as_it_was(store: Store, source: Path, tmp_path: Path) -> None:
    store.put("m", 1, source)
    (store.put("m", 2, source) / "notes").write_text("by hand")
    kept = store.serve("m", 1, source).withdrawn[2]
    other = shutil.copytree(source, tmp_path / "other")
    (other / "saved_model.pb").write_bytes(b"another graph")
    store.put("m", 2, other)
    also_kept = store.serve("m", 1, source).withdrawn[2]
    assert (kept / "notes").read_text() == "by hand"
    assert (also_kept / "saved_model.pb").read_bytes() == b"another graph"

    assert (store.serve("m", 2, source).path / "notes").read_text() == "by hand"
    assert not kept.exists()
    store.serve("m", 1, source)
    assert (store.serve("m", 2, other).path / "saved_model.pb").read_bytes() == b"another graph"


COPY = """
import resource
import sys
from pathlib import Path
from unroll.errors import told_in_one_line
from unroll.serving.versions.store import Served, Store
from tests.serving_fixtures import ROOT

resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))  # fails as a full disk does, in the middle
with told_in_one_line():
    getattr(Store(Path(sys.argv[1])), sys.argv[2])("m", 2, Path(sys.argv[3]))
"""


@pytest.mark.parametrize("method", ["put", "serve"])
def test_a_copy_that_fails_in_the_middle_leaves_nothing(store: Store, source: Path, method: str) -> None:
    store.put("m", 1, source)
    (source / "variables" / "more").write_bytes(bytes(2000))
    done = subprocess.run(
        [sys.executable, "-c", COPY, str(store.root), method, str(source)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {source}/variables/more: cannot be copied to {store.root}: ")
    assert "File too large" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert store.versions("m") == [1]
    assert sorted(entry.name for entry in store.root.iterdir()) == [".lock", "m"]


def test_what_a_killed_writer_left_is_cleared(store: Store, source: Path) -> None:
    store.put("m", 1, source)
    (store.root / ".incoming-dead" / "2").mkdir(parents=True)
    store.put("m", 2, source)
    assert not (store.root / ".incoming-dead").exists()


def test_writers_take_turns(store: Store, source: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda version: store.put("m", version, source), range(1, 25)))
    assert store.versions("m") == list(range(1, 25))


@pytest.mark.parametrize("name", ["", "..", "../m", "a/b", ".hidden", "a b", "x" * 129])
def test_a_bad_name_is_refused(store: Store, source: Path, name: str) -> None:
    with pytest.raises(UserError, match="A model's name is"):
        store.put(name, 1, source)


def test_mistakes_are_named(store: Store, source: Path, tmp_path: Path) -> None:
    store.put("m", 1, source)
    with pytest.raises(UserError, match="version 1 of 'm' is there already"):
        store.put("m", 1, source)
    with pytest.raises(UserError, match="Received: version=0"):
        store.put("m", 0, source)
    with pytest.raises(UserError, match="not a SavedModel"):
        store.put("m", 2, tmp_path)
    with pytest.raises(UserError, match="Versions there: 1"):
        store.path("m", 2)
    assert store.versions("m") == [1]
