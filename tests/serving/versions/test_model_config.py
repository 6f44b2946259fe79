"""What is to be served: read from a file, a command line, a store; refused where it cannot be."""

import asyncio
import os
from pathlib import Path

import grpc
import pytest
from google.protobuf import text_format

from tests.serving.running_versions import eventually
from unroll.errors import UserError
from unroll.serving.protocol import protos
from unroll.serving.protocol.status import StatusError
from unroll.serving.versions.model_config import (
    ListedModels,
    ModelConfig,
    ModelConfigs,
    command_line_models,
    follow_model_config_file,
    listed_models,
    read_model_config_file,
    store_models,
)
from unroll.serving.versions.store import Store
from unroll.serving.versions.version_policy import All, Latest, Specific


def entry(name: str = "m", base_path: str = "/models/m", more: str = "") -> str:
    return f"config {{ name: '{name}' base_path: '{base_path}' model_platform: 'tensorflow' {more} }}\n"


def test_a_file_is_read(tmp_path: Path):
    path = tmp_path / "models.config"
    path.write_text(
        "model_config_list {"
        + entry("newest")
        + entry("two", "/models/two", "model_version_policy { latest { num_versions: 2 } }")
        + entry("all", "/models/all", "model_version_policy { all {} }")
        + entry(
            "some",
            "/models/some",
            "model_version_policy { specific { versions: 3 versions: 1 } } "
            "version_labels { key: 'stable' value: 1 } version_labels { key: 'canary' value: 3 }",
        )
        + "config { name: 'old' base_path: '/models/old' model_type: TENSORFLOW }"
        + "}"
    )
    assert read_model_config_file(path).models() == {
        "newest": ModelConfig("newest", Path("/models/m"), Latest(1)),
        "two": ModelConfig("two", Path("/models/two"), Latest(2)),
        "all": ModelConfig("all", Path("/models/all"), All()),
        "some": ModelConfig("some", Path("/models/some"), Specific(frozenset({1, 3})), {"stable": 1, "canary": 3}),
        "old": ModelConfig("old", Path("/models/old"), Latest(1)),
    }


def test_policies_choose():
    held = [1, 7, 3]
    assert Latest().wanted(held) == {7}
    assert Latest(2).wanted(held) == {3, 7}
    assert Latest(9).wanted(held) == All().wanted(held) == {1, 3, 7}
    assert Specific(frozenset({3, 4})).wanted(held) == {3}
    assert not Latest().wanted([])


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        (entry() + entry("n") + entry(), "Illegal to list model m multiple times in config list"),
        (entry(base_path=""), "Expected model m to have an absolute path or URI; got base_path()="),
        (entry(base_path="models/m"), "Expected model m to have an absolute path or URI; got base_path()=models/m"),
        (entry(base_path="gs://b/m"), "Expected model m to have a path on this machine; got base_path()=gs://b/m"),
        (entry().replace("'tensorflow'", "'torch'"), "Model m requests unsupported platform torch"),
        (
            "config { name: 'm' base_path: '/m' }",
            "Illegal setting neither ModelServerConfig::model_type (deprecated) nor "
            "ModelServerConfig::model_platform, model name is m",
        ),
        (
            entry(more="model_type: TENSORFLOW"),
            "Illegal setting both ModelServerConfig::model_type (deprecated) and "
            "ModelServerConfig::model_platform, model name is m",
        ),
        (
            "config { name: 'm' base_path: '/m' model_type: OTHER }",
            "ModelServerConfig::model_type choice 2 not supported.",
        ),
        (entry(name=""), "ModelConfig has no name specified"),
    ],
)
def test_what_cannot_be_served_is_refused_alike_by_file_and_by_client(entries: str, said: str, tmp_path: Path):
    with pytest.raises(StatusError) as refused:
        listed_models(text_format.Parse(entries, protos.ModelConfigList()))
    assert (refused.value.code, refused.value.message) == (grpc.StatusCode.INVALID_ARGUMENT, said)
    path = tmp_path / "models.config"
    path.write_text(f"model_config_list {{ {entries} }}")
    with pytest.raises(UserError) as at_start:
        read_model_config_file(path)
    assert str(at_start.value).startswith(f"--model_config_file {path}: {said}")
    assert "\n" not in str(at_start.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("custom_model_config {}", "custom_model_config is not supported. List the models in model_config_list."),
        ("model_config_list {\n  confg {}\n}", ":2: "),
        ("", "there is no model_config_list"),
    ],
)
def test_a_file_that_is_no_list_of_models_is_refused(text: str, said: str, tmp_path: Path):
    path = tmp_path / "models.config"
    path.write_text(text)
    with pytest.raises(UserError) as refused:
        read_model_config_file(path)
    assert str(path) in str(refused.value)
    assert said in str(refused.value)
    with pytest.raises(UserError, match="No such file"):
        read_model_config_file(tmp_path / "none")


def test_the_command_line_names_one_model_or_a_file(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    base = tmp_path / "m"
    (base / "1").mkdir(parents=True)
    one = {"m": ModelConfig("m", base)}
    assert command_line_models(None, "m", str(base)).models() == one
    assert list(command_line_models(None, None, str(base)).models()) == ["default"]
    path = tmp_path / "models.config"
    path.write_text(f"model_config_list {{ {entry(base_path=str(base))} }}")
    assert command_line_models(path, None, None).models() == one
    for name, base_path in (("m", None), (None, "/models/m")):
        caplog.clear()
        assert command_line_models(path, name, base_path).models() == one  # as in TensorFlow Serving, without a word
        (said,) = caplog.messages
        assert said == f"--model_config_file {path} says what is served: --model_name and --model_base_path do not"
    with pytest.raises(UserError, match=r"--model_base_path: .*base_path\(\)=models/m\. Give an absolute path"):
        command_line_models(None, "m", "models/m")
    with pytest.raises(UserError, match="--model_base_path is missing"):
        command_line_models(None, "m", None)


def test_a_base_path_without_versions_is_refused_with_a_remedy(tmp_path: Path, light_exports: dict[int, Path]):
    version, missing = light_exports[1], tmp_path / "none"
    for path, said in (
        (missing, "No such file or directory. Name the folder that holds the model's versions."),
        (tmp_path, "holds no version. A version is a folder whose name is a number. Put one there."),
        (version, f"holds no version. A version is a folder whose name is a number. Did you mean {version.parent}?"),
    ):
        with pytest.raises(UserError) as refused:
            command_line_models(None, "m", str(path))
        assert str(refused.value) == f"--model_base_path {path}: {said}"


def test_a_store_is_read_anew_each_time(tmp_path: Path, exports: dict[int, Path]):
    store = Store(tmp_path / "store")
    configs = store_models(store)
    with pytest.raises(NotADirectoryError, match="gone"):
        configs.models()
    store.put("m", 1, exports[1])
    assert configs.models() == {"m": ModelConfig("m", store.root / "m", Latest(1))}
    store.put("n", 1, exports[1])
    assert list(configs.models()) == ["m", "n"]


async def test_a_file_is_followed(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    path = tmp_path / "models.config"
    path.write_text(f"model_config_list {{ {entry()} }}")
    served: list[list[str]] = []
    refusals = [StatusError(grpc.StatusCode.UNKNOWN, "not yet")]

    async def reload(configs: ModelConfigs) -> None:
        served.append(list(configs.models()))
        if refusals:
            raise refusals.pop()

    following = asyncio.create_task(follow_model_config_file(path, 0.01, read_model_config_file(path), reload))
    path.write_text(f"model_config_list {{ {entry()} {entry('n')} }}")
    await eventually(lambda: served == [["m", "n"]] * 2)  # tried again after the refusal

    path.write_text("")  # as it is while it is being written
    path.write_text("model_config_list {")
    await eventually(lambda: f"{path}:1:" in caplog.text)
    await asyncio.sleep(0.05)
    assert caplog.text.count(f"{path}:1:") == 1
    path.write_text(f"model_config_list {{ {entry('n')} }}")
    await eventually(lambda: served[2:] == [["n"]])

    for vanish, said in ((path.unlink, "No such file"), (lambda: os.mkfifo(path), "it is a FIFO")):
        vanish()
        await eventually(lambda said=said: f"{path}: cannot be read ({said}" in caplog.text)
    assert len(served) == 3
    path.unlink()
    path.write_text(f"model_config_list {{ {entry()} }}")
    await eventually(lambda: served[3:] == [["m"]])
    following.cancel()


def test_a_name_that_comes_twice_is_refused():
    with pytest.raises(StatusError, match="Illegal to list model m multiple times"):
        ListedModels([ModelConfig("m", Path("/1")), ModelConfig("m", Path("/2"))])
