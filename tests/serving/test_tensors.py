from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from serving import protos, tensors

DTYPES = [
    *("float16", "float32", "float64", "bool"),
    *("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0), (2, 3)])
def test_numbers_agree_with_tensorflow(dtype: str, shape: tuple[int, ...]) -> None:
    info = np.iinfo(dtype) if dtype[:3] in ("int", "uin") else None
    values = np.random.default_rng(0).normal(size=shape) * 9
    array = np.asarray(values).astype(dtype)
    if info and array.size:
        array.flat[0] = info.min
        array.flat[-1] = info.max
    written = tf.make_ndarray(_official(array))
    np.testing.assert_array_equal(written, array)
    assert (written.dtype, written.shape) == (array.dtype, array.shape)
    for proto in (tf.make_tensor_proto(array), _official(array)):
        read = tensors.decode(proto)
        np.testing.assert_array_equal(read, array)
        assert (read.dtype, read.shape) == (array.dtype, array.shape)


def _official(array: Any) -> Any:
    proto = tf.make_tensor_proto(0)
    proto.ParseFromString(tensors.encode(array))
    return proto


def test_strings_agree_with_tensorflow() -> None:
    array = tensors.from_python([["naïve", b"\xff\x00"], ["", "x" * 300]])
    np.testing.assert_array_equal(tf.make_ndarray(_official(array)), array)
    np.testing.assert_array_equal(tensors.decode(tf.make_tensor_proto(array)), array)
    assert array[0, 1] == b"\xff\x00"  # numpy's own bytes type would drop the zero


def test_fewer_values_repeat_the_last_as_in_tensorflow() -> None:
    proto = protos.TensorProto(dtype=1, float_val=[1, 2])
    proto.tensor_shape.dim.add().size = 4
    np.testing.assert_array_equal(tensors.decode(proto), [1, 2, 2, 2])


def _proto(size: int, **fields: Any) -> Any:
    proto = protos.TensorProto(**fields)
    proto.tensor_shape.dim.add().size = size
    return proto


@pytest.mark.parametrize(
    "proto",
    [
        _proto(1),
        _proto(1, dtype=21),
        _proto(-1, dtype=1, float_val=[1]),
        _proto(1, dtype=1, float_val=[1, 2]),
        _proto(2, dtype=1, tensor_content=b"1234"),
        _proto(1, dtype=7, tensor_content=b"1234"),
        _proto(1, dtype=4, int_val=[256]),
        _proto(1 << 40, dtype=1, float_val=[1]),
        protos.TensorProto(dtype=1, tensor_shape={"unknown_rank": True}),
    ],
)
def test_a_bad_tensor_is_refused(proto: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any reason, before memory is spent
        tensors.decode(proto)
