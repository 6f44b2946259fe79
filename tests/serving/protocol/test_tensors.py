import contextlib
import tracemalloc
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from unroll.serving.protocol import dtypes, protos, tensors

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


OTHERS = [kind for kind in dtypes.BY_NUMBER.values() if kind.dtype.name not in (*DTYPES, "object")]


@pytest.mark.parametrize("kind", OTHERS, ids=lambda kind: dtypes.name_of(kind.data_type))
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 100)])
def test_types_that_numpy_lacks_agree_with_tensorflow(kind: dtypes.Kind, shape: tuple[int, ...]) -> None:
    tf_dtype = tf.dtypes.as_dtype(kind.data_type)
    assert kind.dtype == np.dtype(tf_dtype.as_numpy_dtype)
    data = np.random.default_rng(0).integers(0, 3, shape).astype(np.int8)
    array = (data - 1j if kind.dtype.kind == "c" else data).astype(kind.dtype)
    for content in (False, True):
        written = tensors.encode(array, content)
        proto = protos.TensorProto.FromString(written)
        assert bool(proto.tensor_content) == (content and array.size > 0)
        parsed = tf.io.parse_tensor(written, tf_dtype).numpy()  # TensorFlow's reading, of C++
        read = tensors.decode(proto)
        assert read.dtype == array.dtype
        assert parsed.shape == read.shape == shape
        assert _same(parsed, array)
        assert _same(read, array)
    if tf_dtype.name not in ("float8_e4m3fnuz", "float8_e4m3b11fnuz", "float8_e5m2fnuz"):  # which it cannot make
        assert _same(tensors.decode(tf.make_tensor_proto(array, tf_dtype)), array)


def _same(one: Any, other: Any) -> bool:
    """Whether all values are the same, to the bit; of a byte that holds an int4, half do not count."""
    if one.dtype.name in ("int2", "int4", "uint2", "uint4"):
        one, other = one.astype(np.int32), other.astype(np.int32)
    return (one.shape, one.tobytes()) == (other.shape, other.tobytes())


@pytest.mark.parametrize("kind", OTHERS, ids=lambda kind: dtypes.name_of(kind.data_type))
@pytest.mark.parametrize("values", [[], [3, 1, 2], [-1, 70000, 300, 5, 1, 1, 1, 1, 1]])
def test_types_that_numpy_lacks_are_filled_and_cut_as_in_tensorflow(kind: dtypes.Kind, values: list[int]) -> None:
    proto = _proto(4, dtype=kind.data_type)
    if kind.field == "float8_val":
        proto.float8_val = bytes(value & 0xFF for value in values)
    else:
        getattr(proto, kind.field).extend(values)
    theirs = tf.io.parse_tensor(proto.SerializeToString(), tf.dtypes.as_dtype(kind.data_type)).numpy()
    assert _same(tensors.decode(proto), theirs)


@pytest.mark.parametrize("unknown", [False, True])
def test_without_a_shape_or_rank_a_tensor_is_read_as_in_tensorflow(unknown: bool) -> None:
    for values in ([5], [5, 6], []):
        proto = protos.TensorProto(dtype=1, float_val=values)
        if unknown:
            proto.tensor_shape.unknown_rank = True
        read, theirs = tensors.decode(proto), tf.io.parse_tensor(proto.SerializeToString(), tf.float32).numpy()
        assert (read.shape, read.tolist()) == (theirs.shape, theirs.tolist())
        proto.tensor_shape.dim.add().size = 3
        theirs = tf.io.parse_tensor(proto.SerializeToString(), tf.float32).numpy()
        assert tensors.decode(proto).tolist() == theirs.tolist()


def test_numbers_are_written_in_runs_that_read_as_one() -> None:
    array = np.arange(-5, 200_000)
    np.testing.assert_array_equal(tf.make_ndarray(_official(array)), array)


def test_strings_agree_with_tensorflow() -> None:
    array = tensors.from_python([["naïve", b"\xff\x00"], ["", "x" * 300]])
    np.testing.assert_array_equal(tf.make_ndarray(_official(array)), array)
    np.testing.assert_array_equal(tensors.decode(tf.make_tensor_proto(array)), array)
    assert array[0, 1] == b"\xff\x00"  # numpy's own bytes type would drop the zero


def test_fewer_values_repeat_the_last_as_in_tensorflow() -> None:
    proto = protos.TensorProto(dtype=1, float_val=[1, 2])
    proto.tensor_shape.dim.add().size = 4
    np.testing.assert_array_equal(tensors.decode(proto), [1, 2, 2, 2])


@pytest.mark.parametrize("values", [[], [1]])
def test_one_value_that_stands_for_many_takes_no_memory_of_its_own(values: list[float]) -> None:
    tracemalloc.start()
    array = tensors.decode(_proto(tensors.MAX_BYTES // 4, dtype=1, float_val=values))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (array.nbytes, array[-1]) == (tensors.MAX_BYTES, (values or [0])[-1])
    assert peak < 1 << 16


def test_several_values_stand_for_so_many_times_as_much_as_they_are() -> None:
    most = 1 << 18  # floats of a megabyte
    assert tensors.decode(_proto(most, dtype=1, float_val=[1, 2])).sum() == 2 * most - 1
    with pytest.raises(tensors.UnsentError, match=r"stands for 1048580 bytes, and 2 values were sent.* than 1048576 "):
        tensors.decode(_proto(most + 1, dtype=1, float_val=[1, 2]))
    assert tensors.decode(_proto(most + 1, dtype=1, float_val=[1] * (most // 16 + 1))).all()


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


def _shaped(*sizes: int, values: Sequence[float] = ()) -> Any:
    return protos.TensorProto(dtype=1, float_val=values, tensor_shape={"dim": [{"size": size} for size in sizes]})


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
        _shaped(1 << 40, 0),
        _shaped(0, 1 << 62),
        _shaped(0, 1 << 20, 1 << 20),
        _shaped(1 << 23, values=[1]),
        _shaped(1 << 62, 4, values=[1]),  # a product of 2**64
        _proto(1, dtype=101, float_val=[1]),
    ],
)
def test_a_bad_tensor_is_refused(proto: Any) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ValueError):  # noqa: PT011 - any reason, before memory is spent
            tensors.decode(proto)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_an_unsent_tensor_is_refused_with_a_remedy() -> None:
    with pytest.raises(tensors.UnsentError) as refused:
        tensors.decode(_shaped(1 << 40, 0))
    assert str(refused.value) == (
        "the shape [1099511627776,0] stands for 4398046511104 bytes, and 0 values were sent. Send all values of what "
        "has more than 16777216 bytes"
    )
    assert tensors.decode(_shaped(1 << 22, values=[1])).shape == (1 << 22,)
    assert tensors.decode(_shaped(64, 0, 300)).shape == (64, 0, 300)


def test_any_type_there_is_or_not_is_read_or_refused() -> None:
    """A number of two bytes, too, of which the second looks like the tag of the shape that follows."""
    for number in range(1 << 14):
        proto = protos.TensorProto(dtype=number, tensor_content=b"\0" * 64)
        proto.tensor_shape.dim.extend([proto.tensor_shape.Dim(size=1)])
        with contextlib.suppress(ValueError):
            tensors.decode(proto)
