"""Every registered layer and model comes back from a .keras file with the answers that it had."""

import importlib
import pkgutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from unroll import models
from unroll.models.autoregressive import Autoregressive, AutoregressiveConfig
from unroll.models.captioner import Captioner, CaptionerConfig
from unroll.models.encoder_decoder.network import EncoderDecoder, EncoderDecoderConfig
from unroll.models.encoder_decoder.translator import Translator, TranslatorConfig
from unroll.models.layers.attention import AdditiveAttention
from unroll.models.layers.configuration import Configured
from unroll.models.layers.encoder import encoder
from unroll.models.layers.image_encoder import Backbone, ResidualBlock, ResidualCNN
from unroll.models.layers.mingru import MinGRU, MinGRUCell
from unroll.models.layers.pooling import SequencePooling
from unroll.models.layers.recurrent import Recurrent
from unroll.models.layers.rotary import rotation
from unroll.models.layers.sequence_decoder import SequenceDecoder, SequenceDecoderConfig
from unroll.models.layers.tcn import TCN, CausalConv1D, TemporalBlock
from unroll.models.layers.transformer import Transformer, TransformerBlock
from unroll.models.own_captioner import OwnCaptioner
from unroll.models.series.forecaster import Forecaster, ForecasterConfig, ForecastPath
from unroll.models.series.quantile_forecaster import QuantileForecaster
from unroll.models.text.classifier import TextClassifier, TextClassifierConfig, TextEncoder
from unroll.models.text.ngrams import NgramEvidence

for module in pkgutil.walk_packages(models.__path__, f"{models.__name__}."):
    importlib.import_module(module.name)
REGISTERED = {
    name for name, one in keras.saving.get_custom_objects().items() if one.__module__.startswith(models.__name__)
}
rng = np.random.default_rng(0)


def normal(*shape):
    return tf.constant(rng.normal(size=shape), tf.float32)


IDS, LENGTHS = tf.constant([[3, 4, 5, 6], [7, 8, 0, 0]]), tf.constant([4, 2])
SEQUENCE = normal(2, 4, 5)
TEXT = TextClassifierConfig(
    20, 3, "lstm", 4, layers=2, members=2, embedding=5, bidirectional=True, residual=True, ngram_buckets=8,
    pooling=["last", "attention"], word_dropout=0.1, encoder_loss=0.5,
)  # fmt: skip
FORECAST = ForecasterConfig(
    4, 6, channels=2, quantiles=[0.2, 0.5], cell="tcn", units=4, members=2, segment=2, covariates=1, categories=[3]
)
CAPTIONS = CaptionerConfig(9, 16, filters=4, blocks=1, units=4, embedding=3, label_smoothing=0.1)
WINDOWS = {"history": normal(2, 6, 2), "covariates": normal(2, 10, 1), "static": tf.constant([[1], [2]])}
TRANSLATED = TranslatorConfig(9, "gru", 4, 2, embedding=3, members=2)
PICTURES = tf.constant(rng.uniform(0, 255, [2, 16, 16, 3]), tf.float32)
CAPTIONED = {"pictures": PICTURES, "ids": IDS, "rows": tf.constant([0, 1])}


def quantiles_of_windows():
    history, known = keras.Input([6, 2], name="history"), keras.Input([6, 2], name="observed")
    hidden = keras.layers.GRU(4)(keras.layers.Concatenate()([history, known]))
    return keras.Model([history, known], keras.layers.Reshape([4, 2, 2])(keras.layers.Dense(16)(hidden)))


def own_captioner():
    pictures, ids = keras.Input([16, 16, 3]), keras.Input([None], dtype="int32", name="ids")
    memory = keras.Input([4, 4, 4], name="memory")
    said = keras.layers.GRU(4, return_sequences=True)(
        keras.layers.Embedding(9, 3)(ids), initial_state=keras.layers.GlobalMaxPooling2D()(memory)
    )
    decoder = keras.Model([memory, ids], keras.layers.Dense(9)(said))
    encoder = keras.Model(pictures, keras.layers.Conv2D(4, 3, 4)(pictures))
    return OwnCaptioner(decoder, encoder, size=16, max_length=6, label_smoothing=0.1)


EXAMPLES = {
    "AdditiveAttention": (lambda: AdditiveAttention(3), (normal(2, 6), normal(2, 4, 5), normal(2, 4, 3))),
    "Autoregressive": (
        lambda: Autoregressive(AutoregressiveConfig([0, 0, 0, 0] + [1] * 16, streams=2, units=5, members=2)),
        ({"ids": IDS, "begins": tf.constant([True, True])},),
    ),
    "Backbone": (
        lambda: Backbone("MobileNetV2", 32, None),
        (tf.constant(rng.uniform(0, 255, [1, 32, 32, 3]), tf.float32),),
    ),
    "Captioner": (lambda: Captioner(CAPTIONS), (CAPTIONED,)),
    "CausalConv1D": (lambda: CausalConv1D(3, 2, 2), (SEQUENCE,)),
    "EncoderDecoder": (lambda: EncoderDecoder(EncoderDecoderConfig(9, "lstm", 4, 2, embedding=3)), (IDS, IDS[:, 1:])),
    "ForecastPath": (
        lambda: ForecastPath(FORECAST),
        (normal(4, 6), tf.ones([4, 6]), normal(2, 6, 2), normal(2, 4, 2), tf.constant([[1], [2]]), normal(4, 4)),
    ),
    "Forecaster": (lambda: Forecaster(FORECAST), (WINDOWS,)),
    "MinGRU": (lambda: MinGRU(5, return_sequences=True), (SEQUENCE,)),
    "MinGRUCell": (lambda: keras.layers.RNN(MinGRUCell(5)), (SEQUENCE,)),
    "NgramEvidence": (lambda: NgramEvidence(20, 8, 3), (IDS, LENGTHS)),
    "OwnCaptioner": (own_captioner, (CAPTIONED,)),
    "QuantileForecaster": (lambda: QuantileForecaster(quantiles_of_windows(), [0.2, 0.5]), (WINDOWS,)),
    "Recurrent": (lambda: Recurrent("gru", 5, 2, residual=True), (SEQUENCE,)),
    "ResidualBlock": (lambda: ResidualBlock(4, 2), (PICTURES,)),
    "ResidualCNN": (lambda: ResidualCNN(16, 4, 1), (PICTURES,)),
    "SequenceDecoder": (
        lambda: SequenceDecoder(SequenceDecoderConfig(20, cell="gru", units=4, layers=2, embedding=3)),
        (SEQUENCE, IDS),
    ),
    "SequenceEncoder": (lambda: encoder("lstm", 3, 2, bidirectional=True), (SEQUENCE, LENGTHS)),
    "SequencePooling": (lambda: SequencePooling(["max", "attention"]), (SEQUENCE, LENGTHS)),
    "TCN": (lambda: TCN(4, 2), (SEQUENCE,)),
    "Transformer": (lambda: Transformer(5, 2, causal=False), (SEQUENCE, LENGTHS)),
    "TransformerBlock": (lambda: TransformerBlock(5), (SEQUENCE, tf.constant(True), rotation(tf.range(4), 6))),
    "Translator": (lambda: Translator(TRANSLATED), ({"source": IDS, "target": IDS},)),
    "TemporalBlock": (lambda: TemporalBlock(4, 2, 2), (SEQUENCE,)),
    "TextClassifier": (lambda: TextClassifier(TEXT), (IDS,)),
    "TextEncoder": (lambda: TextEncoder(TEXT), (IDS, LENGTHS)),
}


@keras.saving.register_keras_serializable("tests")
class Alone(keras.Model):
    """A model that is one layer, since only models are saved."""

    def __init__(self, layer, **kwargs):
        super().__init__(**kwargs)
        self.layer = layer

    def call(self, inputs):
        return self.layer(*inputs)

    def get_config(self):
        return {"layer": keras.saving.serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config):
        return cls(keras.saving.deserialize_keras_object(config["layer"]))


def test_no_registered_layer_is_left_out():
    held = "Network"  # by every Autoregressive, which asks it for steps: it is never called
    assert {name.removeprefix("unroll>") for name in REGISTERED} == {*EXAMPLES, held}


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_reloaded_one_gives_equal_outputs(name, tmp_path):
    make, inputs = EXAMPLES[name]
    layer = make()
    model = layer if isinstance(layer, keras.Model) else Alone(layer)
    arguments = inputs if model is layer else (inputs,)
    model(*arguments)
    model.set_weights([weight + 0.1 * rng.normal(size=weight.shape) for weight in model.get_weights()])
    expected = model(*arguments)
    model.save(tmp_path / "one.keras")
    again = keras.models.load_model(tmp_path / "one.keras")
    keras.tree.map_structure(np.testing.assert_array_equal, again(*arguments), expected)
    if isinstance(layer, Configured):
        assert (again if model is layer else again.layer).config == layer.config


def test_a_captioner_comes_back_with_an_encoder_of_ones_own(tmp_path):
    pictures = keras.Input([16, 16, 3])
    own = keras.Model(pictures, keras.layers.Conv2D(4, 3, 4)(pictures))
    model = Captioner(CAPTIONS, own)
    expected = model(CAPTIONED)
    model.save(tmp_path / "one.keras")
    again = keras.models.load_model(tmp_path / "one.keras")
    assert again.encoder.count_params() == own.count_params()
    keras.tree.map_structure(np.testing.assert_array_equal, again(CAPTIONED), expected)


@pytest.mark.parametrize("name", ["Captioner", "Forecaster", "TextClassifier"])
def test_a_reloaded_model_is_trained_further(name, tmp_path):
    make, (inputs,) = EXAMPLES[name]
    targets = {"Captioner": IDS, "Forecaster": normal(2, 4, 2), "TextClassifier": tf.constant([0, 2])}[name]
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True) if name == "TextClassifier" else None
    histories = []
    model = make()
    model.compile(keras.optimizers.SGD(0.1), loss=loss, run_eagerly=True)  # to trace each would take ten times as long
    model.save(tmp_path / "one.keras")
    for one in (model, keras.models.load_model(tmp_path / "one.keras")):
        assert np.isfinite(one.evaluate(inputs, targets, verbose=0, return_dict=True)["loss"])
        histories.append(one.evaluate(inputs, targets, verbose=0, return_dict=True)["loss"])
        one.fit(inputs, targets, epochs=1, verbose=0)
    assert histories[0] == histories[1]
