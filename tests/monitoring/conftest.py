"""A small language with topics, a model's answers, and a request log written by the official classes."""

from pathlib import Path

import numpy as np
import pytest

from unroll.monitoring import CategoricalFeature, NumericFeature, ReferenceProfile, TextFeature

TOKENIZER = {
    "lowercase": True,
    "replace": [["<[^>]*>", " "], ["([!?.,])", " \\1 "]],
    "split": "[ \\t\\n\\v\\f\\r]+",
    "vocabulary": "assets/vocabulary.txt",
}
VOCABULARY = [*"!?.,", *(f"w{i}" for i in range(2000))]
FEATURES = [TextFeature("text", TOKENIZER), NumericFeature("score"), CategoricalFeature("label")]


class Source:
    """Draws texts: Zipf's law over words, bursts within a text, two kinds of text of unlike length.

    Args:
        seed: of the generator.
        shift: rotates the ranks of the words: another topic in the same vocabulary.
        prefix: of the words; another one is another language.
        words: mean number of words of a short and a long text.
    """

    def __init__(self, seed: int, shift: int = 0, prefix: str = "w", words: tuple[int, int] = (15, 80)) -> None:
        self.rng = np.random.default_rng(seed)
        self.shift, self.prefix, self.words = shift, prefix, words
        weights = 1 / (np.arange(2400) + 3)
        self.cumulative = np.cumsum(weights) / weights.sum()

    def texts(self, n: int) -> np.ndarray:
        lengths = 1 + self.rng.poisson(self.rng.choice(self.words, n))
        texts = []
        for length in lengths:
            words = np.searchsorted(self.cumulative, self.rng.random(length))
            burst = self.rng.random(length) < 0.2
            words[burst] = words[0]
            texts.append(" ".join(f"{self.prefix}{(word + self.shift) % 2400}" for word in words) + ".")
        return np.array(texts, object)

    def outputs(self, n: int) -> dict[str, np.ndarray]:
        score = self.rng.beta(0.5, 0.5, n).astype(np.float32)
        label = np.array([b"positive" if s > 0.5 else b"negative" for s in score], object)
        return {"score": score, "label": label}

    def values(self, profile: ReferenceProfile, n: int):
        return profile.measure({"text": self.texts(n)}, self.outputs(n))


def _build_profile(source: Source, n: int) -> ReferenceProfile:
    return ReferenceProfile.build(
        FEATURES, {"text": source.texts(n)}, source.outputs(n), model="topic", vocabulary=VOCABULARY
    )


@pytest.fixture(scope="session")
def profile() -> ReferenceProfile:
    return _build_profile(Source(1), 2000)


def _write_version(version_dir: Path, profile: ReferenceProfile) -> None:
    """A version's directory as far as the monitor reads it."""
    (version_dir / "assets").mkdir(parents=True)
    (version_dir / "assets" / "vocabulary.txt").write_text("\n".join(VOCABULARY) + "\n", "utf-8")
    (version_dir / "assets.extra").mkdir()
    for name, content in profile.files().items():
        (version_dir / "assets.extra" / name).write_bytes(content)


class _LogWriter:
    """Writes a model's request log with TensorFlow's own classes."""

    def __init__(self, directory: Path, stem: str = "20261121T010203.000000Z-1") -> None:
        import tensorflow as tf

        directory.mkdir(parents=True, exist_ok=True)
        self.path = directory / f"{stem}.tfrecord"
        self._records = tf.io.TFRecordWriter(str(self.path))
        self._lines = self.path.with_suffix(".tsv").open("w", encoding="utf-8")

    def add(self, log, time_ns: int, version: int, request_id: str, method: str = "Predict") -> None:
        self._records.write(log.SerializeToString())
        self._lines.write(f"{time_ns}\t{version}\t{request_id}\t{method}\n")

    def close(self) -> None:
        self._records.close()
        self._lines.close()


def _predict_log(inputs: dict, outputs: dict):
    """An official PredictionLog."""
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    log = prediction_log_pb2.PredictionLog()
    for name, array in inputs.items():
        log.predict_log.request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
    for name, array in outputs.items():
        log.predict_log.response.outputs[name].CopyFrom(tf.make_tensor_proto(array))
    return log


@pytest.fixture(scope="session")
def source() -> type[Source]:
    return Source


@pytest.fixture(scope="session")
def build_profile():
    return _build_profile


@pytest.fixture(scope="session")
def write_version():
    return _write_version


@pytest.fixture(scope="session")
def log_writer():
    return _LogWriter


@pytest.fixture(scope="session")
def predict_log():
    return _predict_log


@pytest.fixture(scope="session")
def tokenizer():
    return TOKENIZER
