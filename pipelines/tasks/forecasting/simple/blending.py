"""The blend of a trained network and simple forecasts."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from unroll.models.series.baselines import last_value, seasonal_naive
from unroll.models.series.blend import NETWORK, SIMPLE, Blend, Expert
from unroll.models.series.quantile_model import QuantileModel, ensemble
from unroll.models.series.simple_path import SimplePath
from unroll.pipelines.tasks.forecasting.simple.shares import HeldOut, Shares
from unroll.pipelines.tasks.forecasting.windows.feed import Feed
from unroll.pipelines.training.batch_blocks import block

_BATCH = 256
_MAX_WINDOWS = 20_000


def simple_experts(path: SimplePath, season: int, horizon: int) -> dict[str, Expert]:
    """The simple forecasts that may stand in for the network, the best of them first.

    Args:
        path: fitted.
        season: steps.
        horizon: steps.
    """
    return {
        SIMPLE: path,
        "seasonal_naive": lambda inputs: seasonal_naive(inputs["history"], horizon, season),
        "last_value": lambda inputs: last_value(inputs["history"], horizon),
    }


def fit_blend(
    model: QuantileModel, experts: Mapping[str, Expert], feed: Feed, part: tuple[float, float] = (0.0, 1.0)
) -> tuple[Blend, Shares | None]:
    """Mixes a trained network with simple forecasts as the validation split has it.

    Args:
        model: trained.
        experts: the simple forecasts, the best of them first; without any, the network answers alone.
        feed: of its windows.
        part: of the split that is looked at, from one share of its windows to another.

    Returns:
        The blend, and how its shares came about; None for the network alone.
    """
    if not experts:
        return Blend(model), None
    held_out = HeldOut(feed.features.horizon, next(iter(experts)))
    everyone = Blend(model, experts, dict.fromkeys(experts, 1.0))
    simple = tf.function(everyone.simple, autograph=False)
    for window in _windows(feed, part):
        inputs, target = feed.pair(window)
        network, _ = ensemble(model.predict_on_batch(inputs))
        forecasts = {name: one.numpy() for name, one in {**simple(inputs), NETWORK: network}.items()}
        held_out.add(forecasts, target.numpy(), feed.steps(window), window["series"].numpy())
    shares = held_out.shares()
    return Blend(model, experts, shares.shares), shares


def blend_losses(
    model: QuantileModel, experts: Mapping[str, Expert], feed: Feed, parts: Sequence[tuple[float, float]]
) -> list[float]:
    """The loss of `QuantileModel` that a network and simple forecasts together have on parts of the validation split.

    Args:
        model, experts, feed: as of `fit_blend`.
        parts: by the first of which the two are mixed; those without a window are left out.
    """
    blend, _ = fit_blend(model, experts, feed, parts[0])

    @tf.function(autograph=False, reduce_retracing=True)
    def loss_of(inputs: Mapping[str, tf.Tensor], target: tf.Tensor) -> tf.Tensor:
        forecast, quantiles = blend(inputs)
        return model.compute_loss(None, target, {"forecast": forecast[:, None], "quantiles": quantiles[:, None]})

    found = []
    for part in parts:
        batches = [(float(loss_of(*feed.pair(window))), len(window["series"])) for window in _windows(feed, part)]
        if batches:
            losses, rows = zip(*batches, strict=True)
            found.append(float(np.average(losses, weights=rows)))
    return found


def _windows(feed: Feed, part: tuple[float, float]) -> tf.data.Dataset:
    batches = feed.aligned("validation", _BATCH, stride=feed.stride("validation", _MAX_WINDOWS))
    return block(batches, *part, in_order=True)


def network_gain(shares: Shares) -> float:
    """What the network takes off the error of the answer, as a share; 0 or less where it gets no part in it.

    Example:
        >>> network_gain(Shares({"simple": 0.7, "network": 0.3}, 8, 0.02))
        0.02
        >>> network_gain(Shares({"simple": 1.0}, 8, 0.0, {"simple": 1.0, "network": 1.25}))
        -0.25
        >>> network_gain(Shares({"simple": 1.0}, 1, 0.0))  # it never will
        -inf
    """
    return shares.gain if NETWORK in shares.shares else min(0.0, 1 - shares.alone.get(NETWORK, math.inf))


def shares_said(shares: Shares) -> str:
    """A line on it.

    Example:
        >>> shares_said(Shares({"simple": 0.7, "network": 0.3}, 8, 0.02))
        'The forecast is simple 70 %, network 30 %: 2.0 % less error than simple alone, on 8 held-out blocks.'
        >>> shares_said(Shares({"simple": 1.0}, 8, 0.0))
        'The forecast is simple alone: on 8 held-out blocks nothing was better beyond chance.'
    """
    first = next(iter(shares.shares))
    if len(shares.shares) == 1:
        return f"The forecast is {first} alone: on {shares.blocks} held-out blocks nothing was better beyond chance."
    mixed = ", ".join(f"{name} {share:.0%}".replace("%", " %") for name, share in shares.shares.items())
    return (
        f"The forecast is {mixed}: {100 * shares.gain:.1f} % less error than {first} alone, on {shares.blocks} "
        "held-out blocks."
    )
