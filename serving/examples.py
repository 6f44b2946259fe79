"""What Classify, Regress and MultiInference read: an Input of tf.Examples."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.status import invalid


def serialized(request_input: Any) -> NDArray[Any]:
    """Serializes each example of an Input, with the features that all of them share.

    Args:
        request_input: an Input message.

    Returns:
        Bytes, of shape `[examples]`.

    Raises:
        StatusError: INVALID_ARGUMENT where there is no example.
    """
    # Messages that follow one another in one buffer merge, so the context goes in front of each example.
    context = request_input.example_list_with_context.context.SerializeToString()
    examples = [
        *(example.SerializeToString() for example in request_input.example_list.examples),
        *(context + example.SerializeToString() for example in request_input.example_list_with_context.examples),
    ]
    if not examples:
        raise invalid("Input is empty.")
    return np.array(examples, dtype=object)


def strings(request_input: Any) -> list[bytes]:
    """Every string in an Input, of whichever feature."""
    shared = request_input.example_list_with_context
    examples = [*request_input.example_list.examples, shared.context, *shared.examples]
    return [
        string
        for example in examples
        for feature in example.features.feature.values()
        for string in feature.bytes_list.value
    ]
