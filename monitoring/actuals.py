"""What came true after a forecast, from a file that arrives later."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from unroll import plugins
from unroll.errors import UserError
from unroll.monitoring.calendar_months import months_of
from unroll.monitoring.features.series import ACTUAL, SeriesFeature
from unroll.monitoring.missing import MISSING
from unroll.serving.files import regular_files

if TYPE_CHECKING:
    import pandas as pd

_PARQUET = (".parquet", ".pq")
OBSERVED = 0.5  # of a horizon's values, at least

Tensors = Mapping[str, np.ndarray]


@dataclass
class Unmatched:
    """How many records were left out.

    Args:
        untimed: the request told no timestamp.
        unknown: the file does not know the series, does not reach the end of the horizon, or holds less than
            half of its values.
    """

    untimed: int = 0
    unknown: int = 0


@dataclass(frozen=True)
class Actuals:
    """Observed values by series and time.

    Args:
        path: the file.
        feature: whose forecasts they belong to.
        series: by name, increasing times int64 `(t,)`, in seconds or, for steps of calendar months, in months,
            and values float64 `(t, channels)`. The one series of a file without names is "".
        unmatched: counts what `match` left out.
        whole: whether the times are Unix seconds of all steps of a series, as training places them, none left out.
    """

    path: Path
    feature: SeriesFeature
    series: Mapping[str, tuple[np.ndarray, np.ndarray]]
    unmatched: Unmatched = field(default_factory=Unmatched)
    whole: bool = False

    @classmethod
    def read(cls, path: Path, feature: SeriesFeature, overrides: Sequence[str] = ()) -> "Actuals":
        """Reads a table as training read its data; of older profiles, and of other tasks, a CSV or Parquet file.

        It has the columns that the training data had, written alike: the time (naive ones are UTC), the targets, and
        the series' names where there are several; or, for a single target, a column a series.

        Args:
            path: the file.
            feature: of the model.
            overrides: `data.key=value`, where it is written otherwise than the training data.

        Raises:
            UserError: a file that cannot be read, lacks a column, or holds cells that are not times or not numbers.
        """
        readers = plugins.beside("actuals", feature.reading["task"]) if feature.reading else ()
        for module in readers:
            told = (overrides,) if overrides else ()
            return cls(path, feature, module.read(path, feature.reading, *told), whole=True)
        if overrides:
            raise UserError("--set: the model does not say how its data is read. Leave it out, and write a CSV file")
        table = _table(path)
        columns = [str(column) for column in table.columns]
        targets = list(feature.channels)
        # of a single target the file may have a column a series, named after it
        wide = len(targets) == 1 and targets[0] not in columns and feature.series_column not in columns
        named = feature.series_column is not None and not wide
        needed = [*feature.time_columns, *([feature.series_column] if named else []), *([] if wide else targets)]
        for column in needed:
            if column not in columns:
                raise UserError(
                    f"--labels: {path} has no column {column!r}. It has: {', '.join(columns)}. Name its columns as the "
                    "training data's."
                )
        others = [column for column in columns if column not in feature.time_columns] if wide else []
        for column in (*needed, *others):
            _check_cells(path, table, str(column))
        times = _times(path, table, feature)
        if wide:
            values = _numbers(path, table[others])
            found = {name: _sorted(times, values[:, [column]]) for column, name in enumerate(others)}
        else:
            values = _numbers(path, table[targets])
            names = (
                table[feature.series_column].map(str, na_action="ignore").fillna("").str.strip().to_numpy(str)
                if named
                else np.full(len(times), "")
            )
            found = {str(name): _sorted(times[names == name], values[names == name]) for name in np.unique(names)}
        return cls(path, feature, found)

    def match(
        self, inputs: Tensors, outputs: Tensors
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], np.ndarray]:
        """Finds what came true.

        Args:
            inputs: of n records.
            outputs: of n records.

        Returns:
            Inputs, with `actual` `(m, horizon, channels)`, and outputs of the m records for which it is known,
            and their rows.

        Raises:
            ValueError: tensors of shapes that the feature does not take.
        """
        feature = self.feature
        feature.tensors(inputs, outputs)
        n, horizon = outputs[feature.forecast].shape[:2]
        newest = inputs.get(feature.timestamp, np.full(n, -1)).astype(np.int64)
        names = [_text(name) for name in inputs.get(feature.series, np.full(n, "")).tolist()]
        actual = np.full((n, horizon, len(feature.channels)), np.nan)
        steps = 1 + np.arange(horizon)
        for row in np.flatnonzero(newest >= 0):
            times, values = self._of(names[row])
            if self.whole:
                at, there = self._places(times, int(newest[row]), steps)
            else:
                at, there = self._found(times, int(newest[row]), steps)
            actual[row, there] = values[at[there]]
        known = np.isfinite(actual).mean(axis=(1, 2)) >= OBSERVED
        self.unmatched.untimed += int((newest < 0).sum())
        self.unmatched.unknown += int((~known & (newest >= 0)).sum())
        rows = np.flatnonzero(known)
        matched = {name: array[rows] for name, array in inputs.items()} | {ACTUAL: actual[rows]}
        return matched, {name: array[rows] for name, array in outputs.items()}, rows

    def _places(self, times: np.ndarray, newest: int, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rows of the steps of a horizon, and which of them there are; none where the series ends before it."""
        if not len(times):
            return steps, np.zeros(len(steps), bool)
        at = steps - self.feature.step.steps_after(newest, times[:1])[0]
        return at, (at >= 0) & (at[-1] < len(times))

    def _found(self, times: np.ndarray, newest: int, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The same of times that must be hit exactly, in months where steps are."""
        feature = self.feature
        wanted = newest + feature.seconds * steps if feature.seconds else months_of(newest) + feature.months * steps
        if not len(times) or wanted[-1] > times[-1]:
            return steps, np.zeros(len(steps), bool)
        at = np.searchsorted(times, wanted)
        return at, times[at] == wanted

    def _of(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        if len(self.series) == 1 and ("" in self.series or not name):
            return next(iter(self.series.values()))
        return self.series.get(name, (np.empty(0, np.int64), np.empty((0, len(self.feature.channels)))))


def _table(path: Path) -> "pd.DataFrame":
    """A CSV file's cells stay text: a series may be called 007 or NA."""
    import pandas as pd

    try:
        regular_files.check_regular(path)
        table = pd.read_parquet(path) if path.suffix in _PARQUET else pd.read_csv(path, dtype=str, na_filter=False)
        table.columns = [str(column) for column in table.columns]
        return table
    except Exception as error:  # damage raises whatever the code that meets it raises
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:200] or type(error).__name__
        raise UserError(f"--labels: {path} cannot be read ({reason}). Give a CSV or Parquet file.") from None


def _check_cells(path: Path, table: "pd.DataFrame", column: str) -> None:
    """Refuses a column that is there twice, or whose cells are bytes, lists or structures."""
    if list(table.columns).count(column) > 1:
        raise UserError(f"--labels: {path} has several columns {column!r}. Rename all but one.")
    cells = table[column]
    if cells.dtype == object and any(isinstance(cell, bytes | list | tuple | dict | np.ndarray) for cell in cells):
        raise UserError(f"--labels: {path}, column {column!r}: holds no single texts, times or numbers. Convert it.")


def _times(path: Path, table: "pd.DataFrame", feature: SeriesFeature) -> np.ndarray:
    import pyarrow as pa

    from unroll.monitoring.times.row_parser import RowParser

    columns = feature.time_columns
    parser = RowParser(
        columns,
        feature.time_format,
        prefer=feature.time_form,
        remedy="Write it as in the training data",
    )
    try:
        cells = [pa.Array.from_pandas(table[name]) for name in columns]
        times = parser.parse(cells, path, _first_row(path))
        if times.missing.any():
            row = _first_row(path) + int(times.missing.argmax())
            raise UserError(
                f"{path}, row {row}, column {', '.join(map(repr, columns))}: has no time. Add it, or leave the row out"
            )
    except UserError as error:
        raise UserError(f"--labels: {error}") from None
    return times.seconds if feature.seconds else months_of(times.seconds)


def _numbers(path: Path, columns: "pd.DataFrame") -> np.ndarray:
    import pandas as pd

    columns = columns.mask(columns.astype(str).apply(lambda cells: cells.str.strip().str.lower()).isin(MISSING))
    numbers = columns.apply(pd.to_numeric, errors="coerce")
    wrong = (numbers.isna() & columns.notna()).to_numpy()
    if wrong.any():
        row, column = (int(one[0]) for one in np.nonzero(wrong))
        raise UserError(
            f"--labels: {path}, row {_first_row(path) + row}, column {columns.columns[column]!r}: is not a number. "
            f"Received: {columns.iat[row, column]!r}. Fix it, or leave it empty where it is missing."
        )
    return numbers.to_numpy(np.float64, na_value=np.nan)


def _first_row(path: Path) -> int:
    """As people count: a CSV file's header is row 1."""
    return 1 if path.suffix in _PARQUET else 2


def _sorted(times: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """In the order of time; of rows of the same time the last."""
    order = np.argsort(times, kind="stable")
    times, values = times[order], values[order]
    last = np.append(times[1:] != times[:-1], True)[: len(times)]
    return times[last], values[last]


def _text(name: Any) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name)
