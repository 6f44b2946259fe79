"""A running server that meets a version which breaks while it is loaded."""

import shutil
from pathlib import Path

from tests.serving_fixtures import Server, until
from unroll.serving.client.client import Client
from unroll.serving.versions.store import Store
from unroll.serving.versions.warmup import FILE


def test_the_server_follows_the_store_past_a_version_with_a_broken_warmup(
    server: Server, store: Store, exports: dict[int, Path], tmp_path: Path
) -> None:
    import tensorflow as tf

    damaged = tmp_path / "damaged"
    shutil.copytree(exports[1], damaged)
    with tf.io.TFRecordWriter(str(damaged / "assets.extra" / FILE)) as writer:
        writer.write(b"\xff no message")

    store.put("broken-warmup", 1, exports[1])
    with Client(server.address, model="broken-warmup", timeout=30) as client:
        client.wait_until_ready()
        store.put("broken-warmup", 2, damaged)
        until(lambda: client.status().get(2) == "END")
        assert client.predict({"text": ["good"]}).version == 1

        store.put("broken-warmup", 3, exports[2])
        until(lambda: client.status().get(3) == "AVAILABLE")
        assert client.predict({"text": ["good"]}).version == 3

    path = str(store.root / "broken-warmup" / "2")
    said = [line for line in server.output if path in line and " ERROR " in line]
    assert len(said) == 1, "".join(server.output)
    assert "cannot be loaded (warmup record 0: " in said[0]
    assert "Export it again, or start the server with --enable_model_warmup=false." in said[0]
