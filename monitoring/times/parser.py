"""Times as files write them, to numbers."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from unroll.errors import UserError
from unroll.monitoring.times.instants import MISSING_TIME, Times

_OFFSET = r"[Tt ]\d\d.*?(?P<offset>[Zz]|[+-]\d\d(?::?\d\d)?)$"  # after a time of day: a date may end like one
_FARTHEST = 1 << 37  # seconds, about the year 6325: anything beyond counts milliseconds or less


@dataclass
class TimeParser:
    """Reads one time column, of any number of batches and files.

    Args:
        column: its name, for messages.
        format: as `strptime` has it; None takes ISO 8601, Unix seconds, years, and YYYYMMDD.
        whole_seconds: refuse fractions of a second.
        remedy: what to do about a time that does not parse.

    Attributes:
        offsets: UTC offsets met, as they are written.
        zones: time zones of timestamps, as Parquet names them.
    """

    column: str
    format: str | None = None
    whole_seconds: bool = True
    remedy: str = (
        "Name the column of times with --set data.time=..., or its format, as in --set "
        "'data.time_format=%d/%m/%Y %H:%M'"
    )
    offsets: set[str] = field(default_factory=set)
    zones: set[str] = field(default_factory=set)
    _naive: str | None = None

    def parse(self, values: pa.Array, file: Path, first_row: int) -> Times:
        """Converts a batch.

        Args:
            values: text, numbers, dates or timestamps, plain or by dictionary.
            file: where they come from, for messages.
            first_row: number of the first of them in the file.

        Returns:
            One time a row; without offsets where they are written without one.

        Raises:
            UserError: a time that does not parse, or times with and without offset.
        """
        if pa.types.is_dictionary(values.type):
            codes = values.indices.fill_null(-1).to_numpy(zero_copy_only=False)
            distinct = values.dictionary
        else:
            codes, distinct = np.arange(len(values)), values
        micros, offsets, wrong = self._distinct(distinct, file)
        if wrong.any():
            row = int(np.isin(codes, np.flatnonzero(wrong)).argmax())
            raise self._error(file, first_row + row, distinct[int(codes[row])].as_py())
        fraction = (micros % 10**6 != 0) & (micros != MISSING_TIME)
        if self.whole_seconds and fraction.any():
            row = int(np.isin(codes, np.flatnonzero(fraction)).argmax())
            value = distinct[int(codes[row])].as_py()
            raise UserError(
                f"{file}, row {first_row + row}, column {self.column!r}: has fractions of a second, and steps are "
                f"whole seconds. Received: {value!s}. Round the times, or name the step, as in --set data.frequency=1s"
            )
        # code -1 is the one appended
        return Times(
            np.append(micros, MISSING_TIME)[codes],
            None if offsets is None else np.append(offsets, np.int32(0))[codes],
        )

    def _distinct(self, values: pa.Array, file: Path) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        """Microseconds since 1970 of each value, their UTC offsets, and which could not be read."""
        kind = values.type
        if pa.types.is_timestamp(kind):
            self._seen(bool(kind.tz), kind.tz or "", str(values[0]) if len(values) else "", file)
            if kind.tz:
                self.zones.add(kind.tz)
            return _microseconds(values), _zone_offsets(values), np.zeros(len(values), bool)
        if pa.types.is_date(kind):
            return _microseconds(values.cast(pa.timestamp("us"))), None, np.zeros(len(values), bool)
        if pa.types.is_floating(kind):
            seconds = values.fill_null(np.nan).to_numpy(zero_copy_only=False)
            wrong = np.abs(seconds) >= _FARTHEST
            unread = wrong | np.isnan(seconds)
            micros = np.round(np.where(unread, 0, seconds) * 1e6).astype(np.int64)
            return np.where(unread, MISSING_TIME, micros), None, wrong
        missing = values.is_null().to_numpy(zero_copy_only=False)
        text = values.cast(pa.string())
        if not pa.types.is_integer(kind):
            text = pc.utf8_trim_whitespace(text)
            missing |= pc.equal(text.fill_null(""), "").to_numpy(zero_copy_only=False)
        text = text.fill_null("")
        offsets = None
        if self.format is None and _all(pc.or_(pc.match_substring_regex(text, r"^-?\d+(\.0*)?$"), pa.array(missing))):
            found, wrong = self._numbers(pc.replace_substring_regex(text, r"\.0*$", ""), missing)
        else:
            found, offsets, wrong = self._texts(text, missing, file)
        return np.where(missing | wrong, MISSING_TIME, found), offsets, wrong & ~missing

    def _numbers(self, text: pa.Array, missing: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        numbers = pd.to_numeric(text.to_pandas().where(~missing, "0"), errors="coerce").to_numpy(np.float64)
        shown = numbers[~missing]
        if len(shown) and ((shown >= 1000) & (shown < 3000)).all():
            return _parse_text(text.to_pandas(), "%Y")
        if len(shown) and ((shown >= 1000_01_01) & (shown < 3000_01_01)).all():
            found, wrong = _parse_text(text.to_pandas(), "%Y%m%d")
            if not wrong[~missing].any():
                return found, wrong
        wrong = ~(np.abs(numbers) < _FARTHEST)
        return np.where(wrong, 0, numbers).astype(np.int64) * 10**6, wrong

    def _texts(
        self, text: pa.Array, missing: np.ndarray, file: Path
    ) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        offsets = pc.extract_regex(text, _OFFSET).field("offset").fill_null("").to_numpy(zero_copy_only=False)
        if self.format and "%z" not in self.format:
            offsets = np.full(len(text), "")
        with_offset = offsets != ""
        found, wrong = _parse_text(text.to_pandas(), self.format or "ISO8601")
        for offset in np.unique(offsets[with_offset & ~wrong]):
            self._seen(True, str(offset), text[int((offsets == offset).argmax())].as_py(), file)
        naive = ~with_offset & ~missing & ~wrong
        if naive.any():
            self._seen(False, "", text[int(naive.argmax())].as_py(), file)
        return found, _written_offsets(offsets) if with_offset.any() else None, wrong

    def _seen(self, with_offset: bool, offset: str, example: str, file: Path) -> None:
        if with_offset:
            self.offsets.add(offset)
        elif self._naive is None:
            self._naive = example
        if self.offsets and self._naive is not None:
            raise UserError(
                f"{file}: column {self.column!r} mixes times with a UTC offset ({sorted(self.offsets)[0]}) and without "
                f"({self._naive}). Write all of them with their offset, or all without"
            )

    def _error(self, file: Path, row: int, value: object) -> UserError:
        form = f"the format {self.format!r}" if self.format else "ISO 8601 (2026-01-31 13:00) or Unix seconds"
        return UserError(
            f"{file}, row {row}, column {self.column!r}: is not a time in {form}. "
            f"Received: {str(value)!r}. {self.remedy}"
        )


def _parse_text(texts: pd.Series, form: str) -> tuple[np.ndarray, np.ndarray]:
    parsed = pd.to_datetime(texts, format=form, utc=True, errors="coerce")
    return parsed.dt.tz_localize(None).to_numpy("datetime64[us]").astype(np.int64), parsed.isna().to_numpy()


def _written_offsets(texts: np.ndarray) -> np.ndarray:
    """Seconds east of UTC of offsets such as +05:30, -0530, +02 and Z; int32."""
    distinct, codes = np.unique(texts.astype(str), return_inverse=True)
    seconds = []
    for text in distinct:
        digits = text[1:].replace(":", "")
        east = int(digits[:2] or 0) * 3600 + int(digits[2:4] or 0) * 60
        seconds.append(-east if text.startswith("-") else east)
    return np.array(seconds, np.int32)[codes]


def _zone_offsets(values: pa.Array) -> np.ndarray | None:
    """Seconds east of UTC of timestamps with a zone, int32; None without one."""
    if not values.type.tz:
        return None
    utc = pc.cast(values, pa.timestamp("s", values.type.tz), safe=False)
    local = pc.cast(pc.local_timestamp(utc), pa.int64())
    east = pc.subtract(local, pc.cast(utc, pa.int64()))
    return east.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int32)


def _microseconds(values: pa.Array) -> np.ndarray:
    whole = pc.cast(values, pa.timestamp("us", values.type.tz), safe=False).cast(pa.int64())
    return whole.fill_null(MISSING_TIME).to_numpy(zero_copy_only=False)


def _all(mask: pa.Array) -> bool:
    return bool(pc.all(mask, min_count=0).as_py())
