"""Tensor types that JSON can say."""

import numpy as np

MAX_RANK = 254  # TensorShape's
FLOATS: dict[int, type] = {1: np.float32, 2: np.float64}
# DataType: what holds it, and the range of JSON numbers that are taken for it.
INTEGERS: dict[int, tuple[type, int, int]] = {
    3: (np.int32, -(2**31), 2**31 - 1),
    4: (np.uint8, -(2**31), 2**31 - 1),
    5: (np.int16, -(2**31), 2**31 - 1),
    6: (np.int8, -(2**31), 2**31 - 1),
    9: (np.int64, -(2**63), 2**63 - 1),
    22: (np.uint32, 0, 2**32 - 1),
    23: (np.uint64, 0, 2**64 - 1),
}
STRING, BOOL = 7, 10
SUPPORTED = frozenset((*FLOATS, *INTEGERS, STRING, BOOL))
