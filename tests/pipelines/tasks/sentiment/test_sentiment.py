"""The exported classifier answers as the one that was trained."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import reviews
from unroll import serving
from unroll.models.text.classifier import total
from unroll.models.text.tokenizer import Tokenizer
from unroll.pipelines.data.vocabulary import vocabulary_table
from unroll.pipelines.registry import task_named
from unroll.pipelines.training.exported import Exported
from unroll.pipelines.training.progress import Progress


@pytest.mark.parametrize("cell", ["gru", "tcn"])
def test_the_export_answers_as_the_training_model(tmp_path, cell):
    kind = task_named("sentiment")
    model = {"cell": cell, "units": 8, "embedding": 8, "layers": 1, "members": 1, "bidirectional": True}
    config = kind.Config.model_validate({"model": {**model, "ngram_buckets": 64}})
    reviews(200).to_csv(tmp_path / "data.csv", index=False)
    directory = tmp_path / "prepared"
    directory.mkdir()
    kind.prepare(config, str(tmp_path / "data.csv"), directory, Progress())
    task = kind(config, directory)
    keras.utils.set_random_seed(3)
    trained = task.build()
    rng = np.random.default_rng(0)
    trained.set_weights([weight + 0.1 * rng.normal(size=weight.shape) for weight in trained.get_weights()])
    servable = task.servable(trained)
    serving.export_saved_model(
        servable.module,
        servable.signatures,
        tmp_path / "export",
        name="m",
        warmup_requests=servable.warmup,
        model=trained,
    )
    texts = np.array([text.encode() for text in [*reviews(20, seed=1).text, "", "word " * 3000, "\U0001f600"]], object)
    ids = Tokenizer(vocabulary_table(directory), config.model.max_tokens)(tf.constant(texts))
    expected = tf.nn.softmax(total(trained(ids), task._calibrate(trained))).numpy()
    answers = Exported(tmp_path / "export").predict({"text": texts})
    np.testing.assert_allclose(answers["probabilities"], expected, atol=1e-5)
    alone = [Exported(tmp_path / "export").predict({"text": texts[:1]})["probabilities"][0]]
    np.testing.assert_allclose(alone, expected[:1], atol=1e-5)
