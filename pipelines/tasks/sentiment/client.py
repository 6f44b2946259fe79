"""What the clients ask a sentiment model."""

from collections.abc import Sequence

from unroll.serving.client.questions import Inquiry, Predict, question
from unroll.serving.protocol.arguments import check_list


@question
def sentiment(texts: Sequence[str]) -> Inquiry[list[tuple[str, float]]]:
    """Asks a sentiment model: for each text its label and the label's probability.

    Example:
        >>> client.sentiment(["A fine film."])  # doctest: +SKIP
        [('positive', 0.97)]
    """
    check_list("texts", texts, "texts")
    answer = yield Predict({"text": texts})
    return list(zip(answer["label"].tolist(), answer["score"].tolist(), strict=True))
