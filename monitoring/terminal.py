"""The drift report on a terminal."""

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from unroll.monitoring.drift import Feature
from unroll.monitoring.report import Report, counted

_MAX_NAME = 30  # in one line


def print_report(report: Report, console: Console) -> None:
    """Prints the verdict, what was compared, and a table of the features."""
    comparison = report.comparison
    colour = "red" if comparison.drift else "green" if comparison.p_value is not None else "yellow"
    console.print(f"[bold]{escape(report.model)}[/] version {report.version}: [bold {colour}]{report.verdict}[/]")
    for line in notes(report):
        console.print(line, style="dim")
    if comparison.features:
        longest = max(len(feature.name) for feature in comparison.features)
        name = Column("feature", width=min(longest, _MAX_NAME), overflow="fold")
        table = Table(name, "reference", "window", Column("p", no_wrap=True), Column("", no_wrap=True))
        for feature in comparison.features:
            table.add_row(
                escape(feature.name),
                escape(describe(feature.kind, feature.reference)),
                escape(describe(feature.kind, feature.current)),
                f"{feature.p_value:.3f}",
                "[red]drift[/]" if feature.drift else "",
            )
        console.print(table)
    for feature in comparison.features:
        for line in movements(feature):
            console.print(escape(line))


def notes(report: Report) -> list[str]:
    """What was compared with what, in sentences."""
    comparison, skipped = report.comparison, report.skipped
    lines = [
        f"{counted(report.requests, 'request')} from {report.first:%Y-%m-%d %H:%M} to "
        f"{report.last:%Y-%m-%d %H:%M} UTC, compared with {comparison.reference_records} held-out records."
    ]
    if comparison.p_value is None:
        lines.append(comparison.windows.shortage(comparison.compared))
    else:
        lines.append(
            f"p = {comparison.p_value:.3f}. A window without drift alarms (p <= {comparison.level:g}) about "
            f"once in {1 / comparison.level:.0f}; the features' p are adjusted for their number."
        )
        if caution := comparison.windows.caution(comparison.compared):
            lines.append(caution)
    if report.read < report.requests or comparison.compared < comparison.records:
        lines.append(comparison.windows.excerpt(comparison.compared))
    left_out = {
        "that called another method than Predict": skipped.method,
        "that asked another signature than the default one": skipped.signature,
        "that lacked a tensor that the features need": skipped.tensors,
        "damaged on disk": skipped.damaged,
        "whose line in the log cannot be read": skipped.lines,
    }
    lines += [f"Left out: {counted(count, 'request')} {reason}." for reason, count in left_out.items() if count]
    if unmatched := report.unmatched:
        if unmatched.untimed:
            lines.append(f"Left out: {counted(unmatched.untimed, 'record')} without a timestamp to match by.")
        if unmatched.unknown:
            lines.append(f"Left out: {counted(unmatched.unknown, 'record')} whose horizon the labels do not cover.")
    return lines


def describe(kind: str, summary: dict[str, Any]) -> str:
    """A feature's summary in a few words."""
    if "histogram" in summary:
        numbers = (_number(summary[name]) for name in ("mean", "p05", "p95"))
        return "mean {}, 90% in {} to {}".format(*numbers)
    if kind == "categorical":
        shown = [(name, share) for name, share in summary["shares"].items() if share]
        return ", ".join(f"{name} {share:.0%}" for name, share in shown[:6])
    return ", ".join(f"'{name}' {share:.0%}" for name, share in list(summary["texts_with"].items())[:5])


def movements(feature: Feature) -> list[str]:
    """The tokens that rose and fell, in two lines; none where the feature does not drift."""
    return [
        f"{feature.name} {verb}: "
        + ", ".join(f"'{token}' {before:.0%} -> {after:.0%}" for token, before, after in tokens)
        for verb, tokens in (("rose", feature.rose), ("fell", feature.fell))
        if tokens
    ]


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
