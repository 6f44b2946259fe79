"""How a model shows itself in a notebook."""

import base64
import html
import io
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from unroll.model import Model


class Plot(bytes):
    """A plot as PNG, which a notebook shows."""

    def _repr_png_(self) -> bytes:
        return bytes(self)


def as_html(model: "Model") -> str:
    """Name, metrics by split, learning curve and, folded, the model card; pictures are inside the HTML."""
    from unroll.pipelines.terminal import rounded

    splits: dict[str, dict[str, float]] = {}
    for key, value in model.metrics.items():
        split, metric, *group = key.split("/")
        if not group:
            splits.setdefault(metric, {})[split] = value
    names = list(dict.fromkeys(key.split("/")[0] for key in model.metrics))
    head = "".join(f"<th>{html.escape(name)}</th>" for name in ("", *names))
    rows = "".join(
        f"<tr><th>{html.escape(metric)}</th>"
        + "".join(f"<td>{rounded(scores[name]) if name in scores else ''}</td>" for name in names)
        + "</tr>"
        for metric, scores in splits.items()
    )
    warnings = "".join(f"<p>{html.escape(line)}</p>" for line in model.warnings)
    return (
        f"<div><h3>{html.escape(model.title)}</h3><p>{html.escape(model.task)}, <code>{html.escape(str(model.path))}"
        f"</code></p>{warnings}<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>{_curve(model)}"
        f"<details><summary>Model card</summary><pre>{html.escape(model.card)}</pre></details></div>"
    )


def _curve(model: "Model") -> str:
    history = model.history
    if history.empty:
        return ""
    from unroll.pipelines.scoring.plots import learning_curve

    drawn = io.BytesIO()
    rows = history.reset_index()  # which names the epochs
    best = int(rows.index[rows["epoch"] == model.best_epoch][0])
    learning_curve(cast(Any, rows.to_dict("records")), best).savefig(drawn, format="png")
    return f'<img alt="Learning curve" src="data:image/png;base64,{base64.b64encode(drawn.getvalue()).decode()}">'
