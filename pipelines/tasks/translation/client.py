"""What the clients ask a translator."""

from collections.abc import Sequence

from unroll.serving.client.questions import Inquiry, Predict, question
from unroll.serving.protocol.arguments import check_list


@question
def translate(texts: Sequence[str]) -> Inquiry[list[tuple[str, float]]]:
    """Asks a translator: for each text its translation and the translation's log-probability.

    Example:
        >>> client.translate(["Two dogs are running."])  # doctest: +SKIP
        [('Zwei Hunde rennen.', -1.2)]
    """
    check_list("texts", texts, "texts")
    answer = yield Predict({"text": texts})
    return list(zip(answer["translation"].tolist(), answer["log_probability"].tolist(), strict=True))
