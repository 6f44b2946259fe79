"""Training: what is kept, when it ends, and going on after `kill -9`."""

import re
import subprocess
import sys
import time
from contextlib import suppress

import keras
import numpy as np
import pytest

from tests.conftest import ROOT, reviews
from unroll.errors import UserError
from unroll.pipelines.registry import task_named
from unroll.pipelines.training.checkpoint import load_checkpoint
from unroll.pipelines.training.fit import fit
from unroll.pipelines.training.progress import Progress

EPOCHS = 4
WARMUP = 0.25


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fit")
    reviews(400).to_csv(folder / "data.csv", index=False)
    directory = folder / "prepared"
    directory.mkdir()
    task = task_named("sentiment")
    task.prepare(configuration(), str(folder / "data.csv"), directory, Progress())
    return directory


@pytest.fixture(scope="module")
def uninterrupted(data, tmp_path_factory):
    """A model that was trained in one go, and its history."""
    return train(data, tmp_path_factory.mktemp("uninterrupted") / "checkpoint.npz", warmup=WARMUP)


def configuration(**train):
    settings = {"epochs": EPOCHS, "batch_size": 16, "learning_rate": 0.01, "seed": 5, **train}
    model = {
        "units": 4,
        "embedding": 4,
        "ngram_buckets": 64,
        "cell": "gru",
        "layers": 1,
        "members": 1,
        "recurrent_dropout": 0.1,
    }
    return task_named("sentiment").Config.model_validate({"train": settings, "model": model})


def train(directory, checkpoint, **settings):
    return train_until(lambda metrics, epoch: None, directory, checkpoint, **settings)


def train_until(on_epoch, directory, checkpoint, clock=time.monotonic, **settings):
    task = task_named("sentiment")(configuration(**settings), directory)
    keras.utils.set_random_seed(task.config.train.seed)
    model = task.build()
    return model, fit(task, model, checkpoint, Progress(), on_epoch, clock)


class Ticks(keras.callbacks.Callback):
    """Moves a clock: a step takes .1 s, half of that from the 40th on, a batch of a validation .05 s."""

    now = 0.0
    steps = 0

    def on_train_batch_end(self, batch, logs=None):
        Ticks.steps += 1
        Ticks.now += 0.1 if Ticks.steps < 40 else 0.05

    def on_test_batch_end(self, batch, logs=None):
        Ticks.now += 0.05


def budgeted(*given, on_epoch=lambda metrics, epoch: None, **settings):
    """A training whose time is told by `Ticks`."""
    open_keys = {"epochs": None, "callbacks": ["tests.pipelines.training.test_fit:Ticks"]}
    return train_until(on_epoch, *given, clock=lambda: Ticks.now, **open_keys, **settings)


def test_a_killed_run_ends_as_an_uninterrupted_one(data, uninterrupted, tmp_path):
    code = (
        "import sys; from pathlib import Path; from tests.pipelines.training.test_fit import train;"
        f"train(Path(sys.argv[1]), Path(sys.argv[2]), warmup={WARMUP})"
    )
    checkpoint = tmp_path / "checkpoint.npz"
    victim = subprocess.Popen([sys.executable, "-c", code, data, checkpoint], cwd=ROOT)
    deadline = time.monotonic() + 120
    while not checkpoint.exists():
        assert victim.poll() is None, "the run ended before it wrote a checkpoint"
        assert time.monotonic() < deadline, "no checkpoint in two minutes"
        time.sleep(0.01)
    victim.kill()
    victim.wait()
    assert len(load_checkpoint(checkpoint)[0]["epochs"]) < EPOCHS, "killed too late to tell"
    resumed, history = train(data, checkpoint, warmup=WARMUP)
    whole, expected = uninterrupted
    assert [e["train/loss"] for e in history.epochs] == pytest.approx(
        [e["train/loss"] for e in expected.epochs], rel=1e-5
    )
    assert history.best == expected.best
    for got, want in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)


def test_the_best_epochs_weights_are_kept_and_patience_ends_the_run(data, tmp_path):
    model, history = train(data, tmp_path / "c.npz", epochs=40, patience=2, learning_rate=0.05)
    assert len(history.epochs) == history.best + 3 < 40, "two epochs after the best one"
    losses = [epoch["validation/log_loss"] for epoch in history.epochs]
    assert history.best == int(np.argmin(losses))
    task = task_named("sentiment")(configuration(), data)
    scores = model.evaluate(task.validation_batches(), verbose=0, return_dict=True)
    assert scores["log_loss"] == pytest.approx(losses[history.best], rel=1e-5)


def test_a_killed_run_with_a_budget_ends_as_an_uninterrupted_one(data, tmp_path):
    Ticks.now = Ticks.steps = 0
    whole, expected = budgeted(data, tmp_path / "whole.npz", minutes=0.1)
    assert Ticks.now == pytest.approx(6, abs=0.2), "all of it is used, validation included"
    assert expected.pace.share == pytest.approx(1, abs=0.02)
    rates = [epoch["learning_rate"] for epoch in expected.epochs]
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 1e-4
    assert expected.epochs[-1]["epoch"] % 1, "the last epoch is a part of one"

    def kill(metrics, epoch):
        if epoch == 0:
            raise InterruptedError

    Ticks.now = Ticks.steps = 0
    with pytest.raises(InterruptedError):
        budgeted(data, tmp_path / "c.npz", minutes=0.1, on_epoch=kill)
    Ticks.now += 1000  # until it is started again
    resumed, history = budgeted(data, tmp_path / "c.npz", minutes=0.1)
    assert history.pace.steps == expected.pace.steps
    assert history.pace.seconds == pytest.approx(expected.pace.seconds)
    for got, want in zip(resumed.get_weights(), whole.get_weights(), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)


def test_a_budget_that_no_longer_helps_is_given_up_for_a_decay_from_the_best_epoch(data, tmp_path, capsys):
    Ticks.now = Ticks.steps = 0
    _, history = budgeted(data, tmp_path / "c.npz", minutes=0.25, learning_rate=0.1, batch_size=64)
    said = capsys.readouterr().err
    assert "The validation score has turned: training goes on from epoch" in said
    assert history.pace.seconds < 15
    assert history.epochs[-1]["learning_rate"] < 0.005
    assert f"Epoch {history.kept} is kept" in said
    losses = [epoch["validation/log_loss"] for epoch in history.epochs]
    assert history.best == int(np.argmin(losses))


def test_a_model_that_adds_nothing_to_the_answer_gives_its_time_up(data, tmp_path, capsys, monkeypatch):
    def stop(metrics, epoch):
        if epoch >= 25:
            raise InterruptedError

    def said(gain, **settings):
        Ticks.now = Ticks.steps = 0
        monkeypatch.setattr(task_named("sentiment"), "contribution", lambda self, model: gain)
        settings = {"minutes": 0.5, "learning_rate": 0.05, "batch_size": 64, **settings}
        with suppress(InterruptedError):
            budgeted(data, tmp_path / f"{gain}-{len(settings)}.npz", **settings)
        return capsys.readouterr().err

    useless = said(-0.1)
    assert "The network gets no share of the answer: training goes on from epoch" in useless
    assert re.search(r"Training ended: \d+ s of 30 s are used, .* as the network got no share of the answer", useless)
    assert "no share" not in said(-0.01, on_epoch=stop), "it may have one yet"
    assert "no share" not in said(-0.1, on_epoch=stop, patience=50), "who says how long to wait waits so long"


def test_the_time_budget_ends_the_run(data, tmp_path):
    _, history = train(data, tmp_path / "c.npz", epochs=500, patience=500, minutes=0.01)
    assert 1 <= len(history.epochs) < 500


def test_the_rate_rises_and_falls(uninterrupted):
    _, history = uninterrupted
    rates = [epoch["learning_rate"] for epoch in history.epochs]
    assert rates[0] == pytest.approx(0.01, rel=0.1), "warmed up after a quarter of the steps"
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.001


def test_a_loss_that_is_no_number_ends_the_run_with_advice(data, tmp_path):
    task = task_named("sentiment")(configuration(), data)
    model = task.build()
    model.encoders[0].head.bias.assign([np.nan, 0.0])
    with pytest.raises(UserError, match=r"diverged in epoch 1: the loss is nan. Lower train.learning_rate, now 0.01"):
        fit(task, model, tmp_path / "c.npz", Progress())


def test_class_weights_scale_the_loss_of_each_record(data):
    task = task_named("sentiment")(configuration(class_weights=True), data)
    dataset_info = task.dataset_info()
    counts = {index: dataset_info["counts"][label]["train"] for index, label in enumerate(dataset_info["classes"])}
    total = dict.fromkeys(counts, 0.0)
    for _, labels, weights in task.train_batches(0):
        for label, weight in zip(labels.numpy(), weights.numpy(), strict=True):
            total[label] += weight
    assert total[0] == pytest.approx(total[1], rel=1e-5)
    assert sum(total.values()) == pytest.approx(sum(counts.values()), rel=1e-5)
