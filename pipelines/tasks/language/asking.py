"""Prompts to a model that goes on with them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from unroll.pipelines.asking import Answer, text
from unroll.pipelines.asking.row_question import RowQuestion
from unroll.pipelines.training.progress import Progress
from unroll.serving.client.client import Client

INPUT = "prompt"


def ask(client: Client, description: Mapping[str, Any], inputs: Sequence[str]) -> Answer:
    """Sends prompts, as texts are sent; see `unroll.pipelines.asking.text`."""
    return text.ask(client, description, inputs)


def question(client: Client, description: Mapping[str, Any]) -> RowQuestion[str]:
    """How it is asked about a row of a table."""
    return text.question(client, description)


def pieces(client: Client, description: Mapping[str, Any], inputs: Sequence[str]) -> Iterator[str] | None:
    """A prompt and its continuation as it is written; None for several prompts, and for files of them.

    Example:
        >>> print("".join(pieces(client, {}, ["ROMEO:"])))  # doctest: +SKIP
        ROMEO:
        I would I were thy bird.
    """
    if len(inputs) != 1 or text.names_texts(inputs[0]):
        return None
    prompt = inputs[0].encode(errors="surrogateescape").decode(errors="replace")  # the shell passes any bytes
    return _shown(client, prompt)


def _shown(client: Client, prompt: str) -> Iterator[str]:
    answer = client.predict({"text": [prompt], "length": [0]})
    characters = answer["characters"].item()
    if unknown := round(answer["unknown"].item() * characters):
        with Progress() as progress:
            progress.line(
                f"{unknown:,} of {characters:,} characters of the prompt are unknown to the model, which reads nothing "
                "in their place."
            )
    yield prompt
    yield from client.generate(prompt)
