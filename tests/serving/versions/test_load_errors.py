"""Every version that does not load: what is wrong with it, and what to do about just that."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.serving_fixtures import ROOT, start_model_server
from unroll.serving.engine.load_error import LoadError
from unroll.serving.engine.tensorflow_runtime import saved_model_pb2
from unroll.serving.protocol.model_spec import PREDICT
from unroll.serving.versions import warmup
from unroll.serving.versions.loaded_version import LoadParameters, load

COPY = "Copy the version there again, whole, or export it again"
INDEX, DATA = "variables/variables.index", "variables/variables.data-00000-of-00001"


def without(file: str) -> Callable[[Path], None]:
    return lambda version: (version / file).unlink()


def cut(file: str, size: int) -> Callable[[Path], None]:
    return lambda version: os.truncate(version / file, size)


def garbled(file: str) -> Callable[[Path], None]:
    def garble(version: Path) -> None:
        content = bytearray((version / file).read_bytes())
        content[len(content) // 2] ^= 0xFF
        (version / file).write_bytes(content)

    return garble


def another_op(version: Path) -> None:
    saved_model = saved_model_pb2.SavedModel.FromString((version / "saved_model.pb").read_bytes())
    functions = saved_model.meta_graphs[0].graph_def.library.function
    next(node for function in functions for node in function.node_def if node.op == "Fill").op = "OpOfSomebody"
    (version / "saved_model.pb").write_bytes(saved_model.SerializeToString())


def bad_warmup(version: Path) -> None:
    methods, request = {"serving_default": PREDICT}, ("serving_default", {"text": [1.0]})
    warmup.write(version / "assets.extra" / warmup.FILE, "m", methods, [request])


def refusal(version: Path, **parameters: Any) -> LoadError:
    with pytest.raises(LoadError) as refused:
        load(version, LoadParameters(**parameters))
    return refused.value


@pytest.mark.parametrize(
    ("damage", "problem", "remedy"),
    [
        (without("saved_model.pb"), "SavedModel file does not exist at", COPY),
        (cut("saved_model.pb", 0), "saved_model.pb is empty", COPY),
        (cut("saved_model.pb", 900), "Cannot parse file '.*/saved_model.pb'", COPY),
        (lambda one: shutil.rmtree(one / "variables"), "variables/variables.index is missing", COPY),
        (without(INDEX), "variables/variables.index is missing", COPY),
        (without(DATA), "variables.data-00000-of-00001; No such file or directory", COPY),
        (cut(INDEX, 50), "sstable", COPY),
        (cut(DATA, 1), "Read less bytes than requested|corrupt|out of range", COPY),
        (garbled(DATA), "Checksum does not match", COPY),
        (
            another_op,
            "this TensorFlow does not have the op 'OpOfSomebody'",
            "Export it without that op, or serve it by a",
        ),
        (bad_warmup, "warmup record 0: ", "Export it again, or start the server with --enable_model_warmup=false"),
    ],
)
def test_the_remedy_is_of_the_cause(
    light_exports: dict[int, Path], tmp_path: Path, damage: Callable[[Path], None], problem: str, remedy: str
) -> None:
    version = Path(shutil.copytree(light_exports[1], tmp_path / "1"))
    damage(version)
    refused = refusal(version)
    assert re.search(problem, str(refused))
    assert refused.remedy.startswith(remedy)


def test_tags_that_no_graph_has(light_exports: dict[int, Path]) -> None:
    refused = refusal(light_exports[1], tags=("serve", "gpu"))
    assert str(refused) == "no MetaGraphDef has the tags ['gpu', 'serve']. Available: ['serve']"
    assert "--saved_model_tags=serve" in refused.remedy


def test_an_op_of_another_device(tmp_path: Path) -> None:
    import tensorflow as tf

    class OfAGpu(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, None, 4], tf.float32, "x")])
        def run(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
            zeros = tf.zeros([1, 1, 4])
            return {"y": tf.raw_ops.CudnnRNN(input=x, input_h=zeros, input_c=zeros, params=tf.zeros([99])).output}

    module = OfAGpu()
    tf.saved_model.save(module, str(tmp_path / "1"), signatures={"serving_default": module.run})
    file = tmp_path / "1" / "assets.extra" / warmup.FILE
    file.parent.mkdir()
    request = ("serving_default", {"x": np.zeros((1, 1, 4), np.float32)})
    warmup.write(file, "m", {"serving_default": PREDICT}, [request])
    refused = refusal(tmp_path / "1")
    assert "No OpKernel was registered to support Op 'CudnnRNN'" in str(refused)
    assert "use_cudnn=False" in refused.remedy


UNREADABLE = """
import os
import sys
from pathlib import Path
from unroll.serving.versions.loaded_version import LoadParameters, load
try:
    if not os.getuid():
        os.setuid(65534)  # root reads everything
    load(Path(sys.argv[1]), LoadParameters())
except Exception as error:
    print(error, error.remedy, sep="\\n")
"""


def test_a_file_that_the_server_may_not_read(light_exports: dict[int, Path], tmp_path: Path) -> None:
    version = Path(shutil.copytree(light_exports[1], tmp_path / "1"))
    (version / "saved_model.pb").chmod(0)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", UNREADABLE, str(version)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    problem, remedy = done.stdout.splitlines()
    assert "Permission denied" in problem
    assert remedy == "Let the user that runs the server read it"


def test_a_start_that_fails_tells_why_once(light_exports: dict[int, Path], tmp_path: Path) -> None:
    from tests.serving.signing import Signer

    (tmp_path / "keys.pem").write_bytes(Signer().public_key)
    version = Path(shutil.copytree(light_exports[1], tmp_path / "m" / "1"))
    server = start_model_server(
        f"--model_base_path={tmp_path / 'm'}", "--model_name=m", f"--verify_public_key={tmp_path / 'keys.pem'}"
    )
    assert server.process.wait(60) == 2
    assert [line for line in server.output if "it is not signed" in line] == [
        f"error: {version}: cannot be loaded (it is not signed: it has no model.sig, and --verify_public_key asks for "
        f"one). Sign it: model_signing sign key {version} --private_key KEY --signature {version}/model.sig.\n"
    ]
