"""Does live traffic still look like the data that the model was made for?"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unroll.monitoring.drift import Comparison, compare
    from unroll.monitoring.features import (
        CategoricalFeature,
        CategoricalInput,
        GeneratedTextFeature,
        NumericFeature,
        NumericInput,
        TextFeature,
        VectorFeature,
    )
    from unroll.monitoring.images import ImageFeature
    from unroll.monitoring.profile import ReferenceProfile
    from unroll.monitoring.series import SeriesFeature

_HOMES = {
    "CategoricalFeature": "features",
    "CategoricalInput": "features",
    "Comparison": "drift",
    "GeneratedTextFeature": "features",
    "ImageFeature": "images",
    "NumericFeature": "features",
    "NumericInput": "features",
    "ReferenceProfile": "profile",
    "SeriesFeature": "series",
    "TextFeature": "features",
    "VectorFeature": "features",
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
