"""What can be trained and what can be set of it is told by commands, which load neither TensorFlow nor MLflow."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest
import yaml
from pydantic import Field

from tests.conftest import ROOT, unroll
from unroll import plugins
from unroll.pipelines.configurations import config_schema
from unroll.pipelines.training.config import Section, TaskConfig, load_config
from unroll.pipelines.training.config_reference import as_markdown, as_yaml, keys

TASKS = plugins.built_in()
HEAVY = {"tensorflow", "keras", "mlflow", "pandas", "scipy", "matplotlib"}


class Inner(Section):
    rate: float = Field(0.5, gt=0, lt=1, description="a | b")


class Data(Section):
    column: str
    kind: Literal["a", "b"] = "a"
    one: Literal["only"] = "only"
    sizes: list[int] = Field([1, 2], min_length=1, max_length=3, description="Sizes,\nin pixels.")
    inner: Inner = Inner()
    maybe: Inner | None = None


class Toy(TaskConfig):
    data: Data = Data(column="x", sizes=[3], inner=Inner(rate=0.25))
    note: str = Field("no: 'yaml'", description="a text")
    wanted: int = Field(ge=1, description="none is the same for all")


@pytest.mark.parametrize("task", TASKS)
def test_the_printed_configuration_is_read_back_as_the_defaults(task: str, tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(unroll("config", task).stdout)
    schema = config_schema(task)
    assert load_config(schema, file) == schema()
    assert set(yaml.safe_load(file.read_text())) == {"data", "model", "train"}, "each section stands in it"
    assert f"unroll train {task} --config" in file.read_text()


@pytest.mark.parametrize("task", TASKS)
def test_every_key_says_what_it_is_for(task: str) -> None:
    assert [key.path for key in keys(config_schema(task)) if len(key.description) < 10] == []


@pytest.mark.parametrize("task", TASKS)
def test_the_configuration_is_that_of_the_task(task: str) -> None:
    from unroll.pipelines.registry import task_named

    assert task_named(task).Config is config_schema(task)
    assert json.loads(unroll("config", task, "--json").stdout)["properties"].keys() == {"data", "model", "train"}


def test_the_pages_show_what_the_commands_print() -> None:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    stale = [page.name for page in generate.PAGES if generate.renewed(page.read_text()) != page.read_text()]
    assert stale == [], "run: python docs/generate.py"
    for task in TASKS:
        assert f"<!-- unroll config {task} --markdown -->" in (ROOT / "docs" / f"{task}.md").read_text()


def test_keys_of_any_shape(tmp_path: Path) -> None:
    file = tmp_path / "toy.yaml"
    file.write_text(as_yaml(Toy, "A toy.\n\nOf tests."))
    assert load_config(Toy, file, ["wanted=2"]) == Toy(wanted=2)
    text = file.read_text()
    assert text.startswith("# A toy.\n#\n# Of tests.\n\ndata:\n")
    assert "  # Sizes, in pixels. (list of integers, at least 1, at most 3)\n  sizes: [3]\n" in text
    assert "# None is the same for all. (integer, at least 1)\n# wanted:\n" in text
    said = {key.path: key.values for key in keys(Toy)}
    assert said["data.kind"] == "a or b"
    assert said["data.one"] == "only"
    assert said["data.inner.rate"] == "number, above 0, below 1"
    assert said["data.maybe"] == "mapping or null"
    table = as_markdown(Toy).splitlines()
    assert "| `data.inner.rate` | `0.25` | number, above 0, below 1 | a \\| b |" in table
    assert "| `wanted` | required | integer, at least 1 | none is the same for all |" in table


def test_tasks_are_listed_with_what_they_are_tried_on() -> None:
    listed = json.loads(unroll("tasks", "--json").stdout)
    assert [task["name"] for task in listed] == TASKS
    assert all(task["summary"] and task["sample"] for task in listed)
    shown = unroll("tasks").stdout
    assert all(task["name"] in shown for task in listed)
    assert "A text to a class" in shown


def test_only_one_form_is_printed() -> None:
    assert "Leave one out" in unroll("config", TASKS[0], "--json", "--markdown", check=2).stderr


def test_the_networks_of_keras_are_all_known() -> None:
    from unroll.models.layers.image_encoder import backbones
    from unroll.pipelines.tasks.captioning.config import keras_networks

    assert keras_networks() == backbones()


def test_mistakes_are_told_before_tensorflow_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "reviews.csv").write_text("text,label\n")
    (tmp_path / "config.yaml").write_text("train: {epochs: 0}\n")
    asked = {
        "config sentiment": "",
        "config captioning --markdown": "",
        "tasks": "",
        "config weather": "no task is named 'weather'. There is: captioning, forecasting, language, sentiment, tran",
        "train weather": "no task is named 'weather'",
        "train sentiment --data reviews.csv --set model.unitz=3": "model.unitz: unknown. Did you mean model.units?",
        "train captioning --data reviews.csv --set model.units=0": "configuration key model.units",
        "train captioning --data reviews.csv --set model.weights=imagenet": "Add model.backbone",
        "train captioning --data reviews.csv --set model.backbone=ResNet5": "Did you mean ResNet50?",
        "train captioning --data reviews.csv --set model.backbone=x": "Known: ConvNeXtBase, ",
        "train sentiment --data reviews.csv --set model.build=no_such:build": "there is no module 'no_such'",
        "train forecasting --data reviews.csv --set train.callbacks=no_such.of:Mine": "there is no module 'no_such.of'",
        "train forecasting --data reviews.csv --config config.yaml": "configuration key train.epochs",
        "train sentiment --data nowhere.csv": "--data nowhere.csv: no such file",
        "train sentiment --data reviews.csv --name a/b": "Received: name='a/b'",
        "train mine --import no_such": "--import no_such: no such module",
        "evaluate reviews --data nowhere.csv": "--data nowhere.csv: no such file",
    }
    code = f"""
import contextlib, io, sys
from unroll.cli import main
for arguments, message in {asked!r}.items():
    told = io.StringIO()
    with contextlib.redirect_stderr(told), contextlib.redirect_stdout(io.StringIO()):
        try:
            main(arguments.split())
        except SystemExit as end:
            assert (end.code or 0) == (2 if message else 0), (arguments, end.code, told.getvalue())
    assert message in told.getvalue(), (arguments, told.getvalue())
    assert not {HEAVY!r} & set(sys.modules), (arguments, {HEAVY!r} & set(sys.modules))

from unroll.errors import UserError
from unroll.pipelines.training.card import Card
from unroll.pipelines.training.evaluation import check_evaluable

card = Card("reviews", "sentiment", dict(data=dict(text="review")), dict(), "reviews.csv", "", "", dict())
check_evaluable(card, ["data.label=stars"])
refused = {{"data.lable=stars": "Did you mean data.label?", "model.units=3": "only data.* keys apply"}}
for override, message in refused.items():
    try:
        check_evaluable(card, [override])
    except UserError as error:
        assert message in str(error), error
    else:
        raise AssertionError(override)
assert not {HEAVY!r} & set(sys.modules), {HEAVY!r} & set(sys.modules)
"""
    environment = {"PYTHONPATH": str(ROOT), "PATH": "", "COLUMNS": "200"}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {file.name for file in tmp_path.iterdir()} == {"reviews.csv", "config.yaml"}, "nothing is written"
