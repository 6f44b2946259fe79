"""A Transformer (Vaswani et al. 2017) as an encoder, whose state is a cache of keys and values."""

import keras
import tensorflow as tf

from unroll.models.layers.rotary import rotated, rotation

WINDOW = 256


def head_sizes(units: int) -> tuple[int, int]:
    """Heads of an attention, and the features of each, which need not add up to `units`.

    Four heads where they are at least 16 and at most 64 wide, fewer of a small layer and more of a large one. Any
    number of units is possible, since keys, queries and values are projections.

    Args:
        units: features of the layer.

    Example:
        >>> [head_sizes(units) for units in (8, 32, 64, 100, 256, 384)]
        [(1, 8), (2, 16), (4, 16), (4, 26), (4, 64), (6, 64)]
    """
    heads = max(1, min(4, units // 16), -(-units // 64))
    return heads, 2 * -(-units // (2 * heads))


@keras.saving.register_keras_serializable("unroll")
class TransformerBlock(keras.layers.Layer):
    """Self-attention and a gated feed-forward layer, each normalised before and added to its input.

    x + Attention(RMSNorm(x)), then x + W_o (silu(W_g x) * W_v x) (pre-norm: Xiong et al. 2020; RMSNorm: Zhang &
    Sennrich 2019; SwiGLU with 8/3 of the units, which has the weights of a plain layer of four times as many: Shazeer
    2020).

    Args:
        units: features of input and output.
        dropout: share dropped of what is added, in training.
        depth: blocks in the stack. Weights that lead back to its sum begin smaller the more there are (GPT-2).
    """

    def __init__(self, units: int, dropout: float = 0.0, depth: int = 1, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.dropout = dropout
        self.depth = depth
        self.heads, self.width = head_sizes(units)
        self.inner = -(-8 * units // 3)
        out = keras.initializers.VarianceScaling(1 / (2 * depth), "fan_avg", "uniform")
        self.norms = [keras.layers.RMSNormalization(name=f"norm_{i}") for i in (1, 2)]
        self.projection = keras.layers.Dense(3 * self.heads * self.width, use_bias=False, name="projection")
        self.joined = keras.layers.Dense(units, use_bias=False, kernel_initializer=out, name="joined")
        self.gated = keras.layers.Dense(2 * self.inner, use_bias=False, name="gated")
        self.written = keras.layers.Dense(units, use_bias=False, kernel_initializer=out.clone(), name="written")
        self.drops = [keras.layers.Dropout(dropout, name=f"dropout_{i}") for i in (1, 2)]

    def build(self, shape):
        for norm in self.norms:
            norm.build(shape)
        self.projection.build(shape)
        self.joined.build((*shape[:-1], self.heads * self.width))
        self.gated.build(shape)
        self.written.build((*shape[:-1], self.inner))

    def heads_of(self, sequence, turn):
        """Queries, keys and values `[rows, heads, T, width]` of float `[rows, T, units]`; `turn` as of `rotation`."""
        time = tf.shape(sequence)[1]
        read = self.projection(self.norms[0](sequence))
        read = tf.reshape(read, [-1, time, 3, self.heads, self.width])
        read = tf.transpose(read, [2, 0, 3, 1, 4])  # [3, B, heads, T, width]
        queries, keys = tf.unstack(rotated(read[:2], *turn))
        return queries * self.width**-0.5, keys, read[2]

    def attended(self, sequence, queries, keys, values, mask, training=False):
        """The block's output `[rows, T, units]`; the mask is bool and broadcasts to `[rows, heads, T, keys]`."""
        scores = tf.cast(tf.matmul(queries, keys, transpose_b=True), tf.float32)
        weights = tf.nn.softmax(tf.where(mask, scores, scores.dtype.min))
        read = tf.matmul(tf.cast(weights, values.dtype), values)  # [B, heads, T, width]
        read = tf.reshape(tf.transpose(read, [0, 2, 1, 3]), [-1, tf.shape(sequence)[1], self.heads * self.width])
        sequence = sequence + self.drops[0](self.joined(read), training=training)
        gate, value = tf.split(self.gated(self.norms[1](sequence)), 2, axis=-1)
        return sequence + self.drops[1](self.written(gate * tf.sigmoid(gate) * value), training=training)

    def call(self, sequence, mask, turn, training=False):
        queries, keys, values = self.heads_of(sequence, turn)
        return self.attended(sequence, queries, keys, values, mask, training=training)

    def get_config(self):
        return {**super().get_config(), "units": self.units, "dropout": self.dropout, "depth": self.depth}


@keras.saving.register_keras_serializable("unroll")
class Transformer(keras.layers.Layer):
    """A stack of Transformer blocks over right-padded sequences.

    In a causal one a timestep attends to the newest `window`, itself included, in `call` as in `step`, so that a stream
    is answered as its whole past is, however long it lasts; each further block hears of as many before these. Positions
    are told by rotation: only distances matter, and none is too late to have been learnt.

    Args:
        units: features of every block.
        layers: number of blocks.
        dropout: share dropped, in training, of what blocks read and add.
        causal: whether a timestep sees only itself and the past; if not, it sees all valid ones.
        window: timesteps that a causal one attends to, and the size of its cache.

    Call arguments:
        sequence: float `[batch, time, features]`.
        lengths: int32 `[batch]`, valid timesteps of each row; None where all are valid. A causal one needs none.

    Returns:
        float `[batch, time, units]`.

    Raises:
        ValueError: for a window of less than one timestep; `initial_state`, where it is not causal.

    Example:
        >>> Transformer(units=32, layers=2)(tf.zeros([4, 10, 8])).shape
        TensorShape([4, 10, 32])
    """

    def __init__(
        self,
        units: int,
        layers: int = 1,
        dropout: float = 0.0,
        causal: bool = True,
        window: int = WINDOW,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if window < 1:
            raise ValueError(f"window must be at least 1. Received: window={window}")
        self.units = self.features = units
        self.layers = layers
        self.dropout = dropout
        self.causal = causal
        self.window = window
        self.entry = keras.layers.Dense(units, name="entry")
        self.drop = keras.layers.Dropout(dropout, name="dropout")
        self.blocks = [TransformerBlock(units, dropout, layers, name=f"block_{i}") for i in range(layers)]
        self.norm = keras.layers.RMSNormalization(name="norm")

    def build(self, sequence_shape, lengths_shape=None):
        shape = (*sequence_shape[:-1], self.units)
        self.entry.build(sequence_shape)
        for block in self.blocks:
            if not block.built:  # a reloaded model builds its innermost layers first
                block.build(shape)
        self.norm.build(shape)

    def call(self, sequence, lengths=None, training=False):
        hidden = self.drop(self.entry(sequence), training=training)
        positions = tf.range(tf.shape(sequence)[1])
        if self.causal:
            mask = self._sees(positions, positions)
        elif lengths is not None:
            mask = (positions < lengths[:, None])[:, None, None]
        else:
            mask = tf.constant(True)
        turn = self._turns(positions)
        for block in self.blocks:
            hidden = block(hidden, mask, turn, training=training)
        return self.norm(hidden)

    def initial_state(self, rows):
        """The state before the first timestep: nothing is kept.

        Returns:
            Of each block keys and values, float `[rows, heads, window, width]`, a ring in which timestep t stands at
            place t % window; then the timesteps so far, int64 `[rows]`.
        """
        if not self.causal:
            raise ValueError("a Transformer that sees what is to come has no steps. Received: causal=False")
        block = self.blocks[0]
        empty = tf.zeros([rows, block.heads, self.window, block.width], self.compute_dtype)
        return [*(empty for _ in range(2 * self.layers)), tf.zeros([rows], tf.int64)]

    def step(self, inputs, state):
        """One timestep, at a cost that does not grow with the timesteps before it; without dropout.

        Args:
            inputs: float `[rows, features]`.
            state: as `initial_state`, `steps` or the step before returned it.

        Returns:
            The output, float `[rows, units]`, and the new state.
        """
        *cache, position = state
        hidden, after = self.entry(inputs)[:, None], []  # [N, 1, U]
        turn = self._turns(position[:, None])
        here = tf.one_hot(position % self.window, self.window, True, False, dtype=tf.bool)[:, None, :, None]
        # the ring holds no timestep that is too old: what stands behind the newest place was never written
        mask = (tf.range(self.window, dtype=tf.int64) <= position[:, None])[:, None, None]
        for block, *kept in zip(self.blocks, cache[::2], cache[1::2], strict=True):
            queries, *fresh = block.heads_of(hidden, turn)
            keys, values = (tf.where(here, new, old) for new, old in zip(fresh, kept, strict=True))
            hidden = block.attended(hidden, queries, keys, values, mask)
            after += [keys, values]
        return self.norm(hidden)[:, 0], [*after, position + 1]

    def steps(self, sequence, state, lengths=None, training=False):
        """Many timesteps, from a state on: `call` for a sequence that comes in chunks.

        Args:
            sequence: float `[rows, time, features]`, padded on the right.
            state: as `initial_state`, `step` or the chunk before returned it.
            lengths: int32 `[rows]`, valid timesteps of each row; None where all are valid.
            training: whether features are dropped.

        Returns:
            Outputs `[rows, time, units]` and the state after each row's last valid timestep.
        """
        *cache, position = state
        hidden, after = self.drop(self.entry(sequence), training=training), []
        time = tf.shape(sequence, tf.int64)[1]
        positions = position[:, None] + tf.range(time, dtype=tf.int64)  # [N, T]
        turn = self._turns(positions)
        mask = self._sees(positions, tf.concat([self._held(position), positions], axis=1))[:, None]
        end = position + (time if lengths is None else tf.cast(lengths, tf.int64))
        held = self._held(end)  # [N, W]
        # of what was in the cache and came behind it, where each place of the new cache is found
        stays = tf.range(self.window, dtype=tf.int64)
        found = tf.where(held >= position[:, None], self.window + held - position[:, None], stays)
        for block, *kept in zip(self.blocks, cache[::2], cache[1::2], strict=True):
            queries, *fresh = block.heads_of(hidden, turn)
            keys, values = (tf.concat([old, new], axis=2) for old, new in zip(kept, fresh, strict=True))
            hidden = block.attended(hidden, queries, keys, values, mask, training=training)
            after += [tf.gather(one, found, axis=2, batch_dims=1) for one in (keys, values)]
        return self.norm(hidden), [*after, end]

    def _turns(self, positions):
        """Of positions `[T]` or `[rows, T]`, as all heads take them."""
        return tuple(one[..., None, :, :] for one in rotation(positions, self.blocks[0].width))

    def _sees(self, positions, keys):
        """Which keys `[..., K]` a timestep `[..., T]` attends to, by positions; those less than 0 hold nothing."""
        age = positions[..., :, None] - keys[..., None, :]
        return (age >= 0) & (age < self.window) & (keys >= 0)[..., None, :]

    def _held(self, position):
        """The timestep at each place of the cache after so many, int64 `[rows, window]`; less than 0 for none."""
        newest = position[:, None] - 1
        return newest - (newest - tf.range(self.window, dtype=tf.int64)) % self.window

    def get_config(self):
        return {
            **super().get_config(),
            "units": self.units,
            "layers": self.layers,
            "dropout": self.dropout,
            "causal": self.causal,
            "window": self.window,
        }
