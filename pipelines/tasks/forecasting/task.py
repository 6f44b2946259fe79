"""Forecasting of one or many series: `unroll train forecasting --data load.csv --set data.time=date`."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from unroll import monitoring
from unroll.errors import UserError
from unroll.models.series.blend import Blend, Expert
from unroll.models.series.calendar import calendar_cycles
from unroll.models.series.forecaster import Forecaster, ForecasterConfig
from unroll.models.series.intervals import Spread
from unroll.models.series.quantile_model import QuantileModel
from unroll.models.series.raw_forecaster import RawForecaster, WindowFeatures
from unroll.models.series.simple_path import SimplePath
from unroll.monitoring.times.holidays import holiday_days
from unroll.pipelines.data.series import data as series_data
from unroll.pipelines.data.series.clock.believed_times import believed_times
from unroll.pipelines.data.series.clock.graph_step import clock_changes, graph_step
from unroll.pipelines.data.series.clock.local_windows import context_steps
from unroll.pipelines.data.series.data import SeriesData
from unroll.pipelines.data.series.summary import further_summary
from unroll.pipelines.data.series.summary import summary as data_summary
from unroll.pipelines.data.series.window_index import WindowIndex, check_windows
from unroll.pipelines.data.series.windows import windows
from unroll.pipelines.registry import register
from unroll.pipelines.scoring import plots
from unroll.pipelines.scoring.chance import baseline_chance
from unroll.pipelines.scoring.comparison import Baselines
from unroll.pipelines.task import Arrays, Evaluation, Predict, Servable, Task
from unroll.pipelines.tasks.forecasting.actuals import reading
from unroll.pipelines.tasks.forecasting.backtest import Backtest
from unroll.pipelines.tasks.forecasting.config import ForecastConfig
from unroll.pipelines.tasks.forecasting.intervals.calibration import Calibration
from unroll.pipelines.tasks.forecasting.intervals.fitting import fit_intervals
from unroll.pipelines.tasks.forecasting.minimum import lowest_values, minimum_summary, minimums
from unroll.pipelines.tasks.forecasting.plan import plan
from unroll.pipelines.tasks.forecasting.plots import backtest_figures
from unroll.pipelines.tasks.forecasting.signatures import forecast_signatures
from unroll.pipelines.tasks.forecasting.simple.blending import (
    blend_losses,
    fit_blend,
    network_gain,
    shares_said,
    simple_experts,
)
from unroll.pipelines.tasks.forecasting.simple.fitting import Refitted, SimpleFit, fit_simple
from unroll.pipelines.tasks.forecasting.simple.shares import Shares
from unroll.pipelines.tasks.forecasting.sizes import default_epochs, independent_windows
from unroll.pipelines.tasks.forecasting.statistical.comparing import StatisticalBacktest
from unroll.pipelines.tasks.forecasting.statistical.sampled import SampledWindows
from unroll.pipelines.tasks.forecasting.user_model import SeriesInfo, user_forecaster
from unroll.pipelines.tasks.forecasting.windows.feed import Feed
from unroll.pipelines.tasks.forecasting.windows.hiding import hide
from unroll.pipelines.tasks.forecasting.windows.profile_windows import ReferenceWindows
from unroll.pipelines.tasks.forecasting.windows.sent import sent_windows
from unroll.pipelines.training.progress import Progress
from unroll.pipelines.training.schedule.epochs import DefaultEpochs
from unroll.pipelines.training.signature import in_process
from unroll.pipelines.user_code.training import user_loss

_SLACK = 0.01  # standard deviations, by which a baseline may be better
_COMPARED = ("mase", "mae", "wql")  # metrics of baselines that are recorded as such
_BATCH = 256  # windows of a prediction
_MAX_VALIDATED = 50_000  # windows, after every epoch
_GRADIENT_BATCHES = 2
_MIN_STEPS = 128  # of an epoch


@register
class Forecasting(Task):
    """The recent past of a series to quantiles of its future."""

    name = "forecasting"
    Config = ForecastConfig
    monitor = "loss"
    sequential = True
    config: ForecastConfig

    @classmethod
    def prepare(cls, config: ForecastConfig, data: str, directory: Path, progress: Progress) -> None:
        series_data.prepare(config.data, data, directory, progress)

    def __init__(self, config: ForecastConfig, directory: Path):
        super().__init__(config, directory)
        self._data = SeriesData.load(directory)
        self._plan = plan(self._data, config.model)
        section, lookback, horizon = self._plan.section, self._plan.lookback, self._plan.horizon
        self.config = config.model_copy(update={"model": section})
        self._windows = check_windows(self._data, lookback=lookback, horizon=horizon)
        dataset_info, frequency = self._data.dataset_info, self._data.frequency
        covariates = [
            dataset_info["covariates"][name]
            for name in (*dataset_info["past_covariates"], *dataset_info["future_covariates"])
        ]
        begin, end = self._data.bounds["train"]
        step, changes = graph_step(frequency), clock_changes(frequency)
        cycle = {name: step[name] for name in ("seconds", "months", "weekdays")}
        self._features = WindowFeatures(
            lookback=lookback,
            horizon=horizon,
            targets=self._data.targets,
            past=len(dataset_info["past_covariates"]),
            mean=[one["mean"] for one in covariates],
            std=[one["std"] for one in covariates],
            cycles=calendar_cycles(**cycle, span=end - begin) if section.calendar and frequency.rate is None else [],
            step={**step, "civil": True} if changes else step,  # a history is laid on the local clock
            changes=changes,
            holidays=holiday_days(self.config.data.holidays) if self.config.data.holidays else [],
        )
        self._feed = Feed(self._data, self._features)
        self._shares: Shares | None = None  # of a trained model, as the next
        self._intervals: Calibration | None = None
        self._categories: dict[str, list[str]] = dataset_info["categories"]
        self._lowest = lowest_values(self._data.values, self._data.targets)
        self._minimums = minimums(section.minimum, self._lowest)

    def dataset_info(self) -> dict[str, Any]:
        section = self.config.model
        sizes = {"lookback", "horizon", "units", "layers", "members", "segment"}
        model: dict[str, Any] = section.model_dump(include=sizes)
        model |= {"quantiles": section.quantiles, "minimum": self._minimums, "chosen": self._plan.said}
        if self._shares:
            model |= {"blend": asdict(self._shares), "simple": self._simple.info}
        if self._intervals:
            model |= {"intervals": self._intervals.info}
        return {**self._data.dataset_info, **model, "windows": self._windows}

    def summary(self) -> str:
        dataset_info = self._data.dataset_info
        limits = minimum_summary(self.config.model.minimum, self._lowest, dataset_info["targets"])
        return "\n".join([data_summary(dataset_info, self._windows), *self._plan.said, *limits])

    def train_batches(self, epoch: int) -> tf.data.Dataset:
        config = self.config.train
        batches = self._feed.aligned(
            "train", config.batch_size, stride=config.stride, shuffle=(config.seed, epoch), passes=self._passes
        )
        if self._features.covariates or self._categories:
            batches = batches.enumerate().map(lambda number, batch: hide(batch, (config.seed, epoch), number))
        return batches.map(self._read.pair, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)

    def validation_batches(self) -> tf.data.Dataset:
        stride = self._feed.stride("validation", _MAX_VALIDATED)
        return self._feed.aligned("validation", _BATCH, stride=stride).map(
            self._read.pair, num_parallel_calls=tf.data.AUTOTUNE
        )

    def default_epochs(self) -> DefaultEpochs:
        return default_epochs(independent_windows(self._data, self._plan.horizon), self._passes)

    def steps_per_epoch(self) -> int:
        return self._passes * self._batches

    @cached_property
    def _batches(self) -> int:
        """Batches of one pass over the training windows."""
        config = self.config.train
        return -(-self._feed.count("train", config.stride) // config.batch_size)

    @property
    def _passes(self) -> int:
        """Passes of an epoch: a small data set would else give too few steps to learn by."""
        return -(-_MIN_STEPS // self._batches)

    def build(self) -> QuantileModel:
        section = self.config.model
        categories = tuple(len(names) + 1 for names in self._categories.values())
        targets, covariates, quantiles = self._data.targets, self._features.covariates, tuple(section.quantiles)
        sizes = SeriesInfo(self._plan.lookback, self._plan.horizon, targets, covariates, categories, quantiles)
        if section.build:
            return user_forecaster(section.build, section, sizes)
        settings = section.model_dump(exclude={"build", "calendar", "minimum"})
        model = Forecaster(ForecasterConfig(**{**settings, **asdict(sizes)}))
        if section.linear:
            model.set_linear(self._simple.path.history_map.kernel.numpy())
        return model

    def compile(self, model: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
        model.compile(optimizer, loss=user_loss(self.config.train.loss))  # else loss and metrics are the model's own

    def contribution(self, model: keras.Model) -> float | None:
        _, shares = fit_blend(model, self._experts(self._simple.path), self._read)
        return None if shares is None else network_gain(shares)

    def answer_losses(self, model: keras.Model, parts: Sequence[tuple[float, float]]) -> list[float]:
        return blend_losses(model, self._experts(self._simple.path), self._read, parts)

    def servable(self, model: keras.Model) -> Servable:
        simple = self._simple
        blend, self._shares = fit_blend(model, self._experts(simple.path), self._read)
        self._intervals = fit_intervals(blend, simple, self._feed, self.config.model.quantiles)
        chosen = (blend.shares, self._intervals.spread)
        # all was chosen by forecasts that have not learnt the validation split; those that are served have
        servable = self._served(model, simple.refitted, *chosen)
        before = self._served(model, simple, *chosen).signatures
        said = [simple.said, shares_said(self._shares)] if self._shares else []
        return replace(servable, said=[*said, self._intervals.said], predict_validation=in_process(before))

    def _served(
        self, model: keras.Model, simple: SimpleFit | Refitted, shares: Mapping[str, float], spread: Spread
    ) -> Servable:
        """The graph of a trained model and simple forecasts."""
        blend = Blend(model, self._experts(simple.path), shares)
        times, columns = believed_times(self._data), self._data.values.shape[1]
        served = RawForecaster(blend, self._features, spread, self._categories, times, self._minimums)
        return forecast_signatures(served, simple.ridge, simple.path, self._data.season, columns, self._description())

    def held_out(self, data: str, split: str) -> Iterator[Arrays]:
        sizes = {"lookback": self._plan.lookback, "horizon": self._plan.horizon}
        sampled = SampledWindows.of(self._data, split, **sizes) if split == "test" else None
        return sent_windows(
            self._data, self._feed.cut(split, _BATCH, history=context_steps(self.dataset_info())), sampled
        )

    @classmethod
    def records(
        cls, config: ForecastConfig, dataset_info: Mapping[str, Any], data: str, progress: Progress
    ) -> Iterator[Arrays]:
        further = series_data.read_further(config.data, dataset_info, data, progress)
        sizes = {"lookback": dataset_info["lookback"], "horizon": dataset_info["horizon"]}
        progress.line(further_summary(further.dataset_info))
        if not WindowIndex.of(further, "all", **sizes).count:
            longest = int(np.diff(further.offsets).max())
            raise UserError(
                f"--data {data}: no series has a window to forecast; the longest has {longest} steps, and the model "
                f"forecasts {sizes['horizon']} steps from the {sizes['lookback']} before. Give more rows"
            )
        batches = windows(
            further,
            "all",
            **sizes,
            batch_size=_BATCH,
            history=context_steps(dataset_info),
        )
        return sent_windows(further, batches, SampledWindows.of(further, "all", **sizes))

    @classmethod
    def evaluate(
        cls, dataset_info: Mapping[str, Any], records: Iterable[Arrays], predict: Predict, progress: Progress
    ) -> Evaluation:
        frequency = series_data.frequency_of(dataset_info)
        backtest = Backtest(dataset_info["quantiles"], dataset_info["targets"], frequency)
        kept, statistical = ReferenceWindows(), StatisticalBacktest(dataset_info)
        with progress.stage("forecasting") as stage:
            for batch in records:
                answer = predict(batch)
                backtest.add(batch, {"model": answer["forecast"], **predict(batch, "baselines")}, answer["quantiles"])
                kept.add(batch, answer)
                statistical.keep(batch, answer)
                stage.advance()
            stage.say(f"{backtest.counts()['windows']:,} windows")
        metrics = backtest.metrics() | backtest.coverage.metrics()
        beside = statistical.scored(progress)
        return Evaluation(
            {**metrics, **beside.metrics},
            kept.inputs,
            kept.outputs,
            backtest_figures(backtest),
            _steps(backtest),
            chance=baseline_chance(metrics, "mae_z", ("last_value", "seasonal_naive"), _SLACK),
            notes=[*backtest.notes(), *beside.notes],
            losses=beside.after(backtest.losses()),
        )

    def baselines(self, scored: Mapping[str, Evaluation], progress: Progress) -> Baselines:
        """Those that the export carries, which the backtest has scored beside the model."""
        return Baselines(
            {
                f"{split}/{metric}": value
                for split, one in scored.items()
                for metric, value in one.metrics.items()
                if metric.partition("/")[0] in _COMPARED and "/" in metric
            }
        )

    def profile(self, name: str, validation: Evaluation) -> monitoring.ReferenceProfile:
        section, frequency = self.config.model, self._data.frequency
        inner = [level for level in section.quantiles if level <= 0.1] or section.quantiles[:1]
        lower = section.quantiles.index(inner[-1])
        feature = monitoring.SeriesFeature(
            channels=tuple(self._data.dataset_info["targets"]),
            season=self._data.season,
            lookback=self._plan.lookback,
            lower=lower,
            upper=len(section.quantiles) - 1 - lower,
            seconds=frequency.seconds,
            months=frequency.months,
            frequency=frequency.name,
            timezone=frequency.clock.name,
            time_column=tuple(self.config.data.time_columns),
            time_format=self.config.data.time_format,
            time_form=self._data.dataset_info["time_form"],
            series_column=self.config.data.series,
            reading=reading(self.config.data, self._data.dataset_info),
        )
        return monitoring.ReferenceProfile.build([feature], validation.inputs, validation.outputs, model=name)

    def figures(self, model: keras.Model) -> dict[str, Any]:
        norms = []
        for inputs, target in self.validation_batches().take(_GRADIENT_BATCHES):
            history = inputs["history"]
            inputs.pop("base", None)  # which would not follow the history
            with tf.GradientTape() as tape:
                tape.watch(history)
                loss = model.compute_loss(None, target, model({**inputs, "history": history}))
            norms += list(tf.norm(tape.gradient(loss, history), axis=-1).numpy())  # [L] each
        return {"gradient_by_timestep.png": plots.gradient_by_timestep(norms)}

    @property
    def _alone(self) -> bool:
        """Whether the network answers without simple forecasts."""
        return bool(self.config.model.build) or not self.config.model.linear

    def _experts(self, path: SimplePath) -> dict[str, Expert]:
        """Simple forecasts that the answer may be made of, beside the network; the best of them is given."""
        return {} if self._alone else simple_experts(path, self._data.season, self._plan.horizon)

    @cached_property
    def _simple(self) -> SimpleFit:
        """The forecasts in closed form: baselines, and what the network adds to."""
        return fit_simple(self._feed)

    @cached_property
    def _read(self) -> Feed:
        """Windows as the network reads them."""
        return self._feed if self._alone else replace(self._feed, base=self._simple.path)

    def _description(self) -> dict[str, Any]:
        """What `unroll predict` needs to know to ask the model."""
        dataset_info = self.dataset_info()
        keys = ["targets", "past_covariates", "future_covariates", "categories", "frequency", "timezone", "season"]
        keys += ["lookback", "horizon", "quantiles", "minimum", "time_form", "formats"]
        section = self.config.data.model_dump(mode="json")
        return {"task": self.name, "input": "series", "data": section, **{key: dataset_info[key] for key in keys}}


def _steps(backtest: Backtest) -> dict[str, list[dict[str, Any]]]:
    """A row a step, a column a system."""
    rows: dict[int, dict[str, Any]] = {}
    for one in backtest.by_step():
        rows.setdefault(one["step"], {"step": one["step"]})
        rows[one["step"]][one["system"]] = one["mase"]
    return {"MASE by step of the horizon": list(rows.values()), **backtest.coverage.tables()}
