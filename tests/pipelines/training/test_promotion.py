"""What promote and rollback do to a real registry, store and server; and what stays when they are killed."""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.conftest import ROOT, unroll
from tests.serving.signing import Signer
from tests.serving_fixtures import start_model_server, until
from unroll.errors import UserError
from unroll.pipelines.training.promotion import Promotion
from unroll.pipelines.training.tracking import Tracking
from unroll.serving.client.client import Client
from unroll.serving.versions.store import Store
from unroll.workspace import Workspace


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home: Path = tmp_path_factory.mktemp("promotion")
    Tracking(Workspace(home), create=True).versions()
    return home


@pytest.fixture
def name(home: Path, exports: dict[int, Path], request: pytest.FixtureRequest) -> str:
    """A model of three registered versions, none of which is promoted."""
    name = request.node.name.removeprefix("test_").replace("[", "-").rstrip("]")
    tracking = Tracking(Workspace(home))
    with tracking.run(name) as run:
        for export in (exports[1], exports[2], exports[1]):
            tracking.register(name, "sentiment", run.run_id, export, {})
    return str(name)


@pytest.fixture
def store(home: Path) -> Store:
    return Store(home / "store")


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    signer = Signer()
    (tmp_path / "keys.pem").write_bytes(signer.public_key)
    return signer


def promotion(home: Path) -> Promotion:
    return Promotion(Tracking(Workspace(home)), Workspace(home))


def champion(home: Path, name: str) -> int:
    return Tracking(Workspace(home)).version(name).version


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refusal(*arguments: object) -> str:
    (line,) = [line for line in unroll(*arguments, check=2).stderr.splitlines() if line.startswith("error: ")]
    return line


def test_no_version_is_lost(home: Path, name: str, store: Store, exports: dict[int, Path]) -> None:
    by_hand = content(store.put(name, 5, exports[2]))
    promotion(home).promote(name, 2)
    store.root.joinpath(".withdrawn", name, "5").rename(store.root / name / "5")
    said = unroll("promote", name, 1, "--home", home).stdout.splitlines()
    kept = store.root / ".withdrawn" / name
    assert said == [
        f"{name} version 1 is now the champion: {store.path(name, 1)}",
        f"withdrawn: version 2, kept in {kept / '2'} (`unroll promote {name} 2` serves it again)",
        f"withdrawn: version 5, kept in {kept / '5'} (the registry does not have it; to serve it again, move it to "
        f"{store.root / name / '5'})",
    ]
    assert store.versions(name) == [1]
    assert content(kept / "5") == by_hand
    (kept / "5").rename(store.root / name / "5")
    document = json.loads(unroll("rollback", name, "--home", home, "--json").stdout)
    assert document == {
        "name": name,
        "version": 2,
        "alias": "champion",
        "path": str(store.path(name, 2)),
        "withdrawn": [{"version": 5, "path": str(kept / "5"), "registered": False}],
        "unsigned": False,
        "mended": "",
    }


def test_a_first_training_withdraws_nothing(home: Path, name: str, store: Store, exports: dict[int, Path]) -> None:
    registered = Tracking(Workspace(home)).version(name, 1)
    store.put(name, 5, exports[2])
    assert promotion(home).promote_first(registered) is None
    assert store.versions(name) == [5]
    store.path(name, 5).rename(home / "5")
    assert promotion(home).promote_first(registered)
    assert promotion(home).promote_first(Tracking(Workspace(home)).version(name, 2)) is None
    assert champion(home, name) == 1


def test_a_signed_version_comes_back_signed_and_is_served(
    home: Path, name: str, store: Store, signer: Signer, tmp_path: Path
) -> None:
    flags = (
        f"--model_base_path={store.root / name}",
        f"--model_name={name}",
        f"--verify_public_key={tmp_path / 'keys.pem'}",
        "--file_system_poll_wait_seconds=0.1",
    )
    signer.sign(promotion(home).promote(name, 1).path)
    server = start_model_server(*flags)
    with Client(server.address, model=name, timeout=30) as client:

        def served() -> int:
            return client.predict({"text": ["a"]}).version

        assert served() == 1
        said = unroll("promote", name, 2, "--home", home).stdout
        assert "version 2 is not signed, as others are" in said
        assert f"model_signing sign key {store.path(name, 2)} " in said
        signer.sign(store.path(name, 2))
        until(lambda: served() == 2)
        signed = content(store.path(name, 2))
        unroll("rollback", name, "--home", home)
        until(lambda: served() == 1)
        moved = promotion(home).promote(name, 2)
        assert not moved.unsigned
        assert content(moved.path) == signed
        until(lambda: served() == 2)
        unroll("rollback", name, "--home", home, "--verify-public-key", tmp_path / "keys.pem")
        until(lambda: served() == 1)
    assert server.stop() == 0, server.text
    server = start_model_server(*flags)
    assert server.port, server.text
    with Client(server.address, model=name, timeout=30) as client:
        assert client.predict({"text": ["a"]}).version == 1
    assert server.stop() == 0, server.text


def test_a_version_that_servers_would_refuse_replaces_none(
    home: Path, name: str, store: Store, signer: Signer, tmp_path: Path
) -> None:
    signer.sign(promotion(home).promote(name, 2).path)
    before = content(store.root)
    source = Tracking(Workspace(home)).saved_model(Tracking(Workspace(home)).version(name, 1))
    said = refusal("promote", name, 1, "--home", home)
    assert said.startswith(f"error: {source}: is not signed, though {store.path(name, 2)} is")
    assert f"Sign it: model_signing sign key {source} --private_key KEY --signature {source}/model.sig" in said
    assert content(store.root) == before
    assert champion(home, name) == 2

    Signer().sign(source)
    said = refusal("promote", name, 1, "--home", home, "--verify-public-key", tmp_path / "keys.pem")
    assert "servers would refuse it (its model.sig is not of a key of" in said
    signer.sign(source)
    (source / "notes").write_text("of later")
    assert "(it is not what was signed: notes was added since)" in refusal("promote", name, 1, "--home", home)
    assert content(store.root) == before
    assert champion(home, name) == 2

    (source / "notes").unlink()
    assert (promotion(home).promote(name, 1).path / "model.sig").is_file()
    (store.path(name, 1) / "model.sig").unlink()
    promotion(home).promote(name, 2)
    unroll("promote", name, 1, "--home", home, "--unsigned")
    assert store.versions(name) == [1]


KILLED = """
import os
import signal
import sys
from pathlib import Path
from unroll.pipelines.training.promotion import Promotion
from unroll.pipelines.training.tracking import Tracking
from unroll.workspace import Workspace

class Registry(Tracking):
    def point(self, *arguments):
        if sys.argv[3] == "after":
            super().point(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

home = Workspace(Path(sys.argv[1]))
Promotion(Registry(home), home).promote(sys.argv[2], 2)
"""


@pytest.mark.parametrize("when", ["before", pytest.param("after", marks=pytest.mark.slow)])
def test_killed(home: Path, name: str, store: Store, when: str) -> None:
    """Between the store and the alias, or between the alias and the end."""
    promotion(home).promote(name, 1)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(home), name, when],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == -9, done.stderr
    assert store.versions(name) == [1, 2]
    if when == "before":
        listed = unroll("models", "--home", home).stdout
        assert f"{name}: version 1 is the champion, but the store serves version 2." in listed
    said = unroll("rollback", name, "--home", home).stdout
    assert f"a command was killed while it made version 2 of {name} the champion: that is done now" in said
    assert f"{name} version 1 is the champion again" in said
    assert (champion(home, name), store.versions(name)) == (1, [1])
    assert "had no champion before version 1" in refusal("rollback", name, "--home", home)
    assert f"{name}: version" not in unroll("models", "--home", home).stdout


def test_killed_while_it_copied(home: Path, name: str, store: Store) -> None:
    promotion(home).promote(name, 1)
    note = {"registry": Workspace(home).tracking_uri, "name": name, "version": 2, "history": [1]}
    (store.root / ".promotion.json").write_text(json.dumps(note))
    (store.root / ".incoming-dead" / "2").mkdir(parents=True)
    moved = promotion(home).promote(name, 3)
    assert moved.mended == ""
    assert (champion(home, name), store.versions(name)) == (3, [1, 3])
    assert {".promotion.json", ".incoming-dead"}.isdisjoint(entry.name for entry in store.root.iterdir())
    assert promotion(home).rollback(name).registered.version == 1


def test_promotions_at_once_take_turns(home: Path, name: str, store: Store) -> None:
    with ThreadPoolExecutor(4) as threads:
        moved = list(threads.map(lambda version: promotion(home).promote(name, version), [1, 2, 3, 2]))
    assert len(moved) == 4
    assert champion(home, name) == store.versions(name)[-1]
    assert not (store.root / ".promotion.json").exists()


def test_a_failed_copy_moves_nothing(home: Path, name: str, store: Store) -> None:
    promotion(home).promote(name, 1)
    tracking = Tracking(Workspace(home))
    shutil.rmtree(tracking.saved_model(tracking.version(name, 3)) / "variables")
    (tracking.saved_model(tracking.version(name, 3)) / "variables").symlink_to("/dev/zero")
    with pytest.raises(UserError, match="nothing was put"):
        promotion(home).promote(name, 3)
    assert (champion(home, name), store.versions(name)) == (1, [1])
    assert not (store.root / ".promotion.json").exists()
