"""What the clients ask a captioning model."""

from collections.abc import Sequence

from unroll.errors import UserError
from unroll.serving.client.questions import Inquiry, Predict, question
from unroll.serving.protocol.arguments import check_list, shown


@question
def caption(pictures: Sequence[bytes]) -> Inquiry[list[tuple[str, float]]]:
    """Asks a captioning model: for each JPEG or PNG its caption and the caption's log-probability.

    Example:
        >>> client.caption([Path("photo.jpg").read_bytes()])  # doctest: +SKIP
        [('a dog runs along the beach', -3.1)]
    """
    remedy = "Give the bytes of the files, as in [Path('photo.jpg').read_bytes()]"
    check_list("pictures", pictures, "bytes", remedy)
    for picture in pictures:
        if not isinstance(picture, bytes):
            raise UserError(f"pictures: expected bytes, received {shown(picture)}. {remedy}")
    answer = yield Predict({"image": pictures})
    return list(zip(answer["caption"].tolist(), answer["log_probability"].tolist(), strict=True))
