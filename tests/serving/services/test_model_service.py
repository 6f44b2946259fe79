"""ModelService: messages in, messages out."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import text_format

from tests.serving.running_versions import ask, eventually, put, running, spec
from unroll.serving.protocol import protos
from unroll.serving.protocol.call import Call
from unroll.serving.protocol.model_spec import MODEL_SERVICE
from unroll.serving.protocol.status import StatusError
from unroll.serving.services.model_service import ModelService
from unroll.serving.versions.model_config import ModelConfig
from unroll.serving.versions.served_models import ServedModels
from unroll.serving.versions.version_policy import All


@contextlib.asynccontextmanager
async def service(*models: ModelConfig) -> AsyncIterator[tuple[ServedModels, ModelService]]:
    async with running(*models) as versions:
        yield versions, ModelService(versions)


async def call(answering: ModelService, method: str, request: Any) -> Any:
    path = f"/{MODEL_SERVICE}/{method}"
    answer = await answering.methods()[path](request.SerializeToString(), Call(path))
    kind = {"GetModelStatus": "GetModelStatusResponse", "HandleReloadConfigRequest": "ReloadConfigResponse"}[method]
    return getattr(protos, kind).FromString(answer)


def reload_request(models: str) -> Any:
    return text_format.Parse(f"config {{ model_config_list {{ {models} }} }}", protos.ReloadConfigRequest())


def entry(name: str, base_path: Path, more: str = "") -> str:
    return f"config {{ name: '{name}' base_path: '{base_path}' model_platform: 'tensorflow' {more} }}"


async def test_the_status_of_all_versions_of_one_and_of_a_label(light_exports: dict[int, Path], tmp_path: Path):
    base = tmp_path / "m"
    put(base, 1, light_exports[1])
    broken = put(base, 2, light_exports[2])
    (broken / "saved_model.pb").write_bytes(b"not a graph")
    async with service(ModelConfig("m", base, All(), {"stable": 1})) as (_, answering):

        async def status(model_spec: Any) -> list[tuple[int, int, str]]:
            answer = await call(answering, "GetModelStatus", protos.GetModelStatusRequest(model_spec=model_spec))
            assert all(one.HasField("status") for one in answer.model_version_status)
            return [(one.version, one.state, one.status.error_message) for one in answer.model_version_status]

        second, first = await status(spec("m"))  # the newest comes first
        assert first == (1, 30, "")
        assert second[:2] == (2, 50)
        assert second[2]
        assert await status(spec("m", 2)) == [second]
        assert await status(spec("m", label="stable")) == [first]
        for asked, code, said in (
            (spec("m", 9), grpc.StatusCode.NOT_FOUND, "Could not find version 9 of model m"),
            (spec("n"), grpc.StatusCode.NOT_FOUND, "Could not find any versions of model n"),
            (spec("m", label="x"), grpc.StatusCode.INVALID_ARGUMENT, "Unrecognized servable version label: x"),
            (None, grpc.StatusCode.INVALID_ARGUMENT, "Missing ModelSpec"),
        ):
            with pytest.raises(StatusError) as refused:
                await status(asked)
            assert (refused.value.code, refused.value.message) == (code, said)


async def test_a_reload_replaces_what_is_served_and_answers_when_it_is(light_exports: dict[int, Path], tmp_path: Path):
    for name in ("a", "b"):
        put(tmp_path / name, 1, light_exports[1])
    put(tmp_path / "b", 2, light_exports[2])
    async with service(ModelConfig("a", tmp_path / "a")) as (versions, answering):
        more = "model_version_policy { all {} }"
        answer = await call(answering, "HandleReloadConfigRequest", reload_request(entry("b", tmp_path / "b", more)))
        assert answer.HasField("status")
        assert (answer.status.error_code, answer.status.error_message) == (0, "")
        assert list(versions.serving) == ["b"]
        assert [await ask(versions, spec("b", version)) for version in (1, 2)] == [1, 2]

        labels = more + "version_labels { key: 'stable' value: %d }"
        with pytest.raises(StatusError) as refused:
            await call(answering, "HandleReloadConfigRequest", reload_request(entry("b", tmp_path / "b", labels % 3)))
        assert refused.value.code is grpc.StatusCode.FAILED_PRECONDITION
        await call(answering, "HandleReloadConfigRequest", reload_request(entry("b", tmp_path / "b", labels % 1)))
        assert await ask(versions, spec("b", label="stable")) == 1


@pytest.mark.parametrize(
    ("request_text", "said"),
    [
        ("", "Only ModelConfigList is currently supported"),
        ("config { custom_model_config {} }", "Only ModelConfigList is currently supported"),
        (
            "config { model_config_list { config { name: 'm' base_path: 'm' model_platform: 'tensorflow' } } }",
            "absolute",
        ),
        (
            "config { model_config_list { config { name: 'm' base_path: '/m' model_platform: 'x' } } }",
            "Model m requests unsupported platform x",
        ),
    ],
)
async def test_a_reload_that_cannot_be_is_refused_and_changes_nothing(
    request_text: str, said: str, light_exports: dict[int, Path], tmp_path: Path
):
    put(tmp_path / "a", 1, light_exports[1])
    async with service(ModelConfig("a", tmp_path / "a")) as (versions, answering):
        with pytest.raises(StatusError, match=said) as refused:
            await call(
                answering, "HandleReloadConfigRequest", text_format.Parse(request_text, protos.ReloadConfigRequest())
            )
        assert refused.value.code is grpc.StatusCode.INVALID_ARGUMENT
        assert await ask(versions, spec("a")) == 1


async def test_a_caller_who_cancels_does_not_stop_the_reload(light_exports: dict[int, Path], tmp_path: Path):
    for name in ("a", "b"):
        put(tmp_path / name, 1, light_exports[1])
    async with service(ModelConfig("a", tmp_path / "a")) as (versions, answering):
        asking = asyncio.create_task(
            call(answering, "HandleReloadConfigRequest", reload_request(entry("b", tmp_path / "b")))
        )
        await eventually(lambda: versions.states("b"))
        asking.cancel()
        await eventually(lambda: list(versions.serving) == ["b"])
        assert await ask(versions, spec("b")) == 1


async def test_bytes_that_are_no_message_are_refused(tmp_path: Path):
    async with service() as (_, answering):
        for method, path in ((method, path) for path, method in answering.methods().items()):
            with pytest.raises(StatusError) as refused:
                await method(b"\xff", Call(path))
            assert refused.value.code is grpc.StatusCode.INVALID_ARGUMENT
