from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from errors import UserError
from serving.store import Store


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
    store.serve("m", 2, source)
    assert store.versions("m") == [1, 2]
    store.serve("m", 5, source)
    assert store.versions("m") == [1, 2, 5]
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
