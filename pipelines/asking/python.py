"""Values of Python to a model, and its answers as tables: lists of texts, bytes or paths, and DataFrames.

A module `asking` may have, beside `ask`, two functions of its own: `ask_frame(client, description, section, frame) ->
predictions`, where a frame's rows are not to be read as a file's, and `rows(predictions)`, where a prediction has more
rows than one.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unroll.errors import UserError
from unroll.pipelines.asking import asked
from unroll.pipelines.asking.rows import ask_in_requests, requests
from unroll.serving.client.client import Client

if TYPE_CHECKING:
    import pandas as pd


def predict_frame(
    client: Client, section: Mapping[str, Any], frame: "pd.DataFrame", store: "Callable[[pd.DataFrame], Path]"
) -> "pd.DataFrame":
    """Predictions for a DataFrame that has the columns of the training data.

    Args:
        client: of the model.
        section: the keys `data.*` of the model's configuration, which name the columns.
        frame: the rows.
        store: writes a frame to a file.

    Raises:
        UserError: rows that the model does not take.
    """
    import pandas as pd

    module, description = asked(client)
    if hasattr(module, "ask_frame"):
        return pd.DataFrame(module.ask_frame(client, description, section, frame), index=frame.index)
    predictions = module.ask(client, description, [str(store(frame))]).predictions
    return pd.DataFrame(module.rows(predictions) if hasattr(module, "rows") else predictions)


def predict_list(client: Client, values: Sequence[Any]) -> "pd.DataFrame":
    """Predictions for texts, bytes, or files, to a model of one input: a row each.

    Raises:
        UserError: something else, a file that cannot be read, or a model that takes more.
    """
    import pandas as pd

    inputs = client.metadata()["serving_default"].inputs
    needed = [name for name, info in inputs.items() if not info.optional]
    if len(needed) != 1 or inputs[needed[0]].dtype != object:
        taken = ", ".join(f"{name} ({'text' if info.dtype == object else info.dtype})" for name, info in inputs.items())
        raise UserError(
            f"inputs: a list goes to a model of one input of text or bytes, and {client.model} takes {taken}. Give a "
            "dict of arrays by these names, or a DataFrame with the columns of the training data"
        )
    if not len(values):
        raise UserError("inputs: nothing to predict. Give a list of texts, bytes or paths")
    _, rows = ask_in_requests(
        client,
        requests(values, size=lambda value: len(value) if isinstance(value, str | bytes) else 0),
        lambda part: {needed[0]: [_content(value) for value in part]},
        lambda part: [{} if isinstance(value, bytes) else {needed[0]: str(value)} for value in part],
    )
    return pd.DataFrame(rows)


def _content(value: Any) -> str | bytes:
    if isinstance(value, Path):
        try:
            return value.read_bytes()
        except OSError as error:
            raise UserError(f"inputs: {value}: cannot be read ({error.strerror}). Leave it out") from None
    if isinstance(value, str | bytes):
        return value
    raise UserError(f"inputs: expected texts, bytes or paths. Received: {type(value).__name__}: {value!r:.60}")
