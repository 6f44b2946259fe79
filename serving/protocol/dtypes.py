"""TensorFlow's types of elements: the numpy dtype of each, and where a TensorProto holds its values.

Numbers that numpy lacks (bfloat16, float8, int4, ...) have ml_dtypes' dtypes where that package is installed, and
quantised ones TensorFlow's: a record of one integer, as in `np.dtype([("qint8", "i1")])`.
"""

from typing import Any, NamedTuple

import numpy as np

from unroll.serving.protocol import protos

try:
    import ml_dtypes
except ImportError:  # TensorFlow brings it; a client does without, unless its model has such numbers
    ml_dtypes = None  # type: ignore[assignment]


class Kind(NamedTuple):
    """One type of elements.

    Args:
        dtype: of arrays.
        stored: what the items of the typed field are in such an array's memory; two of them make a complex number.
        field: the typed field of TensorProto.
        number: the field's.
        data_type: DataType's number.
    """

    dtype: np.dtype[Any]
    stored: np.dtype[Any]
    field: str
    number: int
    data_type: int


_REFERENCE = 100  # what DataType's number of a reference, such as a variable of TensorFlow 1, is higher by

# numpy's dtype, what is stored, field and its number; of ml_dtypes' dtypes the names, since each release knows more.
_TYPES: dict[str, tuple[Any, Any, str, int]] = {
    "DT_FLOAT": (np.float32, np.float32, "float_val", 5),
    "DT_DOUBLE": (np.float64, np.float64, "double_val", 6),
    "DT_INT32": (np.int32, np.int32, "int_val", 7),
    "DT_UINT8": (np.uint8, np.uint8, "int_val", 7),
    "DT_INT16": (np.int16, np.int16, "int_val", 7),
    "DT_INT8": (np.int8, np.int8, "int_val", 7),
    "DT_UINT16": (np.uint16, np.uint16, "int_val", 7),
    "DT_STRING": (np.object_, np.object_, "string_val", 8),
    "DT_INT64": (np.int64, np.int64, "int64_val", 10),
    "DT_BOOL": (np.bool_, np.bool_, "bool_val", 11),
    "DT_HALF": (np.float16, np.uint16, "half_val", 13),
    "DT_UINT32": (np.uint32, np.uint32, "uint32_val", 16),
    "DT_UINT64": (np.uint64, np.uint64, "uint64_val", 17),
    "DT_COMPLEX64": (np.complex64, np.float32, "scomplex_val", 9),
    "DT_COMPLEX128": (np.complex128, np.float64, "dcomplex_val", 12),
    "DT_QINT8": ([("qint8", np.int8)], np.int8, "int_val", 7),
    "DT_QUINT8": ([("quint8", np.uint8)], np.uint8, "int_val", 7),
    "DT_QINT16": ([("qint16", np.int16)], np.int16, "int_val", 7),
    "DT_QUINT16": ([("quint16", np.uint16)], np.uint16, "int_val", 7),
    "DT_QINT32": ([("qint32", np.int32)], np.int32, "int_val", 7),
    "DT_BFLOAT16": ("bfloat16", np.uint16, "half_val", 13),
    "DT_INT4": ("int4", np.int8, "int_val", 7),
    "DT_UINT4": ("uint4", np.uint8, "int_val", 7),
    "DT_INT2": ("int2", np.int8, "int_val", 7),
    "DT_UINT2": ("uint2", np.uint8, "int_val", 7),
    "DT_FLOAT8_E5M2": ("float8_e5m2", np.uint8, "float8_val", 18),
    "DT_FLOAT8_E4M3FN": ("float8_e4m3fn", np.uint8, "float8_val", 18),
    "DT_FLOAT8_E4M3FNUZ": ("float8_e4m3fnuz", np.uint8, "float8_val", 18),
    "DT_FLOAT8_E4M3B11FNUZ": ("float8_e4m3b11fnuz", np.uint8, "float8_val", 18),
    "DT_FLOAT8_E5M2FNUZ": ("float8_e5m2fnuz", np.uint8, "float8_val", 18),
    "DT_FLOAT4_E2M1FN": ("float4_e2m1fn", np.uint8, "float8_val", 18),
}


def _kinds() -> list[Kind]:
    kinds = []
    for name, (dtype, stored, field, number) in _TYPES.items():
        known = getattr(ml_dtypes, dtype, None) if isinstance(dtype, str) else dtype
        if known is not None:
            kinds.append(Kind(np.dtype(known), np.dtype(stored), field, number, protos.DataType.Value(name)))
    return kinds


BY_NUMBER = {kind.data_type: kind for kind in _kinds()}
"""By DataType's number; those of references are not among them, since no TensorProto has one."""

BY_DTYPE = {kind.dtype: kind for kind in BY_NUMBER.values()}


def dtype_of(data_type: int) -> np.dtype[Any]:
    """The numpy dtype of a DataType's number, or of a reference to it. KeyError where there is none."""
    return BY_NUMBER[data_type - _REFERENCE if data_type > _REFERENCE else data_type].dtype


def name_of(data_type: int) -> str:
    """TensorFlow's name of a DataType's number, as its messages say it: "float", "int64", "string"."""
    known = protos.DataType.DESCRIPTOR.values_by_number.get(data_type)
    return known.name.removeprefix("DT_").lower() if known else f"unknown dtype {data_type}"


def unsupported(data_type: int) -> str:
    """What to say of a DataType's number that is not in `BY_NUMBER`."""
    hint = "" if ml_dtypes else "; it may be with the package ml_dtypes (`pip install ml_dtypes`)"
    return f"dtype {name_of(data_type)} is not supported{hint}"
