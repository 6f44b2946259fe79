"""Tasks that somebody else wrote: a folder of their own, and the one of docs/tasks.md."""

import json
import random
import re
import shlex
import sys
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import ROOT, reviews, unroll
from tests.serving_fixtures import SERVE, start_server, until
from unroll import Client, plugins
from unroll.errors import UserError
from unroll.monitoring.report import drift_report
from unroll.monitoring.requests import Window
from unroll.pipelines import registry
from unroll.pipelines.registry import register, task_named
from unroll.pipelines.samples import sample_for
from unroll.pipelines.task import Task
from unroll.pipelines.training.card import Card

PAGE = (ROOT / "docs" / "tasks.md").read_text()
RENTS = {
    "__init__.py": "",
    "task.py": '''
        """The rent of a flat."""

        import keras
        import numpy as np

        from unroll.pipelines import (
            Baselines, Category, Number, RecordSection, RecordTask, TaskConfig, Value, Words, register,
        )


        class RentData(RecordSection):
            advert: Words = "advert"
            rooms: Number = "rooms"
            town: Category = "town"
            rent: Value = "rent"


        class RentConfig(TaskConfig):
            data: RentData = RentData()


        @register
        class Rents(RecordTask):
            """A flat to its rent."""

            name = "rents"
            Config = RentConfig

            def build(self):
                advert = keras.Input([None], dtype="int32", name="advert")
                rooms = keras.Input([], dtype="float32", name="rooms")
                town = keras.Input([], dtype="int32", name="town")
                words = keras.layers.Embedding(self.size("advert"), 4)(advert)
                read = keras.layers.GlobalAveragePooling1D()(words)
                where = keras.layers.Embedding(self.size("town"), 4)(town)
                all_ = keras.layers.Concatenate()([read, where, keras.layers.Reshape([1])(rooms)])
                return keras.Model({"advert": advert, "rooms": rooms, "town": town}, keras.layers.Dense(1)(all_))

            def baselines(self, scored, progress):
                """Beside mean and median, somebody who is better by half the mean loss, in every flat."""
                found, own = super().baselines(scored, progress), scored["test"].losses.model
                lost = own - own.mean() / 2
                return Baselines(
                    {**found.metrics, "test/rmse/landlord": float(np.sqrt(lost.mean()))},
                    {**found.losses, "landlord": lost},
                )
    ''',
    "sample.py": '''
        """Invented flats."""

        import csv
        import random

        from unroll.pipelines.samples import Sample


        def sample(directory):
            """900 flats, and one without a rent."""
            directory.mkdir(parents=True, exist_ok=True)
            rng = random.Random(0)
            with (directory / "flats.csv").open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(["text", "rooms", "town", "rent"])
                for number in range(900):
                    rooms, town, bath = rng.randint(1, 5), rng.choice(["Ulm", "Trier"]), rng.choice(["old", "new"])
                    rent = 200 * rooms + 300 * (town == "Ulm") + 100 * (bath == "new") + rng.gauss(0, 20)
                    cell = rooms if rng.random() > 0.05 else "n/a"
                    writer.writerow([f"flat {number} with a {bath} bath", cell, town, round(rent)])
                writer.writerow(["no rent is told", 2, "Ulm", ""])
            return Sample("rents", "invented flats", directory / "flats.csv", {"data": {"advert": "text"}})
    ''',
    "client.py": '''
        """What clients ask."""

        from unroll.serving.client.questions import Describe, Predict, Inquiry, question


        @question
        def rent(flats: list[dict]) -> Inquiry[tuple[list[float], dict]]:
            """Asks for rents, and what the model takes."""
            answer = yield Predict({key: [flat[key] for flat in flats] for key in ("advert", "rooms", "town")})
            description = yield Describe(answer.version)
            return answer["value"].tolist(), description["columns"]
    ''',
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The working directory, with a package of tasks in it; nothing of it is known afterwards."""
    path = tmp_path_factory.mktemp("work")
    package = path / "my_toys" / "rents"
    package.mkdir(parents=True)
    for name, content in RENTS.items():
        (package / name).write_text(textwrap.dedent(content))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(path)
        patch.setattr(sys, "path", [*sys.path])
        patch.setattr(plugins, "_named", [])
        patch.setattr(registry, "_TASKS", {})
        yield path


@pytest.fixture(scope="module")
def trained(folder: Path) -> dict:
    """What `unroll train --json` says of the toy task on its sample data."""
    settings = ["train.epochs=30", "train.learning_rate=0.1", "train.batch_size=64", "train.patience=30"]
    given = [argument for setting in settings for argument in ("--set", setting)]
    done = unroll("train", "rents", "--import", "my_toys.rents", "--home", "home", "--name", "flats", "--json", *given)
    assert "training on the sample data, invented flats" in done.stderr
    assert "left out 1" in done.stderr, "the flat without a rent"
    assert "Below its baseline: on the test split landlord has rmse" in done.stderr
    return json.loads(done.stdout)


def flat(rng: random.Random, rooms: int) -> dict:
    return {"advert": f"flat {rng.randrange(10**6)} with a new bath", "rooms": rooms, "town": "Ulm"}


def test_a_task_in_a_folder_of_its_own_is_trained_evaluated_served_asked_and_watched(folder, trained):
    assert trained["metrics"]["test/r2"] > 0.8
    assert trained["metrics"]["test/mae"] < trained["metrics"]["baseline/test/mae/mean"]
    assert trained["chance"] == ""
    assert not trained["promoted"], "a baseline of its own is better"
    assert (trained["comparison"]["baseline"], trained["comparison"]["others"]) == ("landlord", [])
    assert 0 < trained["comparison"]["low"] <= trained["comparison"]["high"]
    assert trained["comparison"]["baseline_score"] == pytest.approx(trained["metrics"]["baseline/test/rmse/landlord"])
    assert trained["comparison"]["model_score"] == pytest.approx(trained["metrics"]["test/rmse"])
    assert "Below its baseline: on the test split landlord has rmse" in Card.load(Path(trained["path"])).markdown()
    assert Card.load(Path(trained["path"])).module == "my_toys.rents.task"
    unroll("promote", "flats", 1, "--home", "home")
    done = unroll(
        "evaluate", "flats", "--data", "home/cache/samples/flats.csv", "--import", "my_toys.rents", "--home", "home",
        "--json",
    )  # fmt: skip
    assert json.loads(done.stdout)["metrics"]["data/mae"] < 150
    rng = random.Random(0)
    server = start_server(*SERVE, "--home", str(folder / "home"))
    try:
        record = json.dumps({"advert": "flat 1 with a new bath", "rooms": None, "town": "Ulm"})
        (folder / "asked.csv").write_text("town,rooms,advert\nUlm,5,flat 2 with a new bath\nTrier,1,flat 3 old\n")
        asked = unroll(
            "predict", "flats", "--input", record, "--input", "asked.csv", "--server", server.address, "--json"
        )
        rows = json.loads(asked.stdout)["predictions"]
        assert [(row["rooms"], row["town"]) for row in rows] == [(None, "Ulm"), (5.0, "Ulm"), (1.0, "Trier")]
        assert rows[1]["value"] > rows[0]["value"] > rows[2]["value"]
        (folder / "more.csv").write_text("nr,text,rooms,town\n1,flat 2,5,Ulm\n2,,1,Ulm\n3,flat,many,Ulm\n4,flat,,\n")
        scored = unroll(
            "predict", "flats", "--input", "more.csv", "--output", "out.csv", "--server", server.address, "--json"
        )
        assert json.loads(scored.stdout)["unanswered"] == 1
        assert "1 of 4 rows have no answer, the first row 4: column 'rooms'" in scored.stderr
        assert "1 of 4 rows has an empty text, the first row 3" in scored.stderr
        lines = [line.split(",") for line in Path("out.csv").read_text().splitlines()]
        assert lines[0] == ["nr", "text", "rooms", "town", "value"], "as the training data names them"
        assert [line[:4] for line in lines[3:]] == [["3", "flat", "many", "Ulm"], ["4", "flat", "", ""]]
        assert [bool(line[4]) for line in lines[1:]] == [True, True, False, True]
        wrong = unroll("predict", "flats", "--input", '{"rooms": "two"}', "--server", server.address, check=2)
        assert "has no 'advert'. The model takes advert, rooms, town" in wrong.stderr
        with Client(server.address, model="flats") as client:
            values, columns = client.rent([flat(rng, 1 + number % 5) for number in range(40)])
            assert columns == {"advert": "text", "rooms": "number", "town": "category"}
            assert values[4] - values[0] > 400, "five rooms, and one"
            for number in range(40):
                client.rent([flat(rng, 1 + number % 5)])

            def logged() -> bool:
                log = {"store": folder / "home" / "store", "requests": folder / "home" / "requests"}
                with suppress(UserError):  # nothing is logged yet
                    report = drift_report("flats", **log, window=Window(40))
                    return report.comparison.records == 40  # of the requests one by one, not of the larger ones before
                return False

            until(logged)
            # the reference has both towns and both baths, live requests one of each
            done = unroll("monitor", "report", "flats", "--home", "home", "--window", "40", "--json", check=3)
            features = {feature["name"]: feature for feature in json.loads(done.stdout)["features"]}
            assert features["town/name"]["drift"]
            assert not features["rooms/value"]["drift"]
            assert {"advert/length", "advert/oov", "advert/tokens", "rooms/missing", "value"} <= features.keys()
    finally:
        server.stop()


def test_the_page_shows_a_classifier_of_at_most_40_lines_that_trains(folder):
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(code.splitlines()) <= 40
    (folder / "topics.py").write_text(code)
    reviews(600).to_csv(folder / "reviews.csv", index=False)
    reviews(80, seed=1).to_csv(folder / "newer.csv", index=False)
    train, evaluate = re.findall(r"^unroll (train .*|evaluate .*)$", PAGE, re.MULTILINE)
    faster = ["--set", "train.learning_rate=0.01", "--set", "data.group=source", "--home", "topics", "--json"]
    metrics = json.loads(unroll(*shlex.split(train), *faster).stdout)["metrics"]
    assert {"test/accuracy", "test/log_loss", "test/accuracy/a", "test/accuracy/b"} <= metrics.keys()
    done = unroll(*shlex.split(evaluate), "--home", "topics", "--json")
    assert json.loads(done.stdout)["metrics"]["data/accuracy"] > 0.9, "the label shows in the words"
    unknown = reviews(80, seed=1).replace({"label": {"pos": "meh"}})
    unknown.to_csv(folder / "unknown.csv", index=False)
    done = unroll("evaluate", "reviews", "--data", "unknown.csv", "--home", "topics", check=2)
    assert "label 'meh' is unknown to the model, which knows: neg, pos" in done.stderr


@pytest.mark.parametrize(
    ("rows", "keys", "message"),
    [
        ("a,1\nb,0\n", {"data.text": "body"}, "It has: 'text', 'label'. Name the right one: --set data.text=COLUMN"),
        ("", {}, "holds no records, only a header"),
        ("a,\nb,\n", {}, "none of 2 records has a value in 'text' and 'label'. Name the right ones: --set data.text="),
        ("a,1\nb,0\n", {"data.split": "label"}, "data.split: the column may hold train"),
        ("a,1\n" * 20, {}, "no record is in the"),
        (
            "a,1,train\nb,0,dev\nc,0,test\n",
            {"data.split": "part", "data.min_count": 2},
            "no word of column 'text' occurs",
        ),
        ("a,1,train\nb,1,train\nc,1,dev\nd,0,test\n", {"data.split": "part"}, "holds 1 different labels in the train"),
        ("a,1,train\nb,0,train\nc,2,dev\nd,0,test\n", {"data.split": "part"}, "label '2' is unknown to the model"),
    ],
)
def test_records_that_cannot_be_trained_on(folder, rows, keys, message):
    (folder / "topics.py").write_text(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0])
    header = "text,label,part" if "part" in keys.values() else "text,label"
    (folder / "bad.csv").write_text(f"{header}\n{rows}")
    given = [argument for key, value in keys.items() for argument in ("--set", f"{key}={value}")]
    done = unroll("train", "topics", "--import", "topics", "--data", "bad.csv", "--home", "bad", *given, check=2)
    assert message in done.stderr


def test_what_can_be_set_of_it_is_told(folder):
    (folder / "topics.py").write_text(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0])
    (config,) = re.findall(r"^unroll (config .*?)  +#", PAGE, re.MULTILINE)
    assert "units: 32" in unroll(*shlex.split(config)).stdout
    listed = json.loads(unroll("tasks", "--import", "my_toys.rents", "--import", "topics", "--json").stdout)
    own = {task["name"]: task for task in listed if task["name"] in ("rents", "topics")}
    assert own["rents"] == {
        "name": "rents",
        "summary": "A flat to its rent",
        "sample": "900 flats, and one without a rent",
    }
    assert own["topics"]["summary"].startswith("A text's words, read by a GRU")


def test_numbers_that_are_none(folder, trained):
    (folder / "flats.csv").write_text("text,rooms,town,rent\n" + "flat,two,Ulm,500\n" * 5)
    done = unroll("train", "rents", "--data", "flats.csv", "--set", "data.advert=text", "--home", "home", check=2)
    assert "data.rooms: the column holds a value that is not a number. Received: 'two'" in done.stderr


def test_a_missing_task_is_told_by_the_module_of_the_card_which_is_not_imported(folder):
    (folder / "trap.py").write_text("raise SystemExit('imported')")
    with pytest.raises(UserError, match=r"no task is named 'unknown'. It is of the module trap: name it with --import"):
        task_named("unknown", "trap")
    with pytest.raises(UserError, match=r"no task is named 'unknown'. There is: captioning, forecasting"):
        task_named("unknown")
    for name in ("no.such", "topics.py", "./topics", "my_toys.rents.task.no", ""):
        with pytest.raises(UserError, match=f"--import {name}: no such module"):
            plugins.name_modules([name])
    (folder / "lacking").mkdir()
    (folder / "lacking" / "__init__.py").write_text("import no_such_package")
    with pytest.raises(UserError, match=r"cannot be imported .No module named 'no_such_package'"):
        plugins.name_modules(["lacking.task"])
    with pytest.raises(UserError, match="no sample data for unknown"):
        sample_for("unknown", folder)


def test_the_environment_names_modules_too(folder, monkeypatch):
    monkeypatch.setenv("UNROLL_IMPORT", "my_toys.rents no_such_module")
    done = unroll("predict", "flats", "--input", "x", check=2)
    assert "--import no_such_module: no such module" in done.stderr


def test_a_name_is_taken_once():
    def named(name: str, module: str) -> type[Task]:
        return type("Mine", (Task,), {"name": name, "__module__": module})

    register(named("twice", "one"))
    register(named("twice", "one"))  # a notebook's cell, run again
    with pytest.raises(ValueError, match="registered already"):
        register(named("twice", "two"))
    with pytest.raises(ValueError, match="comes with Unroll"):
        register(named("sentiment", "one"))


def test_an_installed_package_brings_tasks(folder, monkeypatch):
    info = folder / "site" / "toys-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: toys\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[unroll.tasks]\nrents = my_toys.rents.task:Rents\n")
    monkeypatch.syspath_prepend(str(folder / "site"))
    monkeypatch.setattr(plugins, "_named", [])
    assert plugins.installed() == {"rents": "my_toys.rents.task"}
    assert task_named("rents").__name__ == "Rents"
    assert [module.__name__ for module in plugins.beside("sample", "rents")] == ["my_toys.rents.sample"]


def test_numbers_missing_in_live_requests_are_nan(trained):
    from unroll.pipelines.training.exported import Exported

    sent = {"advert": np.array([b"flat", b"flat"], object), "town": np.array([b"Ulm", b"Rome"], object)}
    answer = Exported(Path(trained["path"])).predict({**sent, "rooms": np.array([np.nan, np.inf], np.float32)})
    assert np.isfinite(answer["value"]).all()
