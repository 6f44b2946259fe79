"""Trials are compared by what is answered: by a network and the simple methods beside it."""

import keras
import numpy as np
import pandas as pd
import pytest

from tests.conftest import reviews
from tests.untrained_models import prepared
from unroll.pipelines.task import Task
from unroll.pipelines.tuning.held_out_blocks import CHECKING, CHOOSING

PARTS = [CHOOSING, *CHECKING]


def wrecked(task: Task) -> keras.Model:
    """A model of weights so wild that no answer has a use for it."""
    keras.utils.set_random_seed(3)
    model, rng = task.build(), np.random.default_rng(0)
    model.set_weights([weight + rng.normal(size=weight.shape) for weight in model.get_weights()])
    task.compile(model, keras.optimizers.Adam())
    return model


def hours(count: int) -> pd.DataFrame:
    times = pd.date_range("2024-01-01", periods=count, freq="h")
    noise = np.random.default_rng(1).normal(0, 0.3, count)
    return pd.DataFrame({"time": times, "load": 5 + np.sin(np.arange(count) * 2 * np.pi / 24) + noise})


def series(lookback: int) -> dict:
    model = {"lookback": lookback, "horizon": 6, "units": 4, "members": 1}
    return {"data": {"time": "time", "targets": ["load"]}, "model": model}


@pytest.mark.parametrize("name", ["sentiment", "forecasting"])
def test_a_network_of_no_use_does_no_harm(tmp_path, name):
    table, config = {
        "sentiment": (reviews(800), {"model": {"units": 4, "embedding": 4, "members": 1}}),
        "forecasting": (hours(1000), series(48)),
    }[name]
    task = prepared(name, table, config, tmp_path)
    model = wrecked(task)
    alone = model.evaluate(task.validation_batches(), verbose=0, return_dict=True)[task.monitor]
    losses = task.answer_losses(model, PARTS)
    assert losses is not None
    assert len(losses) == len(PARTS)
    assert losses[0] < alone / 2


def test_the_simple_method_decides_where_the_network_is_of_no_use(tmp_path):
    """Of two lookbacks the one that holds a season; the networks say nothing."""
    losses = {}
    for lookback in (6, 48):
        (folder := tmp_path / str(lookback)).mkdir()
        task = prepared("forecasting", hours(1000), series(lookback), folder)
        losses[lookback] = task.answer_losses(wrecked(task), [CHOOSING])
    assert losses[48][0] < 0.8 * losses[6][0]


def test_how_much_counts_is_decided_on_the_first_part_whatever_others_are_asked_for(tmp_path):
    task = prepared("sentiment", reviews(800), {"model": {"units": 4, "embedding": 4, "members": 1}}, tmp_path)
    model = task.build()
    task.compile(model, keras.optimizers.Adam())
    model.fit(task.train_batches(0), verbose=0)
    assert task.answer_losses(model, [CHOOSING]) == task.answer_losses(model, PARTS)[:1]


def test_a_task_whose_answer_is_the_models_alone_has_no_other_loss(tmp_path):
    table = pd.DataFrame({"text": [f"line {number} of so many\n" * 9 for number in range(40)]})
    task = prepared("language", table, {"model": {"units": 4, "ngrams": False}}, tmp_path)
    assert task.answer_losses(task.build(), PARTS) is None
