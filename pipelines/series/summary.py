"""What was found in a table of series, in words."""

from collections.abc import Mapping
from typing import Any


def summary(facts: Mapping[str, Any], windows: Mapping[str, Mapping[str, int]]) -> str:
    """A training data set: its size, frequency and parts, and what had to be mended.

    Args:
        facts: of `pipelines.series.data`.
        windows: of `pipelines.series.window_index.check_windows`.
    """
    parts = ", ".join(f"{part} {one['windows']:,}" for part, one in windows.items())
    short = windows["train"]["short_series"]
    lines = [_size(facts), f"Windows: {parts}.", *_mended(facts)]
    if short:
        lines.append(f"{short:,} series are too short for a training window.")
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
            f"{facts['unseen_series']:,} series were not in the training data: {named}. They are forecast as any other "
            "and scored in units of their own rows."
        )
    if facts["unknown_categories"]:
        lines.append(f"{facts['unknown_categories']:,} series have a category that the model does not know.")
    return "\n".join(lines)


def _size(facts: Mapping[str, Any]) -> str:
    targets = facts["targets"]
    named = f" ({', '.join(targets)})" if len(targets) <= 10 else ""
    return (
        f"{facts['rows']:,} rows: {facts['series_count']:,} series, {len(targets)} targets{named}, every "
        f"{facts['frequency']}, season {facts['season']} steps."
    )


def _mended(facts: Mapping[str, Any]) -> list[str]:
    missing = max(facts["missing_share"].values())
    counts = {
        "unsorted_rows": "rows out of order, sorted",
        "exact_duplicates": "duplicate rows, dropped",
        "conflicting_duplicates": "rows of a time that comes again, of which the last counts",
        "snapped_rows": "rows beside the grid, moved to its nearest point",
        "gaps": "missing times, kept as missing values",
        "incomplete_rows": "rows without time or series, left out",
        "infinite": "infinite values, taken as missing",
        "empty_series": "series without a value, left out",
    }
    lines = [f"{facts[key]:,} {words}." for key, words in counts.items() if facts.get(key)]
    for column, count in facts.get("static_conflicts", {}).items():
        if count:
            lines.append(f"{count:,} rows change their series' {column}; the first counts.")
    if facts.get("conflicting_example"):
        lines.append(f"The first time that comes again: {facts['conflicting_example']}.")
    if len(facts.get("utc_offsets", [])) > 0:
        lines.append(f"UTC offsets {', '.join(facts['utc_offsets'])}: all times converted to UTC.")
    if facts.get("ignored_columns"):
        lines.append(f"Columns that are no numbers, left out: {', '.join(facts['ignored_columns'])}.")
    if missing:
        lines.append(f"Values missing: up to {missing:.1%} of a column.")
    return lines
