"""The signatures of an exported captioner."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from unroll.models.checks import checked
from unroll.models.decoding import sample
from unroll.models.image import read_pictures
from unroll.models.principal import PrincipalComponents
from unroll.models.tokens import END, PADDING, SPECIAL_IDS, START, Detokenizer
from unroll.pipelines.task import Servable
from unroll.pipelines.tasks.captioning.answering.retrieval import Chosen
from unroll.pipelines.training.signature import signature

Tensors = dict[str, tf.Tensor]


def caption_signatures(
    chosen: Chosen,
    vocabulary: Sequence[str],
    components: PrincipalComponents,
    *,
    max_pixels: int,
    description: Mapping[str, Any],
    warmup: np.ndarray,
) -> Servable:
    """What a captioner is served by.

    - `serving_default`: `image` string `[B]`, encoded JPEG or PNG, to `caption` string `[B]`, `log_probability` float32
      `[B]`, the other candidates as `alternatives` string `[B, K]` and `alternative_log_probabilities` `[B, K]`,
      and `embedding` float32 `[B, 8]`, where the picture lies among those of the training (see `PrincipalComponents`).
    - `attention`, for a model that has it: `image` to `caption`, its `tokens` string `[B, T]`, empty after the end, and
      `maps` float32 `[B, T, g, g]`, what was looked at for each.
    - `sample`: `image` to one drawn `caption` and its `log_probability`. Optional: `temperature` float32 `[B]`, `top_k`
      int32 `[B]`, `top_p` float32 `[B]` and `seed` int64 `[B]`.
    - `describe`: a `json` string that says what the model takes.

    Args:
        chosen: how captions are answered.
        vocabulary: its tokens.
        components: of the training pictures.
        max_pixels: of a picture; larger ones are refused before they are decoded.
        description: what `describe` says.
        warmup: encoded pictures.
    """
    text, answer, model = Detokenizer(vocabulary), chosen.answer, chosen.answer.search.model

    def read(image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        pixels = read_pictures(image, model.size, max_pixels)
        return pixels, model.encode(tf.cast(pixels, tf.float32))  # [B, G, F] of ours

    def serving_default(image: tf.Tensor) -> Tensors:
        pixels, grid = read(image)
        ids, log_probability = answer(pixels, grid)
        captions = text(ids)  # [B, beams]
        return {
            "caption": captions[:, 0],
            "log_probability": log_probability[:, 0],
            "alternatives": captions[:, 1:],
            "alternative_log_probabilities": log_probability[:, 1:],
            "embedding": components(model.pooled(grid)),
        }

    def attention(image: tf.Tensor) -> Tensors:
        pixels, grid = read(image)
        ids = answer(pixels, grid).ids[:, 0]  # [B, T]
        _, weights = model.decoder(grid, tf.pad(ids[:, :-1], [[0, 0], [1, 0]], constant_values=START))  # [B, T, G]
        side = round(np.sqrt(grid.shape[1]))
        maps = tf.reshape(weights, [tf.shape(ids)[0], -1, side, side])
        said = (ids != END) & (ids != PADDING)
        return {"caption": text(ids), "tokens": tf.where(said, text.tokens(ids), ""), "maps": maps}

    def draw(image: tf.Tensor, temperature: tf.Tensor, top_k: tf.Tensor, top_p: tf.Tensor, seed: tf.Tensor) -> Tensors:
        temperature, top_k, top_p, seed = (
            tf.broadcast_to(one, tf.shape(image)) for one in (temperature, top_k, top_p, seed)
        )
        wrong = tf.math.is_nan(temperature) | tf.math.is_nan(top_p)
        said = "Inputs 'temperature' and 'top_p': expected numbers, received NaN."
        image = checked(image, ~tf.reduce_any(wrong), lambda: tf.constant(said))
        memory, state = model.start(read(image)[1])
        ids, log_probability = sample(
            model.step,
            state,
            memory,
            tf.fill([tf.shape(image)[0], 1], START),
            answer.search.max_length,
            SPECIAL_IDS,
            seed=seed,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
        )
        return {"caption": text(ids), "log_probability": log_probability}

    described = {**description, "retrieval": chosen.described}
    image = tf.TensorSpec([None], tf.string, name="image")
    settings = {
        "temperature": tf.constant([1.0]),
        "top_k": tf.constant([0]),
        "top_p": tf.constant([1.0]),
        "seed": tf.constant([0], tf.int64),
    }
    signatures = {
        "serving_default": signature(serving_default, [image]),
        "sample": signature(lambda image, **given: draw(image, **{**settings, **given}), [image], settings),
        "describe": signature(lambda: {"json": tf.constant(json.dumps(described))}),
    }
    if description["attention"]:
        signatures["attention"] = signature(attention, [image])
    module = tf.Module(name="captioning")
    module.weights = [weight.value for weight in model.weights]
    module.text, module.components = text, components
    module.recall = answer.recall
    return Servable(module, signatures, [("serving_default", {"image": warmup})], [chosen.said])
