"""What was found in a table of series, in words."""

from collections.abc import Mapping
from typing import Any


def summary(info: Mapping[str, Any], windows: Mapping[str, Mapping[str, int]]) -> str:
    """A training data set: its size, frequency and splits, and what had to be repaired.

    Args:
        info: of `unroll.pipelines.data.series.data`.
        windows: of `unroll.pipelines.data.series.window_index.check_windows`.
    """
    splits = ", ".join(f"{split} {one['windows']:,}" for split, one in windows.items())
    short = windows["train"]["short_series"]
    lines = [_size(info), f"Windows: {splits}.", *_mended(info)]
    if short:
        lines.append(f"{short:,} series too short for a training window.")
    if info.get("seasonless_series"):
        lines.append(
            f"{info['seasonless_series']:,} series with less than a season of {info['season']} steps before the test "
            "split: their seasonal naive forecast is the last value where no season back is known."
        )
    scaling = info["scaling"]
    for kind, words in {
        "constant": "constant in training",
        "without_training_values": "without training values",
    }.items():
        if scaling[kind]["count"]:
            count, named = scaling[kind]["count"], scaling[kind]["named"]
            more = ", ..." if count > len(named) else ""
            what = "series" if len(info["targets"]) == 1 else _counted(count, "target{s}").partition(" ")[2]
            lines.append(f"{count:,} {what} {words}: {', '.join(named)}{more}.")
    return "\n".join(lines)


def further_summary(info: Mapping[str, Any]) -> str:
    """Data that a trained model is given."""
    lines = [_size(info), *_mended(info)]
    if info["unseen_series"]:
        named = ", ".join(info["unseen_series_named"])
        lines.append(
            f"{info['unseen_series']:,} series not in the training data: {named}. Such are forecast as any other and "
            "scored in units of their own rows."
        )
    if info.get("cold_series"):
        named = ", ".join(info["cold_series_named"])
        lines.append(
            f"{info['cold_series']:,} series without a value to forecast from: {named}. Their forecasts are empty."
        )
    if info["unknown_categories"]:
        lines.append(f"{info['unknown_categories']:,} series with a category that the model does not know.")
    return "\n".join(lines)


def _size(info: Mapping[str, Any]) -> str:
    targets = info["targets"]
    named = f" ({', '.join(targets)})" if len(targets) <= 10 else ""
    rows, series = _counted(info["rows"], "row{s}"), f"{info['series_count']:,} series"
    target = _counted(len(targets), "target{s}")
    every = "numbered" if info["frequency"] == "step" else f"every {info['frequency']}"
    season = f", season {info['season']:,} steps" if info["season"] > 1 else ""
    span = f" From {info['span']}." if info.get("span") else ""
    return f"{rows}: {series}, {target}{named}, {every}{season}.{span}"


def _mended(info: Mapping[str, Any]) -> list[str]:
    missing = max(info["missing_share"].values())
    counts = {
        "unsorted_rows": "row{s} out of order, sorted",
        "exact_duplicates": "duplicate row{s}, dropped",
        "conflicting_duplicates": "row{s} of a time that comes again, of which the last counts",
        "snapped_rows": "row{s} beside the grid, moved to the nearest point",
        "rounded_times": "time{s} with a fraction of a second, rounded",
        "gaps": "missing time{s}, kept as missing",
        "incomplete_rows": "row{s} without time or series, left out",
        "infinite": "infinite value{s}, taken as missing",
        "empty_series": "series without a value, left out",
    }
    lines = [*info.get("notes", ())]
    lines += [f"{_counted(info[key], words)}." for key, words in counts.items() if info.get(key)]
    for column, count in info.get("static_conflicts", {}).items():
        if count:
            lines.append(f"{count:,} series with more than one {column}, of which the last counts.")
    if info.get("conflicting_example"):
        lines.append(f"The first time that comes again: {info['conflicting_example']}.")
    lines += [*info.get("clock_told", []), *info.get("steps_told", [])]
    if info.get("ignored_columns"):
        lines.append(f"Columns left out, as no numbers or without a role: {', '.join(info['ignored_columns'])}.")
    if missing:
        share = f"up to {missing:.1%}" if missing >= 0.0005 else "less than 0.1%"
        lines.append(f"Values missing: {share} of a column.")
    return lines


def _counted(count: int, words: str) -> str:
    return f"{count:,} {words.format(s='' if count == 1 else 's')}"
