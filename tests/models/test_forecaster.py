"""The forecaster: equivariant, honest about what is missing, and able to learn."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from unroll.models.layers.encoder import CELLS
from unroll.models.quantiles import around_median, pinball
from unroll.models.series.forecaster import Forecaster, ForecasterConfig
from unroll.models.series.quantile_model import ensemble

LEVELS = [0.1, 0.25, 0.5, 0.9]


@pytest.fixture(autouse=True)
def _seed():
    keras.utils.set_random_seed(3)


@functools.cache
def forecaster(**changes) -> Forecaster:
    """A small untrained model, shared by the tests; its weights are such that every path speaks."""
    settings = {"units": 8, "segment": 6, "members": 2, "covariates": 3, "categories": (4, 2), **changes}
    keras.utils.set_random_seed(3)
    model = Forecaster(ForecasterConfig(horizon=7, lookback=20, channels=2, quantiles=LEVELS, **settings))
    model(inputs(noise(1, 20, 2)))
    for variable in model.trainable_variables:
        if not np.any(variable):
            variable.assign(0.1 * np.random.default_rng(5).normal(size=variable.shape))
    return model


def inputs(history, **changes) -> dict[str, tf.Tensor]:
    rows = len(history)
    return {"history": history, "covariates": noise(rows, 27, 3), "static": tf.ones([rows, 2], tf.int32), **changes}


def noise(*shape, seed=0) -> tf.Tensor:
    return tf.constant(np.random.default_rng(seed).normal(size=shape), tf.float32)


def with_gaps(*shape) -> np.ndarray:
    history = noise(*shape).numpy()
    history[np.random.default_rng(1).random(shape) < 0.2] = np.nan
    return history


@pytest.mark.parametrize("changes", [*({"cell": cell} for cell in CELLS), {"segment": 1, "linear": False, "layers": 2}])
def test_every_cell_forecasts_sorted_quantiles_of_every_channel(changes):
    outputs = forecaster(**changes)(inputs(with_gaps(5, 20, 2)))
    assert outputs["forecast"].shape == (5, 2, 7, 2)
    assert outputs["quantiles"].shape == (5, 2, 7, 2, 4)
    forecast, quantiles = ensemble(outputs)
    assert forecast.shape == (5, 7, 2)
    assert (np.diff(quantiles.numpy(), axis=-1) > 0).all()
    np.testing.assert_allclose(forecast, outputs["forecast"].numpy().mean(axis=1), atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
def test_a_window_in_other_units_gets_the_same_forecast_in_those_units(cell):
    model, history = forecaster(cell=cell), with_gaps(6, 20, 2)
    plain, moved = model(inputs(history)), model(inputs(3.5 * history + 20))
    for name in ("forecast", "quantiles"):
        np.testing.assert_allclose(moved[name], 3.5 * plain[name] + 20, atol=1e-3, err_msg=name)


@pytest.mark.parametrize("level", [0.0, 5.0, -4e6])
def test_a_constant_window_is_forecast_as_that_constant(level):
    outputs = forecaster(cell="gru")(inputs(tf.fill([1, 20, 2], level)))
    np.testing.assert_allclose(outputs["quantiles"], level, rtol=1e-3, atol=1e-4)


def test_a_missing_step_is_neither_zero_nor_the_mean_to_the_model():
    model, history = forecaster(cell="gru"), noise(1, 20, 2).numpy()
    history -= history.mean(axis=1, keepdims=True)
    answers = []
    for value in (0.0, np.nan):
        history[:, 12] = value
        answers.append(model(inputs(history))["forecast"].numpy())
    assert np.isfinite(answers[1]).all()
    assert np.abs(answers[0] - answers[1]).max() > 1e-3


def test_a_channel_without_a_value_is_nan_and_harms_no_other():
    model, history = forecaster(cell="gru"), noise(2, 20, 2).numpy()
    whole = model(inputs(history))["forecast"].numpy()
    history[0, :, 1] = np.nan
    outputs = model(inputs(history))
    assert np.isnan(outputs["forecast"][0, :, :, 1]).all()
    assert np.isnan(outputs["quantiles"][0, :, :, 1]).all()
    np.testing.assert_allclose(outputs["forecast"][..., 0], whole[..., 0], atol=1e-5)
    np.testing.assert_allclose(outputs["forecast"][1], whole[1], atol=1e-5)


def test_gaps_leave_loss_and_gradients_finite():
    model, history, actual = forecaster(cell="gru"), with_gaps(4, 20, 2), with_gaps(4, 7, 2)
    history[0, :, 0] = actual[1] = np.nan
    covariates = noise(4, 27, 3).numpy()
    covariates[:, 20:, 1:] = np.nan
    windows = inputs(history, covariates=covariates)
    with tf.GradientTape() as tape:
        loss = model.compute_loss(windows, tf.constant(actual), model(windows, training=True))
    assert loss > 0
    for variable, gradient in zip(
        model.trainable_variables, tape.gradient(loss, model.trainable_variables), strict=True
    ):
        assert gradient is not None, variable.path
        assert np.isfinite(tf.convert_to_tensor(gradient)).all(), variable.path


def test_metrics_leave_out_what_is_missing():
    model, history, actual = forecaster(cell="gru"), noise(4, 20, 2).numpy(), with_gaps(4, 7, 2)
    history[0, :, 0] = np.nan
    model.compile("adam")
    got = model.evaluate(inputs(history), actual, batch_size=3, verbose=0, return_dict=True)
    forecast, quantiles = (one.numpy() for one in ensemble(model(inputs(history))))
    error = actual[..., None] - quantiles
    expected = {
        "mse": np.nanmean((actual - forecast) ** 2),
        "mae": np.nanmean(np.abs(actual - forecast)),
        "pinball": np.nanmean(np.maximum(np.array(LEVELS) * error, (np.array(LEVELS) - 1) * error)),
    }
    assert {name: got[name] for name in expected} == pytest.approx(expected, rel=1e-4)


def sines(count: int) -> np.ndarray:
    random = np.random.default_rng(2)
    phase, level = random.uniform(0, 2 * np.pi, (count, 1)), random.uniform(-50, 50, (count, 1))
    return (level + np.sin(phase + np.arange(32) * 2 * np.pi / 8))[..., None].astype(np.float32)


def test_learns_a_sine_of_any_phase_and_level_without_the_linear_path():
    data = sines(1024)
    model = Forecaster(ForecasterConfig(8, 24, cell="gru", units=24, segment=4, linear=False))
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit({"history": data[:768, :24]}, data[:768, 24:], epochs=8, batch_size=32, verbose=0)
    scores = model.evaluate({"history": data[768:, :24]}, data[768:, 24:], verbose=0, return_dict=True)
    assert scores["mae"] < 0.15, "a forecast of the mean has 0.64"


def test_uses_a_covariate_that_is_known_of_the_future():
    random = np.random.default_rng(4)
    known = random.normal(size=(1024, 24, 1)).astype(np.float32)
    target = 2 * known + 0.1 * random.normal(size=known.shape).astype(np.float32)
    model = Forecaster(ForecasterConfig(8, 16, cell="tcn", units=32, segment=4, covariates=1))
    model.compile(keras.optimizers.Adam(1e-2))
    windows = {"history": target[:, :16], "covariates": known}
    model.fit(windows, target[:, 16:], epochs=8, batch_size=32, verbose=0)
    error = model.evaluate(windows, target[:, 16:], verbose=0, return_dict=True)["mse"]
    assert error < 1, "without the covariate no forecast is better than 4"
    known[:, 16:] = np.nan
    blind = model.evaluate(windows, target[:, 16:], verbose=0, return_dict=True)["mse"]
    assert blind > 2 * error


def test_a_model_comes_back_from_its_configuration_and_weights():
    model, windows = forecaster(cell="lstm"), inputs(with_gaps(3, 20, 2))
    again = Forecaster.from_config(model.get_config())
    again(windows)
    again.set_weights(model.get_weights())
    np.testing.assert_allclose(again(windows)["quantiles"], model(windows)["quantiles"], atol=1e-5)


def test_a_static_category_tells():
    model, history = forecaster(cell="gru"), noise(1, 20, 2)
    one, other = (model(inputs(history, static=tf.constant([[i, 0]])))["forecast"] for i in (0, 1))
    assert np.abs(one - other).max() > 1e-4


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"quantiles": [0.1, 0.9]}, "0.5 among them"),
        ({"quantiles": [0.5, 0.1]}, "must rise"),
        ({"horizon": 0}, "horizon must be at least 1. Received: horizon=0"),
        ({"segment": 0}, "segment must be at least 1"),
        ({"cell": "gur"}, "Received: cell='gur'"),
    ],
)
def test_an_argument_out_of_range_is_refused_by_name(wrong, message):
    with pytest.raises(ValueError, match=message):
        Forecaster(ForecasterConfig(**{"horizon": 4, "lookback": 8, **wrong}))


def test_quantiles_grow_outwards_from_the_median():
    got = around_median(tf.constant([10.0]), tf.constant([[1.0, 2.0, 4.0]]), LEVELS)
    np.testing.assert_allclose(got, [[7.0, 8.0, 10.0, 14.0]])


def test_pinball_is_least_at_the_empirical_quantile():
    sample = np.random.default_rng(0).normal(size=2001).astype(np.float32)
    candidates = np.linspace(-2, 2, 401).astype(np.float32)
    losses = pinball(tf.constant(sample[:, None, None] - candidates[None, :, None]), [0.9]).numpy().mean(axis=(0, 2))
    assert candidates[losses.argmin()] == pytest.approx(np.quantile(sample, 0.9), abs=0.02)
