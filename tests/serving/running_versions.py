"""Versions in this process, over directories that a test fills."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from unroll.serving.protocol import protos, tensors
from unroll.serving.protocol.call import Call
from unroll.serving.services.prediction_service import PredictionService
from unroll.serving.versions.loaded_version import LoadParameters
from unroll.serving.versions.model_config import ListedModels, ModelConfig, ModelConfigs
from unroll.serving.versions.served_model import VersionParameters
from unroll.serving.versions.served_models import ServedModels

PREDICT = "/tensorflow.serving.PredictionService/Predict"


@contextlib.asynccontextmanager
async def running(
    *models: ModelConfig,
    configs: ModelConfigs | None = None,
    poll_seconds: float = 0.05,
    told: list[tuple[str, bool]] | None = None,
    loading: LoadParameters | None = None,
    **parameters: Any,
) -> AsyncIterator[ServedModels]:
    """Versions that have looked once, and go on looking; `told` collects who can be asked when."""

    async def on_serving(model: str, serving: bool) -> None:
        if told is not None:
            told.append((model, serving))

    versions = ServedModels(
        configs or ListedModels(models), loading or LoadParameters(), VersionParameters(**parameters), on_serving
    )
    await versions.poll()
    following = asyncio.create_task(versions.follow(poll_seconds))
    yield versions
    following.cancel()
    await versions.close()


def put(base_path: Path, version: int | str, export: Path) -> Path:
    """Puts a version where it is looked for, whole at once."""
    base_path.mkdir(parents=True, exist_ok=True)
    copy = base_path / f"copy-of-{version}"
    shutil.copytree(export, copy)
    return copy.rename(base_path / str(version))


def spec(name: str, version: int | None = None, label: str = "") -> Any:
    made = protos.ModelSpec(name=name)
    if version is not None:
        made.version.value = version
    if label:
        made.version_label = label
    return made


async def ask(versions: ServedModels, model_spec: Any, request_id: str = "", rows: int = 1) -> int:
    """Predicts, checks the answer, and returns the version that answered: an odd one is `light_exports`' first."""
    request = protos.PredictRequest(model_spec=model_spec)
    request.inputs["text"].MergeFromString(tensors.encode(tensors.from_python(["good"] * rows)))
    predict = PredictionService(versions).methods()[PREDICT]
    call = Call(PREDICT, metadata={"x-request-id": request_id})
    answer = protos.PredictResponse.FromString(await predict(request.SerializeToString(), call))
    version: int = answer.model_spec.version.value
    assert list(answer.outputs["score"].float_val) == [2 - version % 2] * rows
    return version


async def eventually(condition: Callable[[], Any]) -> Any:
    """Waits for a condition, and returns its value."""
    async with asyncio.timeout(60):
        while not (value := condition()):
            await asyncio.sleep(0.01)
    return value


def states(versions: ServedModels, name: str) -> dict[int, str]:
    return {version: state.state for version, state in versions.states(name).items()}
