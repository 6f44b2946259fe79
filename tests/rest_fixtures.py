"""The REST endpoint over real models, on a real socket, in a thread of the tests' process."""

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import rest_client
from unroll.serving.front.dispatcher import Dispatcher
from unroll.serving.front.metrics import Metrics
from unroll.serving.protocol.call import Call
from unroll.serving.rest import RestApplication, RestParameters, RestServer
from unroll.serving.services.model_service import ModelService
from unroll.serving.services.prediction_service import PredictionService
from unroll.serving.versions.loaded_version import LoadParameters
from unroll.serving.versions.model_config import store_models
from unroll.serving.versions.served_model import VersionParameters
from unroll.serving.versions.served_models import ServedModels
from unroll.serving.versions.store import Store

DEFAULTS = RestParameters()


class Rest:
    """A REST server over the models of a store.

    Args:
        store: what to serve; `poll` follows it.
        parameters: of the endpoint.
        tls: for HTTPS.
    """

    def __init__(self, store: Store, parameters: RestParameters = DEFAULTS, tls: ssl.SSLContext | None = None) -> None:
        self.metrics = Metrics()
        self.asked: list[Call] = []
        self.port = 0
        self._store = store
        self._parameters = parameters
        self._tls = tls
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.run(self._start())

    def run(self, coroutine: Any, seconds: float = 60) -> Any:
        """Runs a coroutine in the server's loop."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(seconds)

    def poll(self) -> None:
        self.run(self.versions.poll())

    def stop(self, drain_seconds: float = 5) -> None:
        self.run(self._stop(drain_seconds))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def ask(self, verb: str, path: str, body: Any = None, **headers: str) -> rest_client.Reply:
        """Sends a request; what is not bytes goes as JSON. Underscores in header names stand for dashes."""
        return rest_client.ask(self.port, verb, path, body, **headers)

    def predict(self, body: Any, model: str = "types", **headers: str) -> rest_client.Reply:
        return self.ask("POST", f"/v1/models/{model}:predict", body, **headers)

    async def _start(self) -> None:
        async def ignore(_name: str, _serving: bool) -> None:
            pass

        self.versions = ServedModels(
            store_models(self._store), LoadParameters(), VersionParameters(), ignore, self.metrics
        )
        await self.versions.poll()
        methods = {**PredictionService(self.versions).methods(), **ModelService(self.versions).methods()}
        dispatcher = Dispatcher({path: self._seen(method) for path, method in methods.items()}, metrics=self.metrics)
        application = RestApplication(dispatcher, lambda: self.versions.serving, self.metrics, self._parameters)
        self.server = RestServer(application, port=0, tls=self._tls, limits=self._parameters.connections)
        self.port = await self.server.start()

    def _seen(self, method: Any) -> Any:
        async def answer(message: bytes, call: Call) -> bytes:
            self.asked.append(call)
            return await method(message, call)

        return answer

    async def _stop(self, drain_seconds: float) -> None:
        await self.server.stop(drain_seconds)
        await self.versions.close()


def export_types(directory: Path) -> Path:
    """Signatures that echo each type, and those whose answers REST cannot write."""
    import tensorflow as tf

    from unroll.serving.export import export_saved_model

    types = {
        "f": tf.float32, "d": tf.float64, "i8": tf.int8, "i16": tf.int16, "i32": tf.int32, "i64": tf.int64,
        "u8": tf.uint8, "u32": tf.uint32, "u64": tf.uint64, "b": tf.bool, "s": tf.string,
    }  # fmt: skip

    def spec(dtype: Any, name: str, *shape: int | None) -> Any:
        return tf.TensorSpec(shape, dtype, name)

    class Types(tf.Module):
        @tf.function(input_signature=[spec(tf.float32, "x", None, 2)])
        def halves(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"y": x / 2}

        @tf.function(input_signature=[spec(dtype, name, None) for name, dtype in types.items()])
        def echo(self, f, d, i8, i16, i32, i64, u8, u32, u64, b, s):
            sent = (f, d, i8, i16, i32, i64, u8, u32, u64, b, s)
            return {name: tf.identity(tensor) for name, tensor in zip(types, sent, strict=True)}

        @tf.function(input_signature=[spec(tf.float32, "x")])
        def scalar(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"twice": x * 2}

        @tf.function(input_signature=[spec(tf.string, "data", None)])
        def raw(self, data: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"data": tf.identity(data), "data_bytes": tf.identity(data)}

        @tf.function(input_signature=[spec(tf.float32, "x", None)])
        def uneven(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"a": tf.identity(x), "b": tf.concat([x, x], 0)}

        @tf.function(input_signature=[spec(tf.float16, "x", None)])
        def half(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"x": tf.cast(x, tf.float32)}

        @tf.function(input_signature=[spec(tf.float32, "x", None)])
        def to_half(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"x": tf.cast(x, tf.float16)}

        @tf.function(input_signature=[spec(tf.string, "inputs", None)])
        def regress(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
            x = tf.io.parse_example(inputs, {"x": tf.io.FixedLenFeature([], tf.float32)})["x"]
            return {"outputs": x * 0.5 + 2}

        @tf.function(input_signature=[spec(tf.string, "inputs", None)])
        def classify(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
            names = {"name": tf.io.FixedLenFeature([], tf.string), "n": tf.io.FixedLenFeature([], tf.int64, 0)}
            parsed = tf.io.parse_example(inputs, names)
            n = tf.cast(parsed["n"], tf.float32)
            return {"classes": tf.stack([parsed["name"], parsed["name"]], 1), "scores": tf.stack([n, -n / 3], 1)}

    module = Types()
    return export_saved_model(
        module,
        {
            "serving_default": module.halves,
            **{
                name: getattr(module, name)
                for name in ("echo", "scalar", "raw", "uneven", "half", "to_half", "regress", "classify")
            },
        },
        directory,
        name="types",
        warmup_requests=[],
    )


def export_refusing(directory: Path) -> Path:
    """A model with two ways to refuse numbers of 100 and more, and one to refuse texts."""
    import tensorflow as tf

    from unroll.serving.export import export_saved_model

    class Refusing(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32, "x")])
        def compared(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
            with tf.control_dependencies([tf.debugging.assert_less(x, 100.0, message="x too big")]):
                return {"y": tf.identity(x)}

        @tf.function(input_signature=[tf.TensorSpec([None, None], tf.float32, "x")])
        def told(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
            fits = tf.reduce_all(x < 100)
            with tf.control_dependencies([tf.debugging.Assert(fits, ["a number in [0, 100) is wanted"])]):
                return {"y": tf.identity(x)}

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "text")])
        def number(self, text: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"y": tf.strings.to_number(text)}

    module = Refusing()
    signatures = {"serving_default": module.compared, "told": module.told, "number": module.number}
    return export_saved_model(module, signatures, directory, name="refusing", warmup_requests=[])


def export_parsing(directory: Path) -> Path:
    """A model whose one signature takes serialized tf.Examples with the feature `x`."""
    import tensorflow as tf

    from unroll.serving.export import export_saved_model

    class Parsing(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
        def serve(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"y": tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature([], tf.float32)})["x"]}

    module = Parsing()
    return export_saved_model(module, {"serving_default": module.serve}, directory, name="parsing", warmup_requests=[])


def export_one_input(directory: Path, name: str, dtype: str) -> Path:
    """A model whose one input has this name and type."""
    import tensorflow as tf

    from unroll.serving.export import export_saved_model

    class One(tf.Module):
        pass

    module = One()
    module.serve = tf.function(
        lambda tensor: {"out": tensor + tensor}, input_signature=[tf.TensorSpec([None], tf.as_dtype(dtype), name)]
    )
    return export_saved_model(module, {"serving_default": module.serve}, directory, name="swap", warmup_requests=[])


@pytest.fixture(scope="session")
def rest_store(exports: dict[int, Path], tmp_path_factory: pytest.TempPathFactory) -> Store:
    folder = tmp_path_factory.mktemp("rest")
    store = Store(folder / "store")
    store.put("sample", 1, exports[1])
    store.put("types", 3, export_types(folder / "types"))
    return store


@pytest.fixture(scope="session")
def rest(rest_store: Store) -> Iterator[Rest]:
    """One REST server for all."""
    running = Rest(rest_store)
    yield running
    running.stop()


@pytest.fixture
def start_rest(rest_store: Store) -> Iterator[Callable[..., Rest]]:
    """REST servers of other parameters, that end with the test."""
    running: list[Rest] = []

    def starting(*parameters: Any, store: Store = rest_store, tls: Any = None) -> Rest:
        running.append(Rest(store, *parameters, tls=tls))
        return running[-1]

    yield starting
    for one in running:
        one.stop()
