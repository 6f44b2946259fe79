"""What was found in a table of series, in words."""

from collections.abc import Mapping
from typing import Any


def summary(facts: Mapping[str, Any], windows: Mapping[str, Mapping[str, int]]) -> str:
    """A training data set: its size, frequency and splits, and what had to be mended.

    Args:
        facts: of `unroll.pipelines.data.series.data`.
        windows: of `unroll.pipelines.data.series.window_index.check_windows`.
    """
    splits = ", ".join(f"{split} {one['windows']:,}" for split, one in windows.items())
    short = windows["train"]["short_series"]
    lines = [_size(facts), f"Windows: {splits}.", *_mended(facts)]
    if short:
        lines.append(f"{short:,} series too short for a training window.")
    if facts.get("seasonless_series"):
        lines.append(
            f"{facts['seasonless_series']:,} series with less than a season of {facts['season']} steps before the test "
            "split: their seasonal naive forecast is the last value where no season back is known."
        )
    scaling = facts["scaling"]
    for kind, words in {
        "constant": "constant in training",
        "without_training_values": "without training values",
    }.items():
        if scaling[kind]["count"]:
            named = ", ".join(scaling[kind]["named"])
            lines.append(f"{scaling[kind]['count']:,} series {words}: {named}.")
    return "\n".join(lines)


def further_summary(facts: Mapping[str, Any]) -> str:
    """Data that a trained model is given."""
    lines = [_size(facts), *_mended(facts)]
    if facts["unseen_series"]:
        named = ", ".join(facts["unseen_series_named"])
        lines.append(
            f"{facts['unseen_series']:,} series not in the training data: {named}. Such are forecast as any other and "
            "scored in units of their own rows."
        )
    if facts["unknown_categories"]:
        lines.append(f"{facts['unknown_categories']:,} series with a category that the model does not know.")
    return "\n".join(lines)


def _size(facts: Mapping[str, Any]) -> str:
    targets = facts["targets"]
    named = f" ({', '.join(targets)})" if len(targets) <= 10 else ""
    rows, series = _counted(facts["rows"], "row{s}"), f"{facts['series_count']:,} series"
    target, season = _counted(len(targets), "target{s}"), _counted(facts["season"], "step{s}")
    return f"{rows}: {series}, {target}{named}, every {facts['frequency']}, season {season}."


def _mended(facts: Mapping[str, Any]) -> list[str]:
    missing = max(facts["missing_share"].values())
    counts = {
        "unsorted_rows": "row{s} out of order, sorted",
        "exact_duplicates": "duplicate row{s}, dropped",
        "conflicting_duplicates": "row{s} of a time that comes again, of which the last counts",
        "snapped_rows": "row{s} beside the grid, moved to the nearest point",
        "gaps": "missing time{s}, kept as missing",
        "incomplete_rows": "row{s} without time or series, left out",
        "infinite": "infinite value{s}, taken as missing",
        "empty_series": "series without a value, left out",
    }
    lines = [f"{_counted(facts[key], words)}." for key, words in counts.items() if facts.get(key)]
    for column, count in facts.get("static_conflicts", {}).items():
        if count:
            lines.append(f"{count:,} series with more than one {column}, of which the last counts.")
    if facts.get("conflicting_example"):
        lines.append(f"The first time that comes again: {facts['conflicting_example']}.")
    if offsets := facts.get("utc_offsets"):
        lines.append(f"UTC offset{'s' * (len(offsets) > 1)} {', '.join(offsets)}: all times converted to UTC.")
    if facts.get("ignored_columns"):
        lines.append(f"Columns left out, as no numbers or without a role: {', '.join(facts['ignored_columns'])}.")
    if missing:
        share = f"up to {missing:.1%}" if missing >= 0.0005 else "less than 0.1%"
        lines.append(f"Values missing: {share} of a column.")
    return lines


def _counted(count: int, words: str) -> str:
    return f"{count:,} {words.format(s='' if count == 1 else 's')}"
