"""What is not a file where a server looks for one: it is told, and nobody waits."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.serving_fixtures import Server, until
from unroll.errors import UserError
from unroll.serving.client.client import Client
from unroll.serving.engine.load_error import LoadError
from unroll.serving.files import regular_files
from unroll.serving.versions.loaded_version import LoadParameters, load
from unroll.serving.versions.model_config import read_model_config_file
from unroll.serving.versions.store import Store

pytestmark = pytest.mark.timeout(120)  # who waits for a FIFO waits for good


def fifo_in_place_of(file: Path) -> None:
    file.unlink(missing_ok=True)
    os.mkfifo(file)


FILES = [
    "saved_model.pb",
    "variables/variables.index",
    "assets.extra/tf_serving_warmup_requests",
    "batching_params.pbtxt",
]


@pytest.mark.parametrize("name", FILES)
def test_a_version_with_a_fifo_is_refused_at_once(tmp_path: Path, light_exports: dict[int, Path], name: str) -> None:
    version = Path(shutil.copytree(light_exports[1], tmp_path / "1"))
    (version / name).parent.mkdir(exist_ok=True)
    fifo_in_place_of(version / name)
    with pytest.raises(LoadError, match=f"{name}: it is a FIFO, not a file"):
        load(version, LoadParameters(per_model_batching=True))


def test_a_fifo_behind_a_link_is_found_and_a_link_up_the_tree_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "1" / "deep").mkdir(parents=True)
    (tmp_path / "1" / "deep" / "up").symlink_to("..")
    (tmp_path / "1" / "nowhere").symlink_to("none")
    regular_files.check_tree(tmp_path / "1")
    (tmp_path / "outside").mkdir()
    os.mkfifo(tmp_path / "outside" / "pipe")
    (tmp_path / "1" / "variables").symlink_to("../outside")
    with pytest.raises(OSError, match="it is a FIFO") as refused:
        regular_files.check_tree(tmp_path / "1")
    assert refused.value.filename == str(tmp_path / "1" / "variables" / "pipe")


def test_nothing_but_files_is_put_in_the_store(tmp_path: Path, light_exports: dict[int, Path]) -> None:
    source = Path(shutil.copytree(light_exports[1], tmp_path / "source"))
    os.mkfifo(source / "pipe")
    store = Store(tmp_path / "store")
    for put in (store.put, store.serve):
        with pytest.raises(UserError, match=f"{source}/pipe: it is a FIFO, not a file. Remove it; nothing was put"):
            put("m", 1, source)
    assert store.models() == []


def test_a_server_goes_past_a_version_with_a_fifo(
    server: Server, store: Store, exports: dict[int, Path], tmp_path: Path
) -> None:
    store.put("special", 1, exports[1])
    damaged = Path(shutil.copytree(exports[1], tmp_path / "2"))
    fifo_in_place_of(damaged / "saved_model.pb")
    with Client(server.address, model="special", timeout=30) as client:
        client.wait_until_ready()
        damaged.rename(store.root / "special" / "2")
        until(lambda: client.status().get(2) == "END")
        assert client.predict({"text": ["good"]}).version == 1
        store.put("special", 3, exports[2])
        until(lambda: client.status().get(3) == "AVAILABLE")
    until(lambda: "saved_model.pb: it is a FIFO, not a file" in server.text)


def a_socket(path: Path) -> None:
    import socket

    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (os.mkfifo, "it is a FIFO, not a file"),
        (a_socket, "No such device or address"),
        (lambda path: path.symlink_to("/dev/zero"), "it is a device, not a file"),
        (lambda path: path.symlink_to("/dev/tty"), "it is a device, not a file|No such device or address"),
        (lambda path: path.mkdir(), "it is a folder"),
    ],
    ids=["FIFO", "socket", "zero", "terminal", "folder"],
)
def test_a_configuration_that_is_no_file_is_refused(tmp_path: Path, make: Callable[[Path], None], said: str) -> None:
    file = tmp_path / "models.config"
    make(file)
    with pytest.raises(UserError, match=rf"--model_config_file {file}: cannot be read \(({said})\)"):
        read_model_config_file(file)


def test_a_start_with_a_fifo_for_a_configuration_ends_in_one_line(tmp_path: Path, start: Callable[..., Server]) -> None:
    os.mkfifo(tmp_path / "models.config")
    server = start("-m", "unroll.serving.server", "--port=0", f"--model_config_file={tmp_path / 'models.config'}")
    assert server.process.wait(60) == 2
    until(lambda: "cannot be read (it is a FIFO, not a file)" in server.text)
    assert "Traceback" not in server.text
