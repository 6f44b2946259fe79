"""A classifier of texts from raw text to final answer."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from unroll.models.text.bag_of_words import BagOfWords
from unroll.models.text.classifier import paths, total
from unroll.models.text.tokenizer import PADDING, RESERVED, Tokenizer, joined, tokenize
from unroll.pipelines.task import Arrays, Servable
from unroll.pipelines.tasks.sentiment.answer import Answer
from unroll.pipelines.training.signature import in_process, signature


def text_servable(
    model: keras.Model, tokenizer: Tokenizer, answer: Answer, names: Sequence[str], description: Mapping[str, Any]
) -> Servable:
    """The signatures `serving_default`, `classify` and `describe`.

    Args:
        model: trained.
        tokenizer: of its ids.
        answer: how its paths are added up, and what to.
        names: of the classes.
        description: of the model, for clients.
    """
    labels = tf.constant(names)
    vocabulary = int(tokenizer.table.size()) + RESERVED
    simple, before = (
        BagOfWords(weights, vocabulary) if weights is not None else None for weights in (answer.simple, answer.before)
    )

    def probabilities(texts: tf.Tensor, simple: BagOfWords | None) -> tf.Tensor:
        tokens = tokenize(texts, tokenizer.max_tokens)
        ids = tokenizer.ids(tokens).to_tensor(PADDING)
        logits = total(paths(model(ids)), answer.network)  # [B, C]
        return tf.nn.softmax(logits if simple is None else logits + answer.weight * simple(ids, joined(tokens)))

    def answers(texts: tf.Tensor, simple: BagOfWords | None) -> dict[str, tf.Tensor]:
        distribution = probabilities(texts, simple)
        return {
            "label": tf.gather(labels, tf.argmax(distribution, axis=1)),
            "score": tf.reduce_max(distribution, axis=1),
            "probabilities": distribution,
        }

    def serving_default(text):
        return answers(text, simple)

    def classify(inputs):
        features = tf.io.parse_example(inputs, {"text": tf.io.FixedLenFeature([], tf.string)})
        distribution = probabilities(features["text"], simple)
        return {"classes": tf.broadcast_to(labels, tf.shape(distribution)), "scores": distribution}

    described = json.dumps({**description, "labels": list(names)})
    module = tf.Module(name="sentiment")
    module.tokenizer = tokenizer
    module.weights = [weight.value for weight in model.weights]
    module.simple = simple
    text = [tf.TensorSpec([None], tf.string, name="text")]
    signatures = {
        "serving_default": signature(serving_default, text),
        "classify": signature(classify, [tf.TensorSpec([None], tf.string, name="inputs")]),
        "describe": signature(lambda: {"json": tf.constant(described)}),
    }
    unlearnt = {"serving_default": signature(lambda text: answers(text, before), text)}
    return Servable(
        module,
        signatures,
        _warmup(),
        [answer.said] * bool(answer.said),
        in_process(unlearnt) if before is not None else None,
    )


def _warmup() -> list[tuple[str, Arrays]]:
    texts = np.array([b"a short text", b"a longer text, " * 100], object)
    examples = [
        tf.train.Example(
            features=tf.train.Features(feature={"text": tf.train.Feature(bytes_list=tf.train.BytesList(value=[one]))})
        ).SerializeToString()
        for one in texts
    ]
    return [("serving_default", {"text": texts}), ("classify", {"inputs": np.array(examples, object)})]
