"""Trains a model of darts and forecasts windows with it; run by `benchmarks/forecasting.py` in darts' environment.

Settings are those of darts' guide for many related series: a global model over all channels, Adam, early stopping on
the validation split, the best checkpoint; reversible instance normalisation where the model has it.
"""

import argparse
import json
import logging
import os
import time
import warnings
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
from darts import TimeSeries
from darts.models import NLinearModel, RNNModel, TCNModel
from darts.utils.likelihood_models.torch import QuantileRegression
from pytorch_lightning.callbacks import Callback, EarlyStopping, Timer

_EPOCH = 400  # batches at most from one validation to the next
_PATIENCE = 6  # validations


class Curve(Callback):
    """Seconds and loss of each validation."""

    def __init__(self) -> None:
        self.begin = time.perf_counter()
        self.points: list[tuple[float, float]] = []

    def on_validation_epoch_end(self, trainer, pl_module) -> None:
        loss = trainer.callback_metrics.get("val_loss")
        if loss is not None:
            self.points.append((time.perf_counter() - self.begin, float(loss)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--input", type=Path, required=True, help="series, splits and windows, as .npz")
    parser.add_argument("--output", type=Path, required=True, help="forecasts, as .npz")
    parser.add_argument("--system", choices=["tcn", "tcn_quantiles", "lstm", "nlinear"], required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    torch.set_num_threads(os.cpu_count() or 1)
    with np.load(arguments.input) as arrays:
        data = dict(arrays)
    lookback, horizon, levels = int(data["lookback"]), int(data["horizon"]), data["levels"].tolist()
    if arguments.system.startswith("tcn"):
        lookback = max(lookback, horizon + 1)  # darts' TCN takes no longer horizon
    train, validation = _split(data, "train", 0), _split(data, "validation", lookback)
    curve = Curve()
    model = _model(arguments, lookback, horizon, levels, curve)
    curve.begin = time.perf_counter()
    model.fit(train, val_series=validation, load_best=True, verbose=False)
    seconds = time.perf_counter() - curve.begin
    forecast = _forecast(model, data, lookback, horizon, arguments.system == "tcn_quantiles")
    np.savez(arguments.output, forecast=forecast)
    best = min(curve.points, key=lambda point: point[1], default=(seconds, float("nan")))
    print(json.dumps({"seconds": seconds, "seconds_to_best": best[0], "curve": curve.points}))


def _model(arguments: argparse.Namespace, lookback: int, horizon: int, levels: list[float], curve: Curve):
    shared = {
        "batch_size": 128,
        "n_epochs": 10_000,
        "optimizer_kwargs": {"lr": 1e-3},
        "random_state": arguments.seed,
        "save_checkpoints": True,
        "force_reset": True,
        "model_name": arguments.system,
        "work_dir": str(arguments.output.parent),
        "pl_trainer_kwargs": {
            "accelerator": "cpu",
            "callbacks": [
                EarlyStopping("val_loss", patience=_PATIENCE),
                Timer(timedelta(minutes=arguments.minutes), interval="step"),
                curve,
            ],
            "limit_train_batches": _EPOCH,
            "num_sanity_val_steps": 0,
            "enable_progress_bar": False,
            "enable_model_summary": False,
        },
    }
    if arguments.system == "lstm":  # recurrent over its own output, trained on lookback and horizon as one sequence
        return RNNModel(lookback, model="LSTM", hidden_dim=64, training_length=lookback + horizon, **shared)
    shared |= {"output_chunk_length": horizon, "use_reversible_instance_norm": True}
    if arguments.system == "nlinear":
        return NLinearModel(lookback, **{**shared, "use_reversible_instance_norm": False})
    if arguments.system == "tcn_quantiles":
        shared["likelihood"] = QuantileRegression(levels)
    return TCNModel(lookback, kernel_size=5, num_filters=32, weight_norm=True, dropout=0.1, **shared)


def _split(data: dict[str, np.ndarray], split: str, back: int) -> list[TimeSeries]:
    """Each channel of each series as a series of its own, with `back` earlier steps."""
    found = []
    for row, (begin, end) in enumerate(data[split]):
        values = data["values"][data["offsets"][row] : data["offsets"][row + 1]]
        found += [TimeSeries.from_values(channel[max(begin - back, 0) : end]) for channel in values.T]
    return found


def _forecast(model, data: dict[str, np.ndarray], lookback: int, horizon: int, probabilistic: bool) -> np.ndarray:
    """float32 `[windows, horizon, channels, 1 or levels]`."""
    channels = data["values"].shape[1]
    answers = []
    for start in range(0, len(data["windows"]), 256):
        chunks = [
            TimeSeries.from_values(data["values"][first - lookback : first, channel])
            for row, origin in data["windows"][start : start + 256]
            for first in [data["offsets"][row] + origin]
            for channel in range(channels)
        ]
        forecasts = model.predict(
            horizon, series=chunks, batch_size=1024, verbose=False, predict_likelihood_parameters=probabilistic
        )
        values = np.stack([forecast.values() for forecast in forecasts])  # [windows * C, H, Q]
        answers.append(values.reshape(-1, channels, *values.shape[1:]).transpose(0, 2, 1, 3))
    return np.concatenate(answers).astype(np.float32)


if __name__ == "__main__":
    main()
