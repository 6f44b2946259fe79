"""What the clients ask a model that goes on with texts."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from unroll.errors import UserError
from unroll.serving.client.questions import Inquiry, Piece, Pieces, Predict, pieces, question
from unroll.serving.protocol.arguments import check_list, shown

_PIECE = 16  # units of a piece: a request costs about as much as to write a few
_MAX_PIECE = 1000


@pieces
def generate(
    prompt: str,
    length: int = 200,
    *,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    seed: int = 0,
    stop: str | Sequence[str] = (),
    piece: int = _PIECE,
) -> Pieces:
    """Has a model go on with a text, and yields what it writes, piece by piece.

    The client carries the model's state, so that each piece may come from another replica of the version that was
    asked first. A seed gives the same text again, and the same as `serving_default`.

    Args:
        prompt: the text to go on with.
        length: units, such as characters, to write at most.
        temperature: by which logits are divided; 0 takes the likeliest unit each time.
        top_k: only so many of the likeliest units; 0 for all.
        top_p: only the likeliest units that together hold this probability.
        seed: of the draws.
        stop: a text, or several, before which to end.
        piece: units of a piece.

    Raises:
        UserError: an argument that is not of its kind.

    Example:
        >>> for piece in client.generate("ROMEO:", 400, temperature=0.8):  # doctest: +SKIP
        ...     print(piece, end="", flush=True)
    """
    stops = [stop] if isinstance(stop, str) else list(stop) if isinstance(stop, Sequence) else [stop]
    if not isinstance(prompt, str):
        raise UserError(f"prompt: expected a text, received {shown(prompt)}. Give a str")
    if not all(isinstance(one, str) and one for one in stops):
        raise UserError(f"stop: expected texts that are not empty, received {shown(stop)}. Leave it out for none")
    if not isinstance(length, int) or isinstance(length, bool) or length < 0:
        raise UserError(f"length: expected a number of units, received {shown(length)}. Give 200, say")
    if not isinstance(piece, int) or not 1 <= piece <= _MAX_PIECE:
        raise UserError(f"piece: expected 1 to {_MAX_PIECE} units, received {shown(piece)}. Give 16, say")
    settings = {"temperature": [temperature], "top_k": [top_k], "top_p": [top_p], "seed": [seed]}
    return _written(prompt, length, settings, stops, piece)


@question
def log_probability(texts: Sequence[str], context: str = "") -> Inquiry[list[tuple[float, int]]]:
    """Asks a model of text how likely texts are: of each the natural logarithm of its probability, and its characters.

    Args:
        texts: that are scored.
        context: what stands before each, and is not scored.

    Raises:
        UserError: an argument that is not of its kind.

    Example:
        >>> client.log_probability(["To be, or not to be"])  # doctest: +SKIP
        [(-31.4, 19)]
    """
    check_list("texts", texts, "texts")
    if not isinstance(context, str):
        raise UserError(f"context: expected a text, received {shown(context)}. Give a str")
    answer = yield Predict({"text": texts, "context": [context]}, "score")
    return list(zip(answer["log_probability"].tolist(), answer["characters"].tolist(), strict=True))


def _written(prompt: str, length: int, settings: Mapping[str, Any], stops: Sequence[str], piece: int) -> Pieces:
    answer = yield Predict({"text": [prompt]}, "read")
    version, position, held = answer.version, 0, ""
    settings = {**settings, "seed": np.bitwise_xor(settings["seed"], answer["seed"])}
    going = {"id": answer["id"], "position": [0]}
    while position < length:
        state = {name: value for name, value in answer.items() if name.startswith("state_")}
        size = min(piece, length - position)
        answer = yield Predict({**going, **state, **settings, "length": [size]}, "write", version)
        going = {"id": answer["id"], "position": answer["position"]}
        position += size
        held += answer["text"].item()
        if found := [place for stop in stops if (place := held.find(stop)) >= 0]:
            held, position = held[: min(found)], length
        over = answer["ended"].item() or position >= length
        kept = 0 if over else max(_begun(held, stops), default=0)
        ready, held = held[: len(held) - kept], held[len(held) - kept :]
        if ready:
            yield Piece(ready)
        if over:
            return


def _begun(text: str, stops: Sequence[str]) -> Iterator[int]:
    """How much of each stop's beginning a text ends with."""
    for stop in stops:
        yield next((size for size in range(min(len(stop) - 1, len(text)), 0, -1) if text.endswith(stop[:size])), 0)
