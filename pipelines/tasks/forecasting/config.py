"""What can be set of `unroll train forecasting`."""

import math

from pydantic import Field, field_validator

from unroll.pipelines.data.series.section import SeriesSection
from unroll.pipelines.tasks.forecasting.minimum import Minimum
from unroll.pipelines.training.config import ModelSection, TaskConfig, TrainSection
from unroll.pipelines.training.keys import Cell, Epochs, KernelSize, Layers, Share


class ForecastModelSection(ModelSection):
    """The forecaster; see `unroll.models.series.forecaster.Forecaster`."""

    lookback: int | None = Field(
        None, ge=1, le=100_000, description="timesteps that are read; null: by the seasons and the length of the data"
    )
    horizon: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="timesteps that are forecast; null: a day of hours or less, two weeks of days, 8 weeks, 12 months, "
        "4 quarters",
    )
    cell: Cell = "gru"
    units: int | None = Field(
        None, ge=1, le=4096, description="features of every layer, per direction; null: 32, of few data 8"
    )
    layers: Layers = 1
    members: int | None = Field(
        None,
        ge=1,
        le=32,
        description="models, alike but for their initial weights, whose answers are averaged; null: 3, of few data 2",
    )
    segment: int | None = Field(
        None,
        ge=1,
        description="timesteps that one step of encoder and decoder covers; null: 48, of few data at most the horizon",
    )
    linear: bool = Field(True, description="adds a simple forecast from history and covariates, fitted in closed form")
    dropout: Share = Field(
        0.3, description="share dropped, in training, of every layer's inputs and of the decoder's output"
    )
    kernel_size: KernelSize = 3
    quantiles: list[float] = Field(
        [0.1, 0.5, 0.9], min_length=1, description="levels that are forecast, rising between 0 and 1, 0.5 among them"
    )
    minimum: Minimum = Field(
        "auto",
        description="what no forecast and no quantile is less than; auto: 0 of a target without a negative value; "
        "null: no limit",
    )
    calendar: bool = Field(True, description="makes covariates of hour, weekday and season from the time")

    @field_validator("minimum", mode="before")
    @classmethod
    def _check_minimum(cls, value: object) -> object:
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if not (number or value is None or value == "auto"):
            raise ValueError("takes a number, auto or null")
        return value

    @field_validator("quantiles")
    @classmethod
    def _rising(cls, levels: list[float]) -> list[float]:
        if levels != sorted(set(levels)) or 0.5 not in levels or not 0 < levels[0] <= levels[-1] < 1:
            raise ValueError("must rise between 0 and 1, with 0.5 among them")
        return levels


class ForecastTrainSection(TrainSection):
    """How the forecaster is trained."""

    epochs: Epochs = Field(
        None,
        description="epochs at most, each of as many passes as make 128 batches; null: train.minutes decides, else 3",
    )
    stride: int = Field(1, ge=1, description="timesteps from one training window to the next")


class ForecastConfig(TaskConfig):
    """The recent past of one or many series to quantiles of their future."""

    data: SeriesSection = SeriesSection()
    model: ForecastModelSection = ForecastModelSection()
    train: ForecastTrainSection = ForecastTrainSection()
