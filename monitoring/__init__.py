"""Does live traffic still look like the data that the model was made for?"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unroll.monitoring.drift import Comparison, compare
    from unroll.monitoring.features.images import ImageFeature
    from unroll.monitoring.features.series import SeriesFeature
    from unroll.monitoring.features.texts import GeneratedTextFeature, TextFeature
    from unroll.monitoring.features.values import (
        CategoricalFeature,
        CategoricalInput,
        NumericFeature,
        NumericInput,
        VectorFeature,
    )
    from unroll.monitoring.profile import ReferenceProfile

_HOMES = {
    "CategoricalFeature": "features.values",
    "CategoricalInput": "features.values",
    "Comparison": "drift",
    "GeneratedTextFeature": "features.texts",
    "ImageFeature": "features.images",
    "NumericFeature": "features.values",
    "NumericInput": "features.values",
    "ReferenceProfile": "profile",
    "SeriesFeature": "features.series",
    "TextFeature": "features.texts",
    "VectorFeature": "features.values",
    "compare": "drift",
}

__all__ = [
    "CategoricalFeature",
    "CategoricalInput",
    "Comparison",
    "GeneratedTextFeature",
    "ImageFeature",
    "NumericFeature",
    "NumericInput",
    "ReferenceProfile",
    "SeriesFeature",
    "TextFeature",
    "VectorFeature",
    "compare",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'unroll.monitoring' has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
