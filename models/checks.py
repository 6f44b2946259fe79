"""Checks inside a served graph, so that every server refuses what the model would misread.

What is fine costs a few small operations; only what is refused is looked at closely.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import tensorflow as tf

T = TypeVar("T")
_END = -1  # of a shape: no size is negative
_MAX_NAMES = 200  # characters of names that an error lists; servers truncate errors to 1024 bytes
_MAX_VALUE = 64  # bytes of a value that an error quotes


def checked(values: T, fine: tf.Tensor, problem: Callable[[], tf.Tensor]) -> T:
    """The same values, which nothing reads before they are known to be fine.

    Args:
        values: tensors in any structure.
        fine: scalar bool.
        problem: what is wrong, a scalar string; looked for where `fine` does not hold. Empty: nothing after all.

    Raises:
        tf.errors.InvalidArgumentError: `assertion failed: [problem]`.

    Example:
        >>> x = tf.constant([1.0, 2.0])
        >>> checked(x, tf.reduce_all(x > 0), lambda: tf.constant("Input 'x': expected numbers above 0.")).numpy()
        array([1., 2.], dtype=float32)
    """
    sentence = tf.cond(fine, lambda: tf.constant(""), problem)
    with tf.control_dependencies([tf.debugging.Assert(tf.equal(sentence, ""), [sentence])]):
        return tf.nest.map_structure(tf.identity, values)


def known_ids(ids: tf.Tensor, count: int) -> tf.Tensor:
    """The input `id`, which must be numbers below a count: an embedding reads others as it likes.

    Args:
        ids: int32.
        count: of the ids that there are.

    Raises:
        tf.errors.InvalidArgumentError: as of `checked`.
    """
    fine = tf.reduce_all((ids >= 0) & (ids < count))
    return checked(ids, fine, lambda: tf.constant(f"Input 'id': expected numbers from 0 to {count - 1}."))


def known_state(inputs: Mapping[str, tf.Tensor], specs: Sequence[tf.TensorSpec]) -> list[tf.Tensor]:
    """The state that a client carries, in the order of its specs; without NaN, which would be all that follows.

    Args:
        inputs: by name, others among them.
        specs: of the state.

    Raises:
        tf.errors.InvalidArgumentError: as of `checked`, naming the first input with a NaN.
    """
    state = [inputs[spec.name] for spec in specs]
    names = [spec.name for spec in specs if spec.dtype.is_floating]
    wrong = tf.stack([tf.reduce_any(tf.math.is_nan(inputs[name])) for name in names]) if names else tf.constant([False])
    sentences = tf.constant([f"Input '{name}': expected the state as it was answered, received NaN." for name in names])
    return checked(state, ~tf.reduce_any(wrong), lambda: tf.gather(sentences, tf.argmax(tf.cast(wrong, tf.int32))))


def checked_shapes(
    inputs: Mapping[str, tf.Tensor],
    specs: Mapping[str, tf.TensorSpec],
    defaults: Mapping[str, tf.Tensor],
    columns: Mapping[str, Sequence[str]],
) -> dict[str, tf.Tensor]:
    """The inputs of a signature, of the shapes that it names and all of as many rows.

    A Session does not compare what it is fed with the shape of a placeholder, and operations broadcast.

    Args:
        inputs: by name.
        specs: by name; the first dimension is the rows.
        defaults: of one row, by input that a client may leave out. TensorFlow Serving feeds them as they are, whatever
            the rows of the others.
        columns: by input, what stands in its last dimension; for the error.

    Raises:
        tf.errors.InvalidArgumentError: as of `checked`, naming the input, what is expected and what was received.
    """
    fine = _fit(list(inputs.values()), [specs[name].shape.as_list() for name in inputs])
    return checked(dict(inputs), fine, lambda: _shape_problem(inputs, specs, defaults, columns))


def first_of(texts: tf.Tensor, chosen: tf.Tensor) -> tf.Tensor:
    """The first of texts `[B]` that is chosen by bool `[B]`, for an error; empty where none is."""
    return tf.concat([tf.boolean_mask(texts, chosen), [""]], axis=0)[0]


def listed(names: Sequence[str]) -> str:
    """Names for an error, as many as find room.

    Example:
        >>> listed(["load", "plan"])
        'load, plan'
    """
    text = ", ".join(names)
    return text if len(text) <= _MAX_NAMES else f"{text[:_MAX_NAMES]} ... ({len(names)} in all)"


def quoted(value: tf.Tensor) -> tf.Tensor:
    """The beginning of a scalar string, for an error."""
    beginning = tf.strings.substr(value, 0, _MAX_VALUE)
    return tf.strings.join(["'", tf.strings.unicode_transcode(beginning, "UTF-8", "UTF-8", errors="replace"), "'"])


def _shape_problem(
    inputs: Mapping[str, tf.Tensor],
    specs: Mapping[str, tf.TensorSpec],
    defaults: Mapping[str, tf.Tensor],
    columns: Mapping[str, Sequence[str]],
) -> tf.Tensor:
    inputs = {name: _as_fed(one) for name, one in inputs.items()}
    counts = {name: tf.concat([tf.shape(one), [0]], axis=0)[0] for name, one in inputs.items()}
    first = next(iter(inputs))
    problem = tf.constant("")
    for name, one in reversed(inputs.items()):
        alike = (counts[name] == counts[first]) | _is_default(one, counts[name], defaults.get(name))
        wanted, received = tf.strings.as_string(counts[first]), tf.strings.as_string(counts[name])
        texts = [f"Input '{name}': expected as many rows as '{first}' has, ", wanted, ", received ", received, "."]
        problem = tf.where(alike, problem, tf.strings.join(texts))
    for name, one in reversed(inputs.items()):
        shape = specs[name].shape.as_list()
        named = f" (columns {listed(columns[name])})" if name in columns else ""
        text = f"Input '{name}': expected shape {_wanted(shape)}{named}, received "
        problem = tf.where(_fit([one], [shape]), problem, tf.strings.join([text, _received(one), "."]))
    return problem


def _fit(values: Sequence[tf.Tensor], shapes: Sequence[Sequence[int | None]]) -> tf.Tensor:
    """Whether the values have these shapes, of which None is any size, and all as many rows."""
    sizes = tf.concat([[_END], *(size for one in values for size in (tf.shape(one), [_END]))], axis=0)
    # ends stand where they are wanted only if all ranks are those wanted
    wanted = [_END, *(size or 0 for shape in shapes for size in (*shape, _END))]
    first = [False, *(axis == 0 for shape in shapes for axis in range(len(shape) + 1))]
    free = [False, *(axis > 0 and size is None for shape in shapes for axis, size in enumerate((*shape, _END)))]
    return tf.reduce_all(_equal(sizes, tf.where(first, sizes[1], wanted)) | free)


def _equal(one: tf.Tensor, other: tf.Tensor) -> tf.Tensor:
    """By element; of different lengths False."""
    return tf.raw_ops.Equal(x=one, y=other, incompatible_shape_error=False)


def _is_default(value: tf.Tensor, rows: tf.Tensor, default: tf.Tensor | None) -> tf.Tensor:
    if default is None:
        return tf.constant(False)
    same = _equal(value, default)
    if default.dtype.is_floating:
        same |= tf.reduce_all(tf.math.is_nan(value)) & tf.reduce_all(tf.math.is_nan(default))
    return (rows == 1) & tf.reduce_all(same)


def _wanted(shape: Sequence[int | None]) -> str:
    return "[" + ", ".join(["n", *("any" if size is None else str(size) for size in shape[1:])]) + "]"


def _as_fed(value: tf.Tensor) -> tf.Tensor:
    """Without the static shape, which TensorFlow takes for a fact and folds away what asks for it."""
    return tf.raw_ops.PlaceholderWithDefault(input=value, shape=tf.TensorShape(None))


def _received(value: tf.Tensor) -> tf.Tensor:
    """A shape with `n` for its rows: those that run are not always those that a client sent."""
    rows = tf.where(tf.rank(value) > 0, "n", "")
    rest = tf.strings.reduce_join(tf.strings.join([", ", tf.strings.as_string(tf.shape(value)[1:])]))
    return tf.strings.join(["[", rows, rest, "]"])
