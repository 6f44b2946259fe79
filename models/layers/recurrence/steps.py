"""What recurrent cells do with a timestep once its products are done, and the gradients of that."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import tensorflow as tf

_of_sigmoid, _of_tanh = tf.raw_ops.SigmoidGrad, tf.raw_ops.TanhGrad  # from what the function gave


class Reached(NamedTuple):
    """Gradients of one timestep.

    Args:
        inputs: of the projected inputs, float `[rows, gates * units]`.
        product: of h times the recurrent weights, and their bias; of the same shape.
        states: of the states before it, beside what comes through the product; None for nothing.
    """

    inputs: tf.Tensor
    product: tf.Tensor
    states: list[tf.Tensor | None]


class Step(Protocol):
    """What a cell does with a timestep once its products are done.

    Attributes:
        kept: tensors `[rows, units]` that `backward` needs from `forward`.
        adds: whether inputs and product are only ever added, so that their gradients are one.
    """

    kept: int
    adds: bool

    def forward(
        self, inputs: tf.Tensor, product: tf.Tensor, states: Sequence[tf.Tensor]
    ) -> tuple[list[tf.Tensor], list[tf.Tensor]]:
        """The states after a timestep, h first, and what is kept of it."""

    def backward(self, kept: Sequence[tf.Tensor], gradients: Sequence[tf.Tensor]) -> Reached:
        """From the gradients of the states after a timestep to those of what it read."""


class LSTMStep:
    """c = f c + i g, h = o tanh(c): Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000."""

    kept, adds = 6, True

    def forward(self, inputs, product, states):
        before = states[1]
        i, f, g, o = tf.split(inputs + product, 4, axis=1)
        i, f, g, o = tf.sigmoid(i), tf.sigmoid(f), tf.tanh(g), tf.sigmoid(o)
        carry = f * before + i * g
        shown = tf.tanh(carry)
        return [o * shown, carry], [i, f, g, o, before, shown]

    def backward(self, kept, gradients):
        (i, f, g, o, before, shown), (hidden, carry) = kept, gradients
        carry += _of_tanh(y=shown, dy=hidden * o)
        gates = [
            _of_sigmoid(y=i, dy=carry * g),
            _of_sigmoid(y=f, dy=carry * before),
            _of_tanh(y=g, dy=carry * i),
            _of_sigmoid(y=o, dy=hidden * shown),
        ]
        reached = tf.concat(gates, axis=1)
        return Reached(reached, reached, [None, carry * f])


class GRUStep:
    """h = z h + (1 - z) n, n = tanh(x_n + r p_n): Cho et al. 2014, the reset gate after the product as cuDNN has it."""

    kept, adds = 5, False

    def forward(self, inputs, product, states):
        (x_z, x_r, x_n), (p_z, p_r, p_n) = (tf.split(one, 3, axis=1) for one in (inputs, product))
        z, r = tf.sigmoid(x_z + p_z), tf.sigmoid(x_r + p_r)
        n = tf.tanh(x_n + r * p_n)
        ahead = states[0] - n
        return [n + z * ahead], [z, r, n, p_n, ahead]

    def backward(self, kept, gradients):
        (z, r, n, p_n, ahead), (hidden,) = kept, gradients
        stays = hidden * z
        of_n = _of_tanh(y=n, dy=hidden - stays)
        of_z, of_r = _of_sigmoid(y=z, dy=hidden * ahead), _of_sigmoid(y=r, dy=of_n * p_n)
        inputs, product = (tf.concat([of_z, of_r, last], axis=1) for last in (of_n, of_n * r))
        return Reached(inputs, product, [stays])
