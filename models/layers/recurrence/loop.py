"""A loop over time whose gradient is written by hand, for recurrent cells that a CPU trains.

A loop that is left to TensorFlow's gradients adds up what each timestep says of every weight. Here the loop from the
end gives the gradients of the products alone, and one further product, after it, those of the weights.
"""

from collections.abc import Callable, Sequence

import tensorflow as tf

from unroll.models.layers.recurrence.steps import Step


def recurrence(
    step: Step,
    inputs: tf.Tensor,
    kernel: tf.Tensor,
    first: Sequence[tf.Tensor],
    bias: tf.Tensor | None = None,
    mask: tf.Tensor | None = None,
    dropped: tf.Tensor | None = None,
) -> tuple[tf.Tensor, list[tf.Tensor]]:
    """Runs a cell over time.

    Args:
        step: what the cell does.
        inputs: projected, float `[time, rows, gates * units]`, time at least 1.
        kernel: what h is multiplied by, float `[units, gates * units]`.
        first: the states before the first timestep, h first, float `[rows, units]` each.
        bias: of that product, float `[gates * units]`; None for none. One that is but added to the inputs costs less
            among them.
        mask: bool `[time, rows]`; a timestep where it is False leaves the states as they are. None for no such.
        dropped: what h is multiplied by before that product at every timestep, float `[rows, units]`: 0 where it is
            dropped. None for nothing.

    Returns:
        h after every timestep, float `[time, rows, units]`, and the states after the last one.
    """
    time, (units, width) = tf.shape(inputs)[0], kernel.shape
    valid = None if mask is None else mask[..., None]

    def arrays(number: int, features: int) -> list[tf.TensorArray]:
        made = {"element_shape": [None, features], "clear_after_read": False}
        return [tf.TensorArray(inputs.dtype, time, **made) for _ in range(number)]

    def masked(h: tf.Tensor) -> tf.Tensor:
        return h if dropped is None else h * dropped

    def where_valid(t, one: list, other: list) -> list:
        return one if valid is None else [tf.where(valid[t], *pair) for pair in zip(one, other, strict=True)]

    @tf.custom_gradient
    def run(inputs, kernel, first, *biases):
        def forward(t, states, kept, outputs):
            product = tf.matmul(masked(states[0]), kernel)
            for one in biases:
                product = tf.nn.bias_add(product, one)
            after, keep = step.forward(inputs[t], product, states)
            after = where_valid(t, after, states)
            return t + 1, after, _written(kept, t, keep), outputs.write(t, after[0])

        begin = (tf.constant(0), list(first), arrays(step.kept, units), *arrays(1, units))
        _, last, kept, outputs = _looped(lambda t, *_: t < time, forward, begin, time)
        outputs = outputs.stack()

        def gradient(upstream, *of_last):
            transposed = tf.transpose(kernel)

            def backward(t, gradients, written):
                gradients = [gradients[0] + upstream[t], *gradients[1:]]
                heard = where_valid(t, gradients, [tf.zeros_like(one) for one in gradients])
                reached = step.backward([array.read(t) for array in kept], heard)
                by_product = masked(tf.matmul(reached.product, transposed))
                before = [by_product if reached.states[0] is None else by_product + reached.states[0]]
                before = where_valid(t, [*before, *reached.states[1:]], gradients)
                return t - 1, before, _written(written, t, [reached.product, reached.inputs][: len(written)])

            begin = (time - 1, list(of_last), arrays(1 if step.adds else 2, width))
            _, before, written = _looped(lambda t, *_: t >= 0, backward, begin, time)
            stacked = [array.stack() for array in written]
            of_product, of_inputs = stacked[0], stacked[-1]
            by_row = tf.reshape(of_product, [-1, width])
            before_each = masked(tf.concat([first[0][None], outputs[:-1]], axis=0))
            of_kernel = tf.matmul(tf.reshape(before_each, [-1, units]), by_row, transpose_a=True)
            return of_inputs, of_kernel, before, *(tf.reduce_sum(by_row, axis=0) for _ in biases)

        return (outputs, *last), gradient

    outputs, *last = run(inputs, kernel, list(first), *([] if bias is None else [bias]))
    return outputs, last


def _looped(goes_on: Callable[..., tf.Tensor], body: Callable, begin: tuple, time: tf.Tensor) -> tuple:
    """A loop over timesteps whose states may know how many rows they have though what is read does not."""
    t, states, *arrays = begin
    shapes = (t.shape, [tf.TensorShape([None, one.shape[-1]]) for one in states])
    free = tf.nest.map_structure(lambda _: tf.TensorShape(None), arrays)
    return tf.while_loop(goes_on, body, begin, shape_invariants=(*shapes, *free), maximum_iterations=time)


def _written(arrays: Sequence[tf.TensorArray], t: tf.Tensor, ones: Sequence[tf.Tensor]) -> list[tf.TensorArray]:
    return [array.write(t, one) for array, one in zip(arrays, ones, strict=True)]
