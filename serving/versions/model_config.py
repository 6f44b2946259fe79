"""What to serve: named models, each with the directory of its versions, a version policy and version labels.

It is said on the command line, in a file, by a client (HandleReloadConfigRequest), or by a whole store. The file is a
ModelServerConfig in protobuf's text format, as for tensorflow_model_server.

https://www.tensorflow.org/tfx/serving/serving_config
"""

import argparse
import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from unroll.errors import UserError
from unroll.serving.protocol import protos, text_protos
from unroll.serving.protocol.status import StatusError, invalid
from unroll.serving.versions.store import Store, version_directories
from unroll.serving.versions.version_policy import All, Latest, Specific, VersionPolicy

_log = logging.getLogger(__name__)
_PLATFORM = "tensorflow"
_FLAG = "--model_config_file"


@dataclass(frozen=True)
class ModelConfig:
    """One model.

    Args:
        name: how requests name it.
        base_path: absolute path of the directory whose numbered folders are its versions.
        policy: which of them are served.
        labels: version by label.
    """

    name: str
    base_path: Path
    policy: VersionPolicy = field(default_factory=Latest)
    labels: Mapping[str, int] = field(default_factory=dict)


class ModelConfigs(Protocol):
    """The models to serve."""

    def models(self) -> Mapping[str, ModelConfig]:
        """Each model by its name. May read the disk.

        Raises:
            OSError: it cannot be told at the moment.
        """
        ...


class ListedModels:
    """Models that were named one by one.

    Args:
        models: the models.

    Raises:
        StatusError: INVALID_ARGUMENT for a name that comes twice.

    Example:
        >>> ListedModels([ModelConfig("m", Path("/models/m"), Latest(2), {"stable": 1})]).models()["m"].labels
        {'stable': 1}
    """

    def __init__(self, models: Iterable[ModelConfig]) -> None:
        self._models: dict[str, ModelConfig] = {}
        for model in models:
            if model.name in self._models:
                raise invalid(f"Illegal to list model {model.name} multiple times in config list")
            self._models[model.name] = model

    def models(self) -> Mapping[str, ModelConfig]:
        return self._models


class StoreModels:
    """Every model of a store at its newest version, as models come and go.

    Args:
        store: the store.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def models(self) -> Mapping[str, ModelConfig]:
        root = self._store.root.absolute()
        if not root.is_dir():
            raise NotADirectoryError(f"store {root}: the directory is gone")
        return {name: ModelConfig(name, root / name) for name in self._store.models()}


def wanted_models(given: argparse.Namespace) -> ModelConfigs | None:
    """What to serve; None where another server knows.

    Args:
        given: see `unroll.serving.server.flags`.

    Raises:
        UserError: nothing, or nothing that can be served, is named.
    """
    if given.engine == "remote":
        return None
    if given.model_config_file or given.model_base_path or given.model_name or given.store is None:
        return command_line_models(given.model_config_file, given.model_name, given.model_base_path)
    found = Store(given.store)
    if not found.models():
        raise UserError(
            f"{given.store}: no model to serve. Train one with `unroll train`, or put one there with "
            "`unroll promote`, or name another place with --home or --store."
        )
    return store_models(found)


def store_models(store: Store) -> ModelConfigs:
    """What `unroll serve` serves: every model of the store, the newest version of each."""
    return StoreModels(store)


def command_line_models(
    model_config_file: Path | None, model_name: str | None, model_base_path: str | None
) -> ModelConfigs:
    """What the flags of those names ask for.

    Args:
        model_config_file: a ModelServerConfig in text format; the others do not count beside it.
        model_name: name of the only model; without it, "default".
        model_base_path: absolute path of its directory.

    Raises:
        UserError: neither file nor base path, or one that cannot be served or has no version.
    """
    if model_config_file:
        if model_name or model_base_path:
            _log.warning(
                "%s %s says what is served: --model_name and --model_base_path do not", _FLAG, model_config_file
            )
        return read_model_config_file(model_config_file)
    if not model_base_path:
        raise UserError(f"--model_base_path is missing. Give it, or {_FLAG}, to say what to serve.")
    try:
        config = ModelConfig(model_name or "default", _base_path(model_name or "default", model_base_path))
    except StatusError as error:
        raise UserError(f"--model_base_path: {error.message}. Give an absolute path on this machine.") from None
    _check_versions(config.base_path)
    return ListedModels([config])


def read_model_config_file(path: Path) -> ModelConfigs:
    """Reads a ModelServerConfig in text format.

    Raises:
        UserError: it cannot be read, or asks for what cannot be served.
    """
    config = text_protos.read(path, protos.ModelServerConfig, _FLAG)
    if config.HasField("custom_model_config"):
        raise UserError(f"{_FLAG} {path}: custom_model_config is not supported. List the models in model_config_list.")
    if not config.HasField("model_config_list"):  # a file that is being written is empty for a moment
        raise UserError(f"{_FLAG} {path}: there is no model_config_list. List the models there.")
    try:
        return listed_models(config.model_config_list)
    except StatusError as error:
        raise UserError(f"{_FLAG} {path}: {error.message}. Correct this entry.") from None


def listed_models(config_list: Any) -> ModelConfigs:
    """Checks a ModelConfigList.

    Raises:
        StatusError: INVALID_ARGUMENT, in TensorFlow Serving's words where it checks the same.
    """
    return ListedModels(map(_model, config_list.config))


async def follow_model_config_file(
    path: Path, seconds: float, applied: ModelConfigs, reload: Callable[[ModelConfigs], Awaitable[None]]
) -> None:
    """Has the file's models served whenever it says something new, until cancelled.

    What is served stays as it is while the file cannot be read, which is said once.

    Args:
        path: the file.
        seconds: how often it is read.
        applied: what it said before.
        reload: has other models served; tried again at the next reading if it raises StatusError.
    """
    known, said = applied.models(), ""
    while True:
        await asyncio.sleep(seconds)
        try:
            configs = await asyncio.to_thread(read_model_config_file, path)
            if configs.models() != known:
                await reload(configs)
                known = configs.models()
            said = ""
        except (UserError, StatusError) as error:
            if str(error) != said:
                _log.error("%s", error)
            said = str(error)


def _model(config: Any) -> ModelConfig:
    name = config.name
    if not name:
        raise invalid("ModelConfig has no name specified")
    platform = config.model_platform
    if config.model_type != protos.ModelType.Value("MODEL_TYPE_UNSPECIFIED"):
        if platform:
            raise invalid(
                "Illegal setting both ModelServerConfig::model_type (deprecated) and "
                f"ModelServerConfig::model_platform, model name is {name}"
            )
        if config.model_type != protos.ModelType.Value("TENSORFLOW"):
            raise invalid(f"ModelServerConfig::model_type choice {config.model_type} not supported.")
        platform = _PLATFORM
    if not platform:
        raise invalid(
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
            f"ModelServerConfig::model_platform, model name is {name}"
        )
    if platform != _PLATFORM:
        raise invalid(f"Model {name} requests unsupported platform {platform}")
    return ModelConfig(
        name, _base_path(name, config.base_path), _policy(config.model_version_policy), dict(config.version_labels)
    )


def _check_versions(base_path: Path) -> None:
    try:
        if version_directories(base_path):
            return
    except OSError as error:
        raise UserError(
            f"--model_base_path {base_path}: {error.strerror}. Name the folder that holds the model's versions."
        ) from None
    is_version = base_path.name.isdecimal() and (base_path / "saved_model.pb").exists()
    raise UserError(
        f"--model_base_path {base_path}: holds no version. A version is a folder whose name is a number. "
        + (f"Did you mean {base_path.parent}?" if is_version else "Put one there.")
    )


def _base_path(name: str, given: str) -> Path:
    if "://" in given:
        raise invalid(f"Expected model {name} to have a path on this machine; got base_path()={given}")
    if not given.startswith("/"):
        raise invalid(f"Expected model {name} to have an absolute path or URI; got base_path()={given}")
    return Path(given)


def _policy(policy: Any) -> VersionPolicy:
    match policy.WhichOneof("policy_choice"):
        case "all":
            return All()
        case "specific":
            return Specific(frozenset(policy.specific.versions))
        case _:
            return Latest(max(policy.latest.num_versions, 1))
