"""`python -m unroll.serving.server`, started as a script written for tensorflow_model_server starts one."""

import shutil
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tests.serving_fixtures import Server, start_model_server, suggested, until
from unroll.serving.client.client import Client, ServingError
from unroll.serving.protocol import model_spec, protos

IDS = [f"request-{number}" for number in range(60)]
PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", 300, 200)


def entry(name: str, base: Path, more: str = "") -> str:
    return f'config {{ name: "{name}" base_path: "{base}" model_platform: "tensorflow" {more} }}'


def listed(*entries: str) -> str:
    return f"model_config_list {{ {' '.join(entries)} }}"


@pytest.fixture(scope="module")
def folder(light_exports: dict[int, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("script")
    for model, versions in {"both": (1, 2), "narrow": (1,), "late": (2,)}.items():
        for version in versions:
            shutil.copytree(light_exports[version], folder / model / f"{version:05}")
    (folder / "narrow" / "00001" / "batching_params.pbtxt").write_text("max_batch_size { value: 2 }")
    (folder / "batching.txt").write_text("max_batch_size { value: 8 } num_batch_threads { value: 2 }")
    (folder / "monitoring.txt").write_text('prometheus_config { enable: true path: "/metrics" }')
    return folder


@pytest.fixture(scope="module")
def config(folder: Path) -> str:
    """What is served at the start."""
    chosen = 'model_version_policy { specific { versions: 1 versions: 2 } } version_labels { key: "canary" value: 2 }'
    stable = 'version_labels { key: "stable" value: 1 }'
    return listed(entry("both", folder / "both", f"{chosen} {stable}"), entry("narrow", folder / "narrow"))


@pytest.fixture(scope="module")
def script(folder: Path, config: str) -> Iterator[Server]:
    (folder / "models.config").write_text(config)
    running = start_model_server(
        f"--model_config_file={folder / 'models.config'}",
        "--model_config_file_poll_wait_seconds=1",
        "--file_system_poll_wait_seconds=0.1",
        "--allow_version_labels_for_unavailable_models",
        "--canary_share=0.5",
        "--enable_batching=true",
        f"--batching_parameters_file={folder / 'batching.txt'}",
        "--enable_per_model_batching_parameters",
        f"--monitoring_config_file={folder / 'monitoring.txt'}",
        f"--grpc_socket_path={folder / 'grpc.sock'}",
        "--enable_serialization_as_tensor_content",
        "--strict_shapes",
        "--max_request_rows=6",
        "--max_text_bytes=20",
        "--max_image_pixels=50000",
        "--rest_api_num_threads=16",
        "--rest_api_timeout_in_ms=20000",
        "--grpc_max_threads=64",
        "--tensorflow_session_parallelism=1",
        "--grpc_channel_arguments=grpc.max_concurrent_streams=64",
    )
    assert running.port, running.text
    yield running
    assert running.stop() == 0, running.text
    assert not (folder / "grpc.sock").exists()


@pytest.fixture(scope="module")
def client(script: Server) -> Iterator[Client]:
    with Client(script.address, model="both") as one:
        yield one


def scores(script: Server, target: str, *texts: Any, **headers: str) -> Any:
    reply = script.rest("POST", f"/v1/models/{target}:predict", {"instances": texts}, **headers)
    return reply.json["predictions"] if reply.status == 200 else (reply.status, reply.error)


def refusal(client: Client, *texts: Any) -> str:
    with pytest.raises(ServingError) as refused:
        client.predict({"text": list(texts)}, version=1)
    assert refused.value.code is grpc.StatusCode.INVALID_ARGUMENT
    return str(refused.value)


def test_both_endpoints_answer_for_every_model_version_and_label(script: Server, client: Client) -> None:
    for version, label in ((1, "stable"), (2, "canary")):
        assert client.predict({"text": ["a"]}, version=version)["score"] == [version]
        assert client.predict({"text": ["a"]}, label=label)["score"] == [version]
        assert scores(script, f"both/versions/{version}", "a") == [version]
        assert scores(script, f"both/labels/{label}", "a") == [version]
    assert scores(script, "narrow", "a") == [1.0]
    assert client.status() == {1: "AVAILABLE", 2: "AVAILABLE"}


def test_the_announcement_tells_versions_labels_and_who_may_ask(script: Server) -> None:
    assert suggested(script)[:3] == ["unroll", "predict", "both"]
    assert f"Serving on {script.address}\n" in script.output
    cells = [line.split("│") for line in script.output if line.startswith("│")]
    assert [(name.strip(), versions.strip()) for _, name, versions, _ in cells] == [
        ("both", "1 (stable), 2 (canary)"),
        ("narrow", "1"),
    ]
    assert "TLS: off; tokens: off\n" in script.output
    (url,) = (line.split()[1].rstrip(",") for line in script.output if line.startswith("REST: "))
    assert url == f"http://127.0.0.1:{script.rest_port}/v1/models/both"
    assert script.rest("GET", "/v1/models/both").status == 200


def test_a_share_of_unlabelled_requests_goes_to_the_canary_by_either_endpoint(script: Server, client: Client) -> None:
    chosen = [client.predict({"text": ["a"]}, request_id=one)["score"][0] for one in IDS]
    assert chosen == [scores(script, "both", "a", x_request_id=one)[0] for one in IDS]
    assert 10 < chosen.count(2.0) < 50  # 30 expected, standard deviation 3.9


def test_batching_parameters_are_the_file_s_or_the_version_s_own(script: Server, client: Client) -> None:
    assert scores(script, "narrow", "a", "b") == [1.0, 1.0]
    assert scores(script, "narrow", "a", "b", "c") == (
        400, "Task size 3 is larger than maximum input batch size 2"
    )  # fmt: skip
    assert scores(script, "both/versions/1", *"abcdef") == [1.0] * 6


def test_the_unix_socket_answers(folder: Path) -> None:
    with Client(f"unix:{folder / 'grpc.sock'}", model="narrow") as client:
        assert client.predict({"text": ["a"]})["score"] == [1.0]


def test_answers_come_as_tensor_content(client: Client) -> None:
    request = protos.PredictRequest()
    request.model_spec.name = "narrow"
    request.inputs["text"].dtype = protos.DataType.Value("DT_STRING")
    request.inputs["text"].tensor_shape.dim.add(size=1)
    request.inputs["text"].string_val.append(b"a")
    with grpc.insecure_channel(client.address) as channel:
        ask = channel.unary_unary(f"{model_spec.PREDICTION}Predict")
        score = protos.PredictResponse.FromString(ask(request.SerializeToString(), timeout=30)).outputs["score"]
    assert (list(score.float_val), score.tensor_content) == ([], struct.pack("<f", 1))


def test_limits_and_shapes_refuse_at_both_endpoints(script: Server, client: Client) -> None:
    for texts, said in (
        (["a"] * 7, "has 7 rows; this server takes at most 6"),
        (["fine", "x" * 21], "text 1 has 21 bytes; this server takes at most 20"),
        ([PNG], "300x200 = 60000 pixels; this server takes at most 50000"),
        ([["a"], ["b"]], "[?]"),
    ):
        assert said in refusal(client, *texts)
        if texts != [PNG]:
            status, error = scores(script, "both/versions/1", *texts)
            assert (status, said in error) == (400, True), error
    assert refusal(client, ["a"]).count("[") >= 2  # the shape expected and the one received


def test_metrics_are_where_the_monitoring_file_says(script: Server) -> None:
    scores(script, "narrow", "a")
    assert b'request_count{model_name="narrow",status="OK"}' in script.rest("GET", "/metrics").body
    assert script.rest("GET", "/monitoring/prometheus/metrics").status == 404


def test_reflection_describes_the_services(script: Server) -> None:
    with grpc.insecure_channel(script.address) as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert {
            "tensorflow.serving.PredictionService",
            "tensorflow.serving.ModelService",
            "grpc.health.v1.Health",
        } <= set(database.get_services())
        file = database.FindFileContainingSymbol("tensorflow.serving.PredictionService")
        (service,) = file.service
        methods = {method.name: method.input_type for method in service.method}
        assert methods["Predict"] == ".tensorflow.serving.PredictRequest"
        assert methods.keys() == {"Predict", "Classify", "Regress", "MultiInference", "GetModelMetadata"}
        request = database.FindFileContainingSymbol("tensorflow.serving.PredictRequest")
        assert "PredictRequest" in {message.name for message in request.message_type}


def test_the_configuration_file_is_followed(script: Server, folder: Path, config: str) -> None:
    file = folder / "models.config"
    file.write_text("model_config_list { config { nam")
    until(lambda: "models.config" in "".join(line for line in script.output if " ERROR " in line))
    assert scores(script, "narrow", "a") == [1.0]
    file.write_text(config[:-1] + entry("late", folder / "late") + "}")
    until(lambda: scores(script, "late", "a") == [2.0])
    file.write_text(config)
    until(lambda: scores(script, "late", "a") == (404, "Servable not found for request: Latest(late)"))


def test_a_client_may_reload_the_configuration(script: Server, client: Client, folder: Path, config: str) -> None:
    client.reload_config(listed(entry("late", folder / "late")))
    assert scores(script, "late", "a") == [2.0]
    with pytest.raises(ServingError, match=r"Servable not found for request: Latest\(both\)"):
        client.predict({"text": ["a"]})
    with pytest.raises(ServingError, match="absolute path"):
        client.reload_config(listed(entry("late", Path("relative"))))
    assert scores(script, "late", "a") == [2.0]
    client.reload_config(config)
    assert client.predict({"text": ["a"]}, label="canary")["score"] == [2.0]
