"""The drift report as one HTML file that needs nothing from anywhere."""

import io
import warnings
from html import escape
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from unroll.errors import UserError
from unroll.monitoring import drift
from unroll.monitoring.report import Report
from unroll.monitoring.terminal import describe, notes
from unroll.workspace import write_atomically

REFERENCE, WINDOW = "#8a8f98", "#2563eb"
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1f2328 }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.4rem } h2 { font-size: 1.1rem; margin-top: 2rem } svg { max-width: 100%; height: auto }
table { border-collapse: collapse } th, td { text-align: left; padding: .3rem .8rem .3rem 0 }
th { border-bottom: 1px solid #d0d7de } p { margin: .3rem 0 } p.note { color: #59636e }
.drift { color: #b42318 } .quiet { color: #1a7f37 } .unknown { color: #9a6700 }
"""


def render(report: Report) -> str:
    """The whole page, its figures embedded as SVG."""
    comparison = report.comparison
    mood = "drift" if comparison.drift else "quiet" if comparison.p_value is not None else "unknown"
    title = f"{escape(report.model)} version {report.version}: <span class={mood}>{report.verdict}</span>"
    rows = "".join(_row(feature) for feature in comparison.features)
    table = f"<table><tr><th>feature<th>reference<th>window<th>p<th></tr>{rows}</table>" if rows else ""
    return (
        "<!doctype html><html lang=en><meta charset=utf-8>"
        f"<title>{escape(report.model)} version {report.version}: {report.verdict}</title>"
        f"<style>{_STYLE}</style><h1>{title}</h1>"
        + "".join(f"<p class=note>{escape(line)}</p>" for line in notes(report))
        + table
        + "".join(_section(feature) for feature in comparison.features)
        + "</html>\n"
    )


def _row(feature: drift.Feature) -> str:
    cells = [
        feature.name,
        describe(feature.kind, feature.reference),
        describe(feature.kind, feature.current),
        f"{feature.p_value:.3f}",
    ]
    verdict = "<td class=drift>drift" if feature.drift else "<td>"
    return "<tr>" + "".join(f"<td>{escape(cell)}" for cell in cells) + verdict + "</tr>"


def _section(feature: drift.Feature) -> str:
    figure = Figure(figsize=(8, 2.6), layout="constrained")
    axes = figure.subplots()
    if "histogram" in feature.reference:
        edges = feature.reference["histogram"]["edges"]
        for side, colour, fill in ((feature.reference, REFERENCE, True), (feature.current, WINDOW, False)):
            counts = np.array(side["histogram"]["counts"], float)
            axes.stairs(counts / max(counts.sum(), 1), edges, color=colour, fill=fill, linewidth=1.8)
        axes.set_ylabel("share of records")
        axes.set_xlabel("the last bar holds everything beyond it")
    else:
        shares = "shares" if feature.kind == "categorical" else "texts_with"
        names = list(feature.reference[shares])
        before, now = ([side[shares][name] for name in names] for side in (feature.reference, feature.current))
        if moved := [*feature.rose, *feature.fell]:
            names, before, now = (list(column) for column in zip(*moved, strict=True))
        at = np.arange(len(names))
        axes.bar(at - 0.2, before, 0.4, color=REFERENCE)
        axes.bar(at + 0.2, now, 0.4, color=WINDOW)
        # A dollar sign would begin a formula.
        axes.set_xticks(at, [name.replace("$", r"\$") for name in names], rotation=40, ha="right")
        axes.set_ylabel("share of records")
    handles = [Patch(color=REFERENCE, label="reference"), Patch(color=WINDOW, label="window")]
    axes.legend(handles=handles, frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    svg = io.StringIO()
    with rc_context({"svg.fonttype": "none"}), warnings.catch_warnings():
        # The browser has the glyphs that matplotlib's own font lacks.
        warnings.filterwarnings("ignore", message="Glyph")
        figure.savefig(svg, format="svg", metadata={"Date": None, "Creator": None})
    return f"<h2>{escape(feature.name)}</h2>" + svg.getvalue()[svg.getvalue().index("<svg") :]


def write(path: Path, page: str) -> None:
    """Writes the page whole or not at all.

    Raises:
        UserError: where the path cannot be written.
    """
    try:
        write_atomically(path, page.encode())
    except OSError as error:
        raise UserError(f"--html: {path} cannot be written ({error.strerror}). Name another file.") from None
