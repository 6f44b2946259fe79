"""Texts to a model that translates them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from unroll.pipelines.asking import Answer, text
from unroll.pipelines.asking.row_question import RowQuestion
from unroll.pipelines.training.progress import Progress
from unroll.serving.client.client import Client

if TYPE_CHECKING:
    import pandas as pd

INPUT = "text to translate"


def ask(client: Client, description: Mapping[str, Any], inputs: Sequence[str]) -> Answer:
    """Sends texts, as those of any model of texts; of tables the column `data.source`."""
    answer = text.ask(client, _as_text(description), inputs)
    if cut := sum(row["cut"] for row in answer.predictions):
        most, texts = description["data"]["max_tokens"], len(answer.predictions)
        with Progress() as progress:
            progress.line(
                f"{cut:,} of {texts:,} texts {'is' if cut == 1 else 'are'} longer than {most:,} subwords "
                "(data.max_tokens), and what comes after them is not translated. Give sentences, one by one."
            )
    return answer


def ask_frame(
    client: Client, description: Mapping[str, Any], section: Mapping[str, Any], frame: "pd.DataFrame"
) -> list[dict[str, Any]]:
    """Sends the texts in a DataFrame's column `data.source`; see `unroll.pipelines.asking.text`."""
    return text.ask_frame(client, _as_text(description), {**section, "text": section["source"]}, frame)


def question(client: Client, description: Mapping[str, Any]) -> RowQuestion[str]:
    """How it is asked about a row of a table."""
    return text.question(client, _as_text(description))


def _as_text(description: Mapping[str, Any]) -> dict[str, Any]:
    """The column of sources under the name of the model's input."""
    section = description.get("data", {})
    return {**description, "data": {**section, "text": section.get("source", "source")}}
