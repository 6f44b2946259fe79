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


def test_surplus_values_are_dropped_as_in_tensorflow() -> None:
    np.testing.assert_array_equal(tensors.decode(_proto(2, dtype=1, float_val=[1, 2, 3])), [1, 2])
    assert tensors.decode(_proto(1, dtype=7, string_val=[b"a", b"b"])).tolist() == [b"a"]
    assert tensors.decode(_proto(0, dtype=1, float_val=[1], tensor_content=b"1")).shape == (0,)


def test_numbers_that_do_not_fit_wrap_as_in_tensorflow() -> None:
    assert tensors.decode(_proto(2, dtype=4, int_val=[256, -1])).tolist() == [0, 255]


@pytest.mark.parametrize("size", [1, 47, 100])
@pytest.mark.parametrize("dtype", [*DTYPES, "object"])
def test_tensor_content_holds_what_the_typed_field_does(dtype: str, size: int) -> None:
    array = (np.arange(size) % 2).astype(dtype)
    if dtype == "object":
        array[:] = [b"x" * (number * 37) for number in range(size)]
    for content in (False, True):
        proto = protos.TensorProto.FromString(tensors.encode(array, content))
        assert bool(proto.tensor_content) == content
        read = tensors.decode(proto)
        np.testing.assert_array_equal(read, array)
        assert (read.dtype, read.shape) == (array.dtype, array.shape)
        if content:  # TensorFlow's own reading, of C++
            parsed = tf.io.parse_tensor(proto.SerializeToString(), tf.dtypes.as_dtype(array.dtype))
            np.testing.assert_array_equal(parsed, array)


def test_a_shape_alone_decides_nothing_of_the_values() -> None:
    """Tensors that begin with the same bytes, but hold their values elsewhere."""
    content = np.array([1, 2], "f").tobytes()
    for fields in ({"float_val": [1, 2]}, {"tensor_content": content}, {"float_val": [1, 2], "version_number": 1}):
        assert tensors.decode(_proto(2, dtype=1, **fields)).tolist() == [1, 2]
    assert tensors.decode(_proto(2, dtype=1, double_val=[3])).tolist() == [0, 0]
    assert tensors.decode(_proto(2, dtype=1, float_val=[1, 2], double_val=[3])).tolist() == [1, 2]
    named = _proto(2, dtype=1, float_val=[1, 2])
    named.tensor_shape.dim[0].name = "rows"
    assert tensors.decode(named).tolist() == [1, 2]
    assert tensors.decode(protos.TensorProto(dtype=1, float_val=[7])).tolist() == 7


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
        _proto(2, dtype=1, tensor_content=b"1234"),
        _proto(1, dtype=7, tensor_content=b"1234"),
        _proto(2, dtype=7, tensor_content=b"\x01\x02ab"),
        _proto(2, dtype=10, tensor_content=b"\x01\x02"),
        _proto(1 << 40, dtype=1, float_val=[1]),
        _proto(10_000, dtype=7, string_val=[b"x" * 100_000]),
        protos.TensorProto(dtype=1, tensor_shape={"dim": [{"size": 1 << 62}] * 2 + [{"size": 0}]}),
    ],
)
def test_a_bad_tensor_is_refused(proto: Any) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any reason, before memory is spent
        tensors.decode(proto)
