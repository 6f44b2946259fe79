"""SavedModels of TensorFlow 1's kind whose signatures have every type of elements, and references to variables."""

from pathlib import Path
from typing import Any

NUMBERS = ("bfloat16", "complex64", "complex128", "half", "float8_e5m2", "float8_e4m3fn", "int4", "uint4")
QUANTISED = ("qint8", "quint8", "qint16", "quint16", "qint32")


def export_dtypes(directory: Path) -> Path:
    """A model with a signature `TYPE` for each type, from `x` to the same `y`, and `number` where it can be cast.

    `to_TYPE` makes `y` of floats.
    """
    import tensorflow as tf

    v1 = tf.compat.v1
    signatures = {}
    with tf.Graph().as_default(), v1.Session() as session:
        for name in (*NUMBERS, *QUANTISED):
            dtype = getattr(tf, name, None) or getattr(tf.dtypes.experimental, name)
            x = v1.placeholder(dtype, [None, 2], f"x_{name}")
            outputs = {"y": tf.identity(x)}
            if name == "bfloat16":
                outputs["number"] = tf.cast(x, tf.float32)
            elif name.startswith("complex"):
                outputs["number"] = tf.abs(x)
            elif name in ("qint8", "quint8"):
                outputs["number"] = tf.quantization.dequantize(x, 0.0, 255.0)
            signatures[name] = _signature({"x": x}, outputs)
        for name in (*NUMBERS, "qint8"):
            number = v1.placeholder(tf.float32, [None, 2], f"number_{name}")
            signatures[f"to_{name}"] = _signature({"x": number}, {"y": _cast(number, name)})
        _save(session, directory, signatures)
    return directory


def export_counter(directory: Path) -> Path:
    """TensorFlow Serving's `saved_model_counter`: a reference variable, counted up, by an input, read and reset.

    Beside it, `zeros` gives as many as it is asked for, and `total` a sum. A second graph, tagged `serve` and `other`,
    gives zeros alone.
    """
    import tensorflow as tf

    v1 = tf.compat.v1
    with tf.Graph().as_default(), v1.Session() as session:
        counter = v1.Variable(0.0, name="counter", use_resource=False)
        count = v1.placeholder(tf.int64, [], "count")
        delta = v1.placeholder(tf.float32, [], "delta")
        terms = v1.placeholder(tf.float32, [None], "terms")
        signatures = {
            "get_counter": _signature({}, {"output": counter}),
            "incr_counter": _signature({}, {"output": v1.assign_add(counter, 1.0)}),
            "incr_counter_by": _signature({"delta": delta}, {"output": v1.assign_add(counter, delta)}),
            "reset_counter": _signature({}, {"output": v1.assign(counter, 0.0)}),
            "zeros": _signature({"count": count}, {"output": tf.fill([count], 0.0)}),
            "total": _signature({"terms": terms}, {"output": tf.reduce_sum(terms)}),
            "fed": _signature({"counter": counter}, {"output": tf.identity(counter)}),
        }
        session.run(v1.global_variables_initializer())
        builder = v1.saved_model.Builder(str(directory))
        builder.add_meta_graph_and_variables(session, ["serve"], signatures)
        builder.add_meta_graph(["serve", "other"], {"zeros": signatures["zeros"]})
        builder.save()
    return directory


def _signature(inputs: dict[str, Any], outputs: dict[str, Any]) -> Any:
    import tensorflow as tf

    saved_model = tf.compat.v1.saved_model
    return saved_model.build_signature_def(
        {name: saved_model.build_tensor_info(tensor) for name, tensor in inputs.items()},
        {name: saved_model.build_tensor_info(tensor) for name, tensor in outputs.items()},
        "tensorflow/serving/predict",
    )


def _cast(number: Any, name: str) -> Any:
    import tensorflow as tf

    if name == "qint8":
        return tf.quantization.quantize(number, 0.0, 255.0, tf.qint8).output
    if name.endswith("int4"):
        number = tf.cast(number, tf.int8)
    return tf.cast(number, getattr(tf, name, None) or getattr(tf.dtypes.experimental, name))


def _save(session: Any, directory: Path, signatures: dict[str, Any]) -> None:
    import tensorflow as tf

    builder = tf.compat.v1.saved_model.Builder(str(directory))
    builder.add_meta_graph_and_variables(session, ["serve"], signatures)
    builder.save()
