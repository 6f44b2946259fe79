"""Does live traffic still look like the data that the model was made for?"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from monitoring.drift import Comparison, compare
    from monitoring.features import (
        CategoricalFeature,
        GeneratedTextFeature,
        NumericFeature,
        TextFeature,
        VectorFeature,
    )
    from monitoring.images import ImageFeature
    from monitoring.profile import ReferenceProfile
    from monitoring.series import SeriesFeature

_HOMES = {
    "CategoricalFeature": "features",
    "Comparison": "drift",
    "GeneratedTextFeature": "features",
    "ImageFeature": "images",
    "NumericFeature": "features",
    "ReferenceProfile": "profile",
    "SeriesFeature": "series",
    "TextFeature": "features",
    "VectorFeature": "features",
    "compare": "drift",
}

__all__ = [
    "CategoricalFeature",
    "Comparison",
    "GeneratedTextFeature",
    "ImageFeature",
    "NumericFeature",
    "ReferenceProfile",
    "SeriesFeature",
    "TextFeature",
    "VectorFeature",
    "compare",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'monitoring' has no attribute {name!r}")
    return getattr(import_module(f"monitoring.{_HOMES[name]}"), name)
