"""Small labelled texts, and one model trained on them by the real command."""

import io
import json
import random
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import pandas as pd
import pytest

from unroll import cli

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


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The README's commands take minutes: they come first, while there is much to run beside them."""
    items.sort(key=lambda item: item.path.name != "test_readme.py")


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


@pytest.fixture(scope="session", autouse=True)
def _environment():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COLUMNS", "200")
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        patch.delenv("UNROLL_HOME", raising=False)
        yield


@pytest.fixture(scope="session")
def reviews_csv(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("data") / "reviews.csv"
    reviews(900).to_csv(file, index=False)
    return file


@pytest.fixture(scope="session")
def trained(tmp_path_factory, reviews_csv) -> dict:
    """What `unroll train --json` said, and the `home` it wrote to."""
    home = tmp_path_factory.mktemp("workspace")
    command = [
        sys.executable, "-m", "unroll", "train", "sentiment", "--data", reviews_csv, "--home", home,
        "--name", "small", "--json", "--set", "data.group=source", *SMALL,
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return {**json.loads(done.stdout), "home": home}
