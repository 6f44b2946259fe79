"""What Classify, Regress and MultiInference read: an Input of tf.Examples."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from unroll.serving.protocol.status import invalid

_MAX_CONTEXT_BYTES = 1 << 26  # that each example of a request repeats, in all


def count(request_input: Any) -> int:
    """How many examples an Input holds."""
    return len(request_input.example_list.examples) + len(request_input.example_list_with_context.examples)


def serialized(request_input: Any) -> NDArray[Any]:
    """Serializes each example of an Input, with the features that all of them share.

    Args:
        request_input: an Input message.

    Returns:
        Bytes, of shape `[examples]`.

    Raises:
        StatusError: INVALID_ARGUMENT where there is no example, or so many that their context, which stands in front of
            each, would fill the memory.
    """
    shared = request_input.example_list_with_context
    return joined(
        [example.SerializeToString() for example in request_input.example_list.examples],
        shared.context.SerializeToString(),
        [example.SerializeToString() for example in shared.examples],
    )


def joined(alone: list[bytes], context: bytes, sharing: list[bytes]) -> NDArray[Any]:
    """As `serialized`, of examples that are serialized already.

    Args:
        alone: without a context.
        context: an Example too.
        sharing: those that have it.
    """
    # Messages that follow one another in one buffer merge, so the context goes in front of each example.
    size = len(context) * len(sharing)
    if size > _MAX_CONTEXT_BYTES:
        raise invalid(
            f"The context of {len(context)} bytes, once an example, makes {size}; this server takes at most "
            f"{_MAX_CONTEXT_BYTES}. Send fewer examples a request, or what they share in a smaller context."
        )
    examples = [*alone, *(context + example for example in sharing)]
    if not examples:
        raise invalid("Input is empty.")
    return np.array(examples, dtype=object)


def strings(request_input: Any) -> list[bytes]:
    """Every string in an Input, of whichever feature."""
    shared = request_input.example_list_with_context
    examples = [*request_input.example_list.examples, shared.context, *shared.examples]
    return [string for example in examples for string in strings_of(example)]


def strings_of(example: Any) -> list[bytes]:
    """Every string in an Example."""
    return [string for feature in example.features.feature.values() for string in feature.bytes_list.value]
