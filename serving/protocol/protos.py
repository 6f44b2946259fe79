"""TensorFlow Serving's messages without TensorFlow.

Importing `tensorflow_serving.apis` pulls in all of TensorFlow (seconds, hundreds of megabytes) and
registers its messages in the process-wide pool. Here the same messages are built from a checked-in
FileDescriptorSet, `protos.binpb`, in a pool of their own, so that a client or a monitor stays small and
TensorFlow may still be imported beside it. On the wire they are the same bytes.

Every top-level message and enum is an attribute of this module, under its own name: those of
`tensorflow.serving` first, then those of `tensorflow`, then `google.protobuf`.

Regenerate the set after a new release of tensorflow-serving-api:

    python -m unroll.serving.protocol.protos

Example:
    >>> from unroll.serving.protocol import protos
    >>> request = protos.PredictRequest()
    >>> request.model_spec.name = "sentiment"
    >>> request.inputs["text"].dtype = protos.DataType.Value("DT_STRING")
"""

from pathlib import Path
from typing import Any as _Any  # `Any` is also a message

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.internal import enum_type_wrapper

FILE = Path(__file__).with_name("protos.binpb")
PACKAGES = ("tensorflow.serving", "tensorflow", "google.protobuf")
SOURCES = (
    "tensorflow_serving.apis.prediction_service_pb2",
    "tensorflow_serving.apis.model_service_pb2",
    "tensorflow_serving.apis.prediction_log_pb2",
    "tensorflow_serving.apis.logging_pb2",
    "tensorflow_serving.config.model_server_config_pb2",
    "tensorflow.core.example.example_pb2",
    # The server's own reflection and health services, so that reflection can describe all it offers.
    "grpc_health.v1.health_pb2",
    "grpc_reflection.v1alpha.reflection_pb2",
)


def describe() -> descriptor_pb2.FileDescriptorSet:
    """Describes the installed packages' messages, each file after those it depends on.

    Needs tensorflow-serving-api, and so TensorFlow.
    """
    import importlib

    files: dict[str, _Any] = {}

    def visit(file: _Any) -> None:
        if file.name not in files:
            for dependency in file.dependencies:
                visit(dependency)
            files[file.name] = file

    for source in SOURCES:
        visit(importlib.import_module(source).DESCRIPTOR)
    described = descriptor_pb2.FileDescriptorSet()
    for file in files.values():
        file.CopyToProto(described.file.add())
    return described


def _read() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString(FILE.read_bytes()).file:
        pool.Add(file)
    return pool


POOL = _read()
"""The pool that holds every message of this module, and the services' descriptors."""


def __getattr__(name: str) -> _Any:
    for package in PACKAGES:
        full_name = f"{package}.{name}"
        try:
            found: _Any = message_factory.GetMessageClass(POOL.FindMessageTypeByName(full_name))
        except KeyError:
            try:
                found = enum_type_wrapper.EnumTypeWrapper(POOL.FindEnumTypeByName(full_name))
            except KeyError:
                continue
        globals()[name] = found  # the next access costs a plain attribute look-up
        return found
    raise AttributeError(f"unroll.serving.protocol.protos has no message or enum {name!r} in {', '.join(PACKAGES)}")


if __name__ == "__main__":
    FILE.write_bytes(describe().SerializeToString(deterministic=True))
