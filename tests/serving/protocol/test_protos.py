import subprocess
import sys

from unroll.serving.protocol import protos


def test_the_checked_in_set_is_what_the_installed_packages_say():
    from google.protobuf import descriptor_pb2

    checked_in = descriptor_pb2.FileDescriptorSet.FromString(protos.FILE.read_bytes())
    assert checked_in == protos.describe(), "run `python -m unroll.serving.protocol.protos`"


def test_bytes_round_trip_with_the_official_classes():
    from tensorflow_serving.apis import prediction_log_pb2

    log = protos.PredictionLog()
    log.log_metadata.model_spec.name = "m"
    log.log_metadata.model_spec.version.value = 3
    log.log_metadata.timestamp_secs = 17
    tensor = log.predict_log.request.inputs["text"]
    tensor.dtype = protos.DataType.Value("DT_STRING")
    tensor.tensor_shape.dim.add().size = 1
    tensor.string_val.append("naïve \N{SNOWMAN}".encode())
    log.predict_log.response.outputs["score"].float_val.extend([0.25, 1.0])

    official = prediction_log_pb2.PredictionLog.FromString(log.SerializeToString())
    assert official.predict_log.request.inputs["text"].string_val[0].decode() == "naïve \N{SNOWMAN}"
    assert list(official.predict_log.response.outputs["score"].float_val) == [0.25, 1.0]
    assert official.log_metadata.model_spec.version.value == 3
    assert protos.PredictionLog.FromString(official.SerializeToString()) == log


def test_every_message_of_the_protocol_has_a_name_here():
    for api in (
        "Predict",
        "Classification",
        "Regression",
        "MultiInference",
        "GetModelMetadata",
        "GetModelStatus",
    ):
        for message in (f"{api}Request", f"{api}Response"):
            assert getattr(protos, message).DESCRIPTOR.full_name == f"tensorflow.serving.{message}"
    for message in (
        "PredictionLog",
        "LogMetadata",
        "ModelSpec",
        "SignatureDefMap",
        "ReloadConfigRequest",
        "Input",
    ):
        assert getattr(protos, message).DESCRIPTOR.full_name == f"tensorflow.serving.{message}"
    for message in ("TensorProto", "SignatureDef", "TensorInfo", "Example", "Features"):
        assert getattr(protos, message).DESCRIPTOR.full_name == f"tensorflow.{message}"
    assert protos.DataType.Value("DT_STRING") == 7
    assert not hasattr(protos, "NoSuchMessage")


def test_tensorflow_stays_out():
    program = "from unroll.serving.protocol import protos; protos.Example(); sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", f"import sys; {program}"]).returncode == 0
