"""What happens when a version number comes again, as it does after the registry was made again."""

from pathlib import Path

import pytest

from unroll.errors import UserError
from unroll.serving.versions.store import Store


def saved_model(directory: Path, **files: bytes) -> Path:
    contents = {"saved_model": b"graph", "fingerprint": b"1", **files}
    (directory / "assets.extra").mkdir(parents=True)
    for name, content in contents.items():
        file = "assets.extra/unroll.json" if name == "card" else f"{name}.pb"
        (directory / file).write_bytes(content)
    return directory


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store")
    for version in (1, 2, 3):
        store.put("m", version, saved_model(tmp_path / f"first-{version}", card=b"first"))
    return store


def snapshot(store: Store) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in store.root.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    "other",
    [
        {"saved_model": b"another graph", "card": b"first"},
        {"fingerprint": b"2", "card": b"first"},
        {"card": b"second"},
        {},
    ],
)
def test_another_model_under_a_number_is_refused_and_nothing_changes(
    store: Store, tmp_path: Path, other: dict[str, bytes]
) -> None:
    before = snapshot(store)
    source = saved_model(tmp_path / "second", **other)
    with pytest.raises(UserError) as refused:
        store.serve("m", 1, source)
    message = str(refused.value)
    assert str(store.path("m", 1)) in message
    assert str(source) in message
    assert "another --home" in message
    assert f"move {store.path('m', 1)} elsewhere" in message
    assert "\n" not in message
    assert snapshot(store) == before, "a refused version changed the store"


def test_the_same_model_under_a_number_is_served_again(store: Store, tmp_path: Path) -> None:
    path = store.serve("m", 1, saved_model(tmp_path / "again", card=b"first")).path
    assert path == store.path("m", 1)
    assert store.versions("m") == [1]


def test_after_the_remedy_the_new_model_is_served(store: Store, tmp_path: Path) -> None:
    source = saved_model(tmp_path / "second", card=b"second")
    store.path("m", 1).rename(tmp_path / "removed")
    path = store.serve("m", 1, source).path
    assert (path / "assets.extra" / "unroll.json").read_bytes() == b"second"
    assert store.versions("m") == [1]


def test_a_missing_source_is_named(store: Store, tmp_path: Path) -> None:
    before = snapshot(store)
    with pytest.raises(UserError, match="not a SavedModel"):
        store.serve("m", 1, tmp_path / "gone")
    assert snapshot(store) == before


def test_a_name_that_the_model_registry_refuses_is_refused(store: Store) -> None:
    with pytest.raises(UserError, match=r"A model's name is .*name='reviews\.v2'"):
        store.versions("reviews.v2")
