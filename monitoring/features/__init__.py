"""How a value per record is derived from a request's inputs and outputs.

A feature is plain data: it is written into the reference profile and read back by the monitor, so the same
code summarises the held-out data and the live traffic.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, get_args

from unroll.monitoring.features.images import ImageFeature
from unroll.monitoring.features.series import SeriesFeature
from unroll.monitoring.features.sources import Values
from unroll.monitoring.features.texts import GeneratedTextFeature, TextFeature
from unroll.monitoring.features.values import (
    CategoricalFeature,
    CategoricalInput,
    NumericFeature,
    NumericInput,
    VectorFeature,
)

__all__ = ["Feature", "Values", "from_json", "to_json"]

Feature = (
    TextFeature
    | GeneratedTextFeature
    | NumericFeature
    | CategoricalFeature
    | VectorFeature
    | NumericInput
    | CategoricalInput
    | SeriesFeature
    | ImageFeature
)

_KINDS: dict[str, type[Feature]] = {kind.kind: kind for kind in get_args(Feature)}


def to_json(feature: Feature) -> dict[str, Any]:
    """The feature as plain data: `{"kind": ..., <its arguments>}`."""
    return {"kind": feature.kind, **asdict(feature)}


def from_json(data: Mapping[str, Any]) -> Feature:
    """The feature that `to_json` described.

    Raises:
        KeyError: for a kind that this version of the package does not know.
    """
    arguments: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in data.items()}
    return _KINDS[arguments.pop("kind")](**arguments)
