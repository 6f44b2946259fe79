"""Inputs by name, for a model that may want only some of them."""

from collections.abc import Mapping
from typing import Any

import keras


def by_name(model: keras.Model, offered: Mapping[str, Any]) -> Any:
    """What a model takes of what is offered, in the structure that it takes.

    Args:
        model: a functional or sequential one takes the inputs that its own are named after; one without declared inputs
            takes the whole dictionary, or what is offered itself where that is one thing.
        offered: tensors by name.

    Raises:
        ValueError: an input has no such name; says which there are.

    Example:
        >>> model = keras.Sequential([keras.Input([3], name="x"), keras.layers.Dense(2)])
        >>> by_name(model, {"x": 1, "y": 2})
        1
    """
    declared = getattr(model, "inputs", None)
    if not declared:
        return dict(offered) if len(offered) > 1 else next(iter(offered.values()))
    structure = declared[0] if isinstance(model, keras.Sequential) else model.input  # a sequential one has no `input`
    if len(declared) == len(offered) == 1:  # whatever its name
        return keras.tree.map_structure(lambda _: next(iter(offered.values())), structure)
    unknown = [one.name for one in declared if one.name not in offered]
    if unknown:
        raise ValueError(f"the model has an input {unknown[0]!r}; there is: {', '.join(offered)}")
    return keras.tree.map_structure(lambda one: offered[one.name], structure)
