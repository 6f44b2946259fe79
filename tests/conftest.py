"""Small labelled texts, and one model trained on them by the real command."""

import fcntl
import gc
import io
import json
import os
import random
import shutil
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pandas as pd
import pytest

from unroll import cli
from unroll.pipelines.training.tracking import database, registry

pytest_plugins = ["tests.batching_fixtures", "tests.rest_fixtures", "tests.serving_fixtures"]

hypothesis.settings.register_profile("no deadline", deadline=None)  # no test fails for the time that it takes
hypothesis.settings.load_profile("no deadline")

ROOT = Path(__file__).parent.parent
SMALL = [
    "--set", "train.epochs=3", "--set", "train.batch_size=16", "--set", "train.learning_rate=0.01",
    "--set", "model.units=8", "--set", "model.embedding=8", "--set", "model.ngram_buckets=1024",
    "--set", "model.members=2", "--set", "model.layers=1",
]  # fmt: skip
GOOD = ["wonderful", "warm", "funny", "brilliant", "moving", "clever", "superb", "delightful"]
BAD = ["dreadful", "boring", "stupid", "awful", "flat", "tedious", "clumsy", "painful"]
NEUTRAL = ["the", "a", "film", "story", "actor", "scene", "camera", "music", "plot", "was", "is", "and", "with", "of"]
LONG = [
    "readme", "captioning", "forecasting", "user_code", "api", "pages", "packaging", "tune", "clock_changes", "fit",
    "training", "effects", "own_task",
]  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes a minute or more comes first: begun last, it would run while the other worker has nothing to do."""
    order = {f"test_{name}.py": place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))


def reviews(count: int, seed: int = 0, words: int = 20) -> pd.DataFrame:
    """Texts whose label shows in about a fifth of their words; columns text, label, source."""
    rng = random.Random(seed)
    rows = []
    for _ in range(count):
        label = rng.choice(["neg", "pos"])
        length = max(3, int(rng.gauss(words, words / 3)))
        telling = GOOD if label == "pos" else BAD
        text = " ".join(rng.choice(telling if rng.random() < 0.2 else NEUTRAL) for _ in range(length))
        rows.append({"text": f"{text} {rng.randrange(10**9)}", "label": label, "source": rng.choice("ab")})
    return pd.DataFrame(rows)


@dataclass
class Done:
    """What a command printed, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


def unroll(*arguments: object, check: int = 0) -> Done:
    """Runs the command line in this process, which has TensorFlow and MLflow in memory already."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with redirect_stdout(out), redirect_stderr(err):
        try:
            cli.main([str(argument) for argument in arguments])
        except SystemExit as exit_:
            code = int(exit_.code or 0)
    assert code == check, f"exit code {code}\n{out.getvalue()}\n{err.getvalue()}"
    return Done(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="module", autouse=True)
def _looked_through_once() -> Iterator[None]:
    """Keeps what a module leaves in memory out of later collections.

    To look through the graphs of all modules before takes a worker up to ten seconds on a busy machine, in which its
    event loop answers nobody.
    """
    yield
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _environment():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "200")
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.delenv("UNROLL_HOME", raising=False)
        yield


@pytest.fixture(scope="session", autouse=True)
def _databases_are_copied(tmp_path_factory):
    """MLflow takes a second for a new database: this process makes one, and copies it for further workspaces."""
    made = tmp_path_factory.mktemp("database") / "mlflow.db"

    def ensure(file: Path, artifacts: str) -> None:
        if not file.exists():
            database.ensure_database(made, artifacts)
            file.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(made, file)
        database.ensure_database(file, artifacts)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(registry, "ensure_database", ensure)
        yield


@pytest.fixture(scope="session")
def reviews_csv(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("data") / "reviews.csv"
    reviews(900).to_csv(file, index=False)
    return file


@pytest.fixture(scope="session")
def trained(tmp_path_factory, reviews_csv) -> dict:
    """What `unroll train --json` said, and the `home` it wrote to: a copy of what the first worker trained."""
    here = tmp_path_factory.getbasetemp()
    home = (here.parent if "PYTEST_XDIST_WORKER" in os.environ else here) / "trained"
    said = home.with_suffix(".json")
    with home.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not said.exists():
            done = unroll(
                "train", "sentiment", "--data", reviews_csv, "--home", home, "--name", "small", "--json",
                "--set", "data.group=source", *SMALL,
            )  # fmt: skip
            said.write_text(done.stdout)
    copy = tmp_path_factory.mktemp("workspace") / "home"
    shutil.copytree(home, copy)
    return {**json.loads(said.read_text().replace(str(home), str(copy))), "home": copy}
