"""Where times, series and values are found in data files."""

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from unroll.errors import UserError
from unroll.monitoring.times.forms.formats import FORMS, check_format
from unroll.pipelines.data.sections import Name, NameOrNames, Names, TableSection
from unroll.pipelines.data.series.time_grid import Frequency


class SeriesSection(TableSection):
    """Columns of long or wide tables of time series."""

    time: NameOrNames = Field(
        "time",
        description="column of the time, read as UTC where it has no offset; or several: the day's and that of the "
        "time of day, or year, month, day, hour, minute",
    )
    time_format: Annotated[str, BeforeValidator(check_format)] | None = Field(
        None,
        description=f"how times are written, as in strptime: %d/%m/%Y %H:%M; or one of {', '.join(FORMS)}; "
        "null: as the whole column tells",
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
    static_categories: Names = Field([], description="columns with one category per series")
    frequency: str | None = Field(
        None,
        description="step of the grid: 15min, 1h, 1D, 1W, 1M (same day of the month), 1ME (its last day); "
        "null: the most common step",
    )
    season: int | None = Field(
        None,
        ge=1,
        description="steps of a season, for the seasonal naive forecast and MASE; "
        "null: of those that go with the frequency, the one that fits the train split best",
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
        return [self.time] if isinstance(self.time, str) else self.time

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
        return name if name is None else _parsed(name)

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
        if self.series and self.columns == "series":
            raise ValueError("data.columns=series is for wide tables, which have no data.series. Leave one out")
        if self.static_categories and not self.series:
            raise ValueError("data.static_categories need a column of series ids. Name it with data.series")
        if self.targets == []:
            raise ValueError("data.targets names no column. Leave it out to forecast every column of numbers")
        return self


def _parsed(name: str) -> str:
    try:
        return Frequency.parse(name).name
    except UserError as error:
        raise ValueError(str(error).partition(": ")[2].partition(" Received")[0].rstrip(".")) from None
