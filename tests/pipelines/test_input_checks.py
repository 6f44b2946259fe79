"""What our models would misread is refused, whoever serves them: over gRPC, REST and by TensorFlow's own loader."""

import itertools
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

from tests.conftest import reviews
from tests.serving_fixtures import Server, start_server
from tests.untrained_models import export, prepared, untrained
from unroll import serving
from unroll.errors import UserError
from unroll.pipelines.training.exported import Exported
from unroll.serving.batching.parameters import BatchingParameters
from unroll.serving.batching.runner import Runner
from unroll.serving.engine.session_engine import SessionEngine
from unroll.serving.protocol.status import StatusError
from unroll.serving.server.ports import free_port
from unroll.serving.versions.store import Store

L, H = 24, 6
NOON = 1_767_441_600  # 3 January 2026
KOELN = "Köln".encode()
UNTRAINED = {
    "forecasting": {
        "data": {
            "series": "shop", "past_covariates": ["rain"], "future_covariates": ["price", "holiday"],
            "static_categories": ["kind", "town"],
        },
        "model": {"lookback": L, "horizon": H, "units": 4, "segment": 6, "members": 1},
    },
    "sentiment": {"model": {"cell": "gru", "units": 4, "embedding": 4, "layers": 1, "members": 1, "ngram_buckets": 64}},
}  # fmt: skip


def sales() -> pd.DataFrame:
    """Two shops that sell less at a higher price; columns shop, time, sold, rain, price, holiday, kind, town."""
    rng = np.random.default_rng(0)
    time = pd.date_range("2026-01-01", periods=300, freq="h")
    sold = 50 + 10 * np.sin(2 * np.pi * np.arange(300) / 24)
    prices = {shop: rng.normal(size=300) for shop in ("north", "south")}
    parts = [
        pd.DataFrame({
            "shop": shop, "time": time, "sold": sold - 5 * prices[shop] + rng.normal(size=300),
            "rain": rng.normal(size=300), "price": prices[shop], "holiday": rng.integers(0, 2, 300), "kind": kind,
            "town": "Köln",
        })
        for shop, kind in (("north", "food"), ("south", "shoes"))
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A model of each of two tasks, named as it is, with weights that say something."""
    store = Store(tmp_path_factory.mktemp("store"))
    for name, config in UNTRAINED.items():
        folder = tmp_path_factory.mktemp(name)
        task = prepared(name, sales() if name == "forecasting" else reviews(200), config, folder)
        export(task, untrained(task), folder / "1", name)
        store.put(name, 1, folder / "1")
    return store


@pytest.fixture(scope="module")
def server(store: Store) -> Iterator[Server]:
    rest_port = free_port()
    ports = ("--port", "0", "--rest_api_port", str(rest_port))
    running = start_server("-m", "unroll", "serve", *ports, "--store", str(store.root))
    running.rest_port = rest_port
    yield running
    assert running.stop() == 0, running.text


Inputs = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def engines(store: Store) -> dict[str, SessionEngine]:
    return {model: SessionEngine(store.root / model / "1") for model in UNTRAINED}


@pytest.fixture(scope="module")
def loaded(store: Store) -> Callable[[str, str, Inputs], list[np.ndarray]]:
    """Runs a signature as stock TensorFlow Serving does: its loader, its executor, and no check of what is fed."""
    calls: dict[tuple[str, str], tuple[Inputs, Callable[..., list[np.ndarray]]]] = {}
    for model in UNTRAINED:
        session = tf.compat.v1.Session(graph=tf.Graph())
        meta_graph = tf.compat.v1.saved_model.loader.load(session, ["serve"], str(store.root / model / "1"))
        served = {name: one for name, one in meta_graph.signature_def.items() if not name.startswith("__")}
        for name, definition in served.items():
            options = config_pb2.CallableOptions(
                feed=[info.name for info in definition.inputs.values()],
                fetch=[info.name for info in definition.outputs.values()],
            )
            order: Inputs = dict.fromkeys(definition.inputs, np.empty(0))
            defaults = {alias: tf.make_ndarray(default) for alias, default in definition.defaults.items()}
            call = session._make_callable_from_options(options)  # `Session.run` would look at the shapes
            calls[model, name] = order | defaults, call

    def run(model: str, signature: str, inputs: Inputs) -> list[np.ndarray]:
        given, call = calls[model, signature]
        return call(*(given | inputs).values())

    return run


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def texts(*values: Any) -> np.ndarray:
    return np.array(values, object)


def forecast(rows: int = 2, **given: np.ndarray) -> Inputs:
    return {"history": floats(rows, L, 4), **given}


def step(rows: int = 1, **given: np.ndarray) -> Inputs:
    state = {"state": floats(rows, L, 4), "state_length": np.full(rows, L, np.int32)}
    return {"values": floats(rows, 1, 4), **state, **given}


HISTORY = "[n, any, 4] (columns sold, rain, price, holiday)"
FUTURE, STATIC = f"[n, {H}, 2] (columns price, holiday)", "[n, 2] (columns kind, town)"
TIME = "Input 'timestamp': expected Unix seconds, from 2000-12-31 to 2126-01-13 for this model, received"


def shape(name: str, wanted: str, received: str) -> str:
    return f"Input '{name}': expected shape {wanted}, received {received}."


def rows(name: str, wanted: int, received: int, first: str = "history") -> str:
    return f"Input '{name}': expected as many rows as '{first}' has, {wanted}, received {received}."


SHAPES = [
    (forecast(history=floats(2, L, 2)), shape("history", HISTORY, "[n, 24, 2]")),
    (forecast(history=floats(2, L, 5)), shape("history", HISTORY, "[n, 24, 5]")),
    (forecast(history=floats(L, 4)), shape("history", HISTORY, "[n, 4]")),
    (forecast(history=floats()), shape("history", HISTORY, "[]")),
    (forecast(future=floats(2, H, 1)), shape("future", FUTURE, "[n, 6, 1]")),
    (forecast(future=floats(2, 1, 2)), shape("future", FUTURE, "[n, 1, 2]")),
    (forecast(future=floats(2, 0, 2)), shape("future", FUTURE, "[n, 0, 2]")),
    (forecast(future=floats(H, 2)), shape("future", FUTURE, "[n, 2]")),
    (forecast(future=floats(1, H, 2)), rows("future", 2, 1)),
    (forecast(timestamp=np.full(3, NOON)), rows("timestamp", 2, 3)),
    (forecast(1, timestamp=np.array(NOON)), shape("timestamp", "[n]", "[]")),
    (forecast(timestamp=np.full([2, 1], NOON)), shape("timestamp", "[n]", "[n, 1]")),
    (forecast(static=texts(b"food", b"shoes")), shape("static", STATIC, "[n]")),
    (forecast(static=texts([b"food"], [b"food"])), shape("static", STATIC, "[n, 1]")),
    (forecast(series=texts(b"north")), rows("series", 2, 1)),
]
MILLISECONDS = ". Divide milliseconds by 1000; leave the timestamp out where it is unknown."
TIMES = [
    (forecast(timestamp=np.array([NOON, NOON * 1000])), f"{TIME} 1767441600000{MILLISECONDS}"),
    (forecast(timestamp=np.full(2, NOON * 10**9)), f"{TIME} 1767441600000000000."),
    (forecast(timestamp=np.full(2, 20456)), f"{TIME} 20456."),  # days
    (forecast(timestamp=np.zeros(2, np.int64)), f"{TIME} 0."),
    (forecast(timestamp=np.full(2, -(2**62))), f"{TIME} -4611686018427387904."),
]
TOYS = "Input 'static': kind 'toys' was not in training. The model knows food, shoes; '' stands for any other."
CATEGORIES = [
    (forecast(1, static=texts([b"toys", KOELN])), TOYS),
    (forecast(2, static=texts([b"food", KOELN], [b"toys", KOELN])), TOYS),
    (forecast(1, static=texts([b"food", "köln".encode()])), "Input 'static': town 'köln' was"),
    (forecast(1, static=texts([b"food ", b""])), "Input 'static': kind 'food ' was not in training."),
    (forecast(1, static=texts([b"it's " * 9999, b""])), "Input 'static': kind 'it's it's"),
]
STEPS = [
    (step(values=floats(1, 1, 2)), shape("values", HISTORY, "[n, 1, 2]")),
    (step(state=floats(1, L - 1, 4)), shape("state", HISTORY.replace("any", "24"), "[n, 23, 4]")),
    (step(2, state=floats(1, L, 4)), rows("state", 2, 1, "values")),
    (step(state_length=np.full(1, -1, np.int32)), "Input 'state_length': expected 0 to 24, received -1."),
    (step(state_length=np.full(1, 25, np.int32)), "Input 'state_length': expected 0 to 24, received 25."),
    (step(timestamp=np.full(1, NOON * 1000)), f"{TIME} 1767441600000."),
    (step(future=floats(1, H, 1)), shape("future", FUTURE, "[n, 6, 1]")),
]
CASES = [
    *[("forecasting", "serving_default", *case) for case in SHAPES + TIMES + CATEGORIES],
    *[("forecasting", "step", *case) for case in STEPS],
    ("forecasting", "baselines", {"history": floats(2, L, 1)}, shape("history", HISTORY, "[n, 24, 1]")),
    ("sentiment", "serving_default", {"text": texts([b"good"], [b"bad"])}, shape("text", "[n]", "[n, 1]")),
    ("sentiment", "serving_default", {"text": np.array(b"good", object)}, shape("text", "[n]", "[]")),
]


@pytest.mark.parametrize(("model", "signature", "inputs", "words"), CASES)
def test_what_a_model_would_misread_is_refused_by_every_server(server, loaded, model, signature, inputs, words):
    with pytest.raises(tf.errors.InvalidArgumentError) as stock:
        loaded(model, signature, inputs)
    assert stock.value.message.replace("\\'", "'").startswith("assertion failed: [Input '")
    assert words in stock.value.message.replace("\\'", "'")
    with serving.Client(server.address, model=model) as client, pytest.raises(serving.ServingError) as refused:
        client.predict(inputs, signature)
    assert refused.value.code.name == "INVALID_ARGUMENT"
    assert words in refused.value.message
    assert refused.value.message.startswith("Input '"), "nothing of the graph"
    assert len(refused.value.message.encode()) < 512
    if not all(array.size for array in inputs.values()):
        return  # JSON cannot say of what shape nothing is
    columns = {name: array.tolist() for name, array in _as_text(_complete(signature, inputs)).items()}
    answer = server.rest("POST", f"/v1/models/{model}:predict", {"signature_name": signature, "inputs": columns})
    assert (answer.status, answer.error) == (400, refused.value.message)


def _complete(signature: str, inputs: Inputs) -> Inputs:
    """With the optional inputs of a forecaster."""
    if "text" in inputs or signature == "baselines":
        return inputs
    count = len(np.atleast_1d(inputs.get("history", inputs.get("values"))))
    optional = {"timestamp": np.full(count, NOON), "series": np.full(count, b"", object), "future": floats(count, H, 2)}
    return optional | {"static": np.full([count, 2], b"", object)} | inputs


def _as_text(inputs: Inputs) -> Inputs:
    return {
        name: np.vectorize(bytes.decode, otypes=[object])(array) if array.dtype == object else array
        for name, array in inputs.items()
    }


FINE = [
    ("forecasting", "serving_default", forecast()),
    ("forecasting", "serving_default", forecast(1, history=np.full([1, 1, 4], np.nan, np.float32))),
    ("forecasting", "serving_default", forecast(future=floats(2, H, 2), timestamp=np.full(2, NOON))),
    ("forecasting", "serving_default", forecast(static=texts([b"food", b""], [b"", KOELN]))),
    ("forecasting", "serving_default", forecast(timestamp=np.full(2, np.iinfo(np.int64).min))),
    ("forecasting", "step", step(3)),
    ("forecasting", "step", step(state=np.zeros([1, L, 4], np.float32), state_length=np.zeros(1, np.int32))),
    ("forecasting", "baselines", {"history": floats(2, 100, 4)}),
    ("sentiment", "serving_default", {"text": texts(b"good", b"")}),
]  # fmt: skip


@pytest.mark.parametrize(("model", "signature", "inputs"), FINE)
def test_what_is_left_out_stands_for_every_row(server, loaded, model, signature, inputs):
    expected = [output for output in loaded(model, signature, inputs) if output.dtype != object]
    with serving.Client(server.address, model=model) as client:
        answer = client.predict(inputs, signature)
    rows = len(next(iter(inputs.values())))
    assert {len(output) for output in answer.values()} == {rows}
    assert all(len(output) == rows for output in expected)


def test_only_who_is_at_fault_is_refused_among_many(engines, server):
    engine = engines["forecasting"]
    signature = engine.signatures["serving_default"]

    def feeds(timestamp: int, kind: bytes) -> list[np.ndarray]:
        given = forecast(1, timestamp=np.array([timestamp]), static=texts([kind, b""]), series=texts(b"a"))
        given["future"] = floats(1, H, 2)
        return [given[name] for name in signature.inputs]

    asked = [(NOON, b"food"), (NOON * 1000, b"food"), (NOON, b"shoes"), (NOON, b"toys"), (NOON, b""), (0, b"")]
    runner = Runner(engine, signature, BatchingParameters(allowed_batch_sizes=[8]))
    answers = runner.run_together([feeds(*one) for one in asked])
    at_fault = [str(answer) if isinstance(answer, StatusError) else None for answer in answers]
    assert [bool(one) for one in at_fault] == [False, True, False, True, False, True]
    assert "received 1767441600000" in at_fault[1]
    assert "kind 'toys'" in at_fault[3]
    assert "received 0." in at_fault[5]
    for one, answer in zip(asked, answers, strict=True):
        if not isinstance(answer, Exception):
            (alone,) = runner.run_together([feeds(*one)])
            np.testing.assert_allclose(answer[0], alone[0], rtol=1e-5)

    def ask(number: int) -> str | None:
        stamp = NOON * (1000 if number % 9 == 4 else 1)
        try:
            clients[number % 4].predict(forecast(1, timestamp=np.array([stamp])))
        except serving.ServingError as refused:
            return refused.message
        return None

    clients = [serving.Client(server.address, model="forecasting") for _ in range(4)]
    with ThreadPoolExecutor(16) as pool:
        said = list(pool.map(ask, range(90)))
    for client in clients:
        client.close()
    assert [number for number, one in enumerate(said) if one] == [number for number in range(90) if number % 9 == 4]
    assert all(TIME in one for one in said if one)


def test_the_typed_client_says_which_input(server):
    histories = [floats(L, 4), floats(3, 4)]
    with serving.Client(server.address, model="forecasting") as client:
        for given, words in {
            "future": (floats(2, H, 1), shape("future", FUTURE, "[n, 6, 1]")),
            "timestamp": ([NOON * 1000] * 2, f"{TIME} 1767441600000."),
            "static": ([["toys", ""]] * 2, "kind 'toys' was not in training"),
            "series": (["north"], rows("series", 2, 1)),
        }.items():
            value, said = words
            with pytest.raises(serving.ServingError, match=re.escape(said)):
                client.forecast(histories, **{given: value})
        with pytest.raises(serving.ServingError, match=re.escape(f"Input 'history': expected shape {HISTORY}")):
            client.forecast([[1.0, 2.0]])
        assert client.forecast(histories, [NOON] * 2, static=[["food", "Köln"]] * 2).forecast.shape == (2, H, 1)


def test_an_evaluation_is_told_in_a_line(store):
    exported = Exported(store.root / "forecasting" / "1")
    with pytest.raises(UserError, match=r"the model refuses the data\. Input 'timestamp': expected Unix seconds"):
        exported.predict(_complete("serving_default", forecast(1)) | {"timestamp": np.zeros(1, np.int64)})


def test_what_is_infinite_of_the_future_counts_as_missing(loaded):
    future = floats(2, H, 2)
    infinite, missing = future.copy(), future.copy()
    infinite[0, 1], missing[0, 1] = np.inf, np.nan
    one, other, known = (
        loaded("forecasting", "serving_default", forecast(future=f)) for f in (infinite, missing, future)
    )
    for output, same, different in zip(one, other, known, strict=True):
        np.testing.assert_array_equal(output, same)
        assert np.isfinite(output).all()
        assert (output != different).any()


def test_every_input_of_every_signature_is_checked(engines):
    for engine in engines.values():
        check_every_input(engine)


def check_every_input(engine: SessionEngine) -> None:
    """Sends each input with a rank too few and one too many, all else being as it should."""
    for signature in engine.signatures.values():
        for wrong, change in itertools.product(signature.inputs, (lambda shape: shape[:-1], lambda shape: [*shape, 1])):
            feeds = []
            for alias, spec in signature.inputs.items():
                sizes = [size or 1 for size in spec.shape or ()]
                sizes = change(sizes) if alias == wrong else sizes
                feeds.append(np.full(sizes, b"", object) if spec.dtype == object else np.zeros(sizes, spec.dtype))
            with pytest.raises(StatusError, match=f"^Input '{wrong}': expected shape "):
                engine.run(signature.name, feeds)
