"""Where times, series and values are found in data files."""

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from unroll.errors import UserError
from unroll.monitoring.times.clock import Clock
from unroll.monitoring.times.forms.formats import FORMS, check_format
from unroll.monitoring.times.frequency import Frequency
from unroll.monitoring.times.holidays import check_holidays
from unroll.pipelines.data.sections import Name, NameOrNames, Names, TableSection


class SeriesSection(TableSection):
    """Columns of long or wide tables of time series."""

    time: NameOrNames | None = Field(
        "time",
        description="column of the time; or several: the day's and that of the time of day, or year, month, day, hour, "
        "minute; null: there is none, and rows are numbered in their order",
    )
    time_format: Annotated[str, BeforeValidator(check_format)] | None = Field(
        None,
        description=f"how times are written, as in strptime: %d/%m/%Y %H:%M; or one of {', '.join(FORMS)}; "
        "null: as the whole column tells",
    )
    timezone: str | None = Field(
        None,
        description="zone of the IANA database, such as Europe/Berlin, by whose clock days begin and times without a "
        "UTC offset are read; null: learnt from the UTC offsets",
    )
    rate: float | None = Field(
        None, gt=0, description="rows a second, of a table without times, such as 256; null: of no known distance"
    )
    series: Name | None = Field(None, description="column of the series' id, of a long table; null: the table is wide")
    columns: Literal["channels", "series"] = Field(
        "channels", description="what a wide table's columns are: channels of one series, or series of their own"
    )
    targets: Names | None = Field(
        None, description="columns that are forecast, one or several; null: all numeric ones not named otherwise"
    )
    past_covariates: Names = Field([], description="columns that are known up to now")
    future_covariates: Names = Field([], description="columns known for the horizon too: prices, holidays, a plan")
    holidays: str | None = Field(
        None,
        description="calendar of holidays that are a covariate, known for the horizon too: a country, such as DE, with "
        "its part, such as DE-BY, or an exchange, such as NYSE; null: none",
    )
    static_categories: Names = Field([], description="columns with one category per series")
    frequency: str | None = Field(
        None,
        description="step of the grid: 15min, 1h, 1D, 1B (Monday to Friday; 1B:NYSE: its trading days), 1W, 1M (same "
        "day of the month), 1ME (its last day), 1BME (its last one from Monday to Friday), 256Hz; null: what the times "
        "follow",
    )
    season: int | None = Field(
        None,
        ge=1,
        description="steps of a season, for the seasonal naive forecast and MASE; "
        "null: of those that go with the frequency or show in the data, the one that forecasts held-out blocks best",
    )
    split_rows: list[float] = Field(
        [0.7, 0.1, 0.2],
        min_length=3,
        max_length=3,
        description="training, validation and test split: fractions, or rows of the grid such as [8640, 2880, 2880]",
    )

    @property
    def time_columns(self) -> list[str]:
        """Names of the columns that tell the time."""
        return [self.time] if isinstance(self.time, str) else self.time or []

    @field_validator("split_rows")
    @classmethod
    def _check_split(cls, rows: list[float]) -> list[float]:
        whole = all(row >= 1 and row == int(row) for row in rows)
        if not whole and not (all(0 < row < 1 for row in rows) and sum(rows) <= 1 + 1e-9):
            raise ValueError("takes three counts of rows, or three fractions that sum to at most 1")
        return rows

    @field_validator("frequency")
    @classmethod
    def _check_frequency(cls, name: str | None) -> str | None:
        return name if name is None else _told(lambda: Frequency.parse(name).name)

    @field_validator("timezone")
    @classmethod
    def _check_timezone(cls, name: str | None) -> str | None:
        return name if name is None else _told(lambda: Clock.of(name).name)

    @field_validator("holidays")
    @classmethod
    def _check_holidays(cls, name: str | None) -> str | None:
        if name is not None:
            _told(lambda: check_holidays(name))
        return name

    @model_validator(mode="after")
    def _check_roles(self) -> "SeriesSection":
        roles = {
            "time": self.time_columns,
            "series": [self.series] if self.series else [],
            "targets": self.targets or [],
            "past_covariates": self.past_covariates,
            "future_covariates": self.future_covariates,
            "static_categories": self.static_categories,
        }
        seen: dict[str, str] = {}
        for role, names in roles.items():
            for name in names:
                if name in seen:
                    raise ValueError(f"column {name!r} is named by data.{seen[name]} and by data.{role}. Leave one out")
                seen[name] = role
        if self.rate is not None and self.time is not None:
            raise ValueError("data.rate is for tables without times. Leave it out, or say data.time=null")
        if self.time is None and (self.frequency or self.timezone or self.holidays):
            raise ValueError(
                "data.time=null numbers the rows, so that data.frequency, data.timezone and data.holidays have no "
                "meaning. Leave them out; data.rate says how many rows are in a second"
            )
        if self.series and self.columns == "series":
            raise ValueError("data.columns=series is for wide tables, which have no data.series. Leave one out")
        if self.static_categories and not self.series:
            raise ValueError("data.static_categories need a column of series ids. Name it with data.series")
        if self.targets == []:
            raise ValueError("data.targets names no column. Leave it out to forecast every column of numbers")
        return self


def _told(check: Callable[[], str]) -> str:
    """What a check returns; what it refuses, as pydantic has it."""
    try:
        return check()
    except UserError as error:
        raise ValueError(str(error).partition(": ")[2].partition(" Received")[0].rstrip(".")) from None
