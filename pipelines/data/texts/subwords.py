"""Subwords, learnt by sentencepiece: a unigram model of the pieces that words are made of (Kudo 2018)."""

import io
import itertools
from collections.abc import Iterable, Iterator
from typing import NamedTuple

_MAX_BYTES = 1 << 16  # of a text that is learnt from; sentencepiece leaves longer ones out without a word


class Subwords(NamedTuple):
    """What was learnt.

    Args:
        pieces: most probable first, with "\u2581" for the blank before a word.
        scores: natural logarithms of their probabilities.
        model: sentencepiece's, serialised.
    """

    pieces: list[str]
    scores: list[float]
    model: bytes


def learn_subwords(texts: Iterable[str], size: int, *, prefix: bool = True) -> Subwords:
    """Learns pieces; nothing of a text is folded but blanks, of which those side by side are one.

    `unroll.models.text.subwords` encodes as sentencepiece does with these.

    Args:
        texts: of the train split.
        size: pieces at most; texts that hold fewer give fewer. All characters are among them.
        prefix: whether a text's first word is read as if a blank stood before it.

    Raises:
        ValueError: the texts hold nothing but blanks, or more characters than there may be pieces.

    Example:
        >>> learnt = learn_subwords(["the dogs", "the dog ran"] * 9, 20)
        >>> "\u2581dog" in learnt.pieces
        True
    """
    import sentencepiece

    model, characters = io.BytesIO(), {" "}

    def counted(texts: Iterable[str]) -> Iterator[str]:
        for text in texts:
            characters.update(text)
            yield text

    written = itertools.dropwhile(lambda text: not text.strip(), texts)
    if (first := next(written, None)) is None:  # sentencepiece would end the process
        raise ValueError("they hold nothing but blanks")
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=counted(itertools.chain([first], written)),
            model_writer=model,
            model_type="unigram",
            vocab_size=size + 1,  # and one for what is unknown
            hard_vocab_limit=False,  # few texts give fewer pieces
            character_coverage=1.0,
            normalization_rule_name="identity",
            add_dummy_prefix=prefix,
            max_sentence_length=_MAX_BYTES,
            unk_id=0,
            bos_id=-1,
            eos_id=-1,
            minloglevel=2,
        )
    except RuntimeError as error:
        if size < len(characters):
            raise ValueError(f"they have {len(characters):,} characters, and each is one") from None
        raise ValueError(str(error).strip().splitlines()[-1]) from None
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    numbers = range(1, processor.get_piece_size())
    pieces = [processor.id_to_piece(number) for number in numbers]
    return Subwords(pieces, [processor.get_score(number) for number in numbers], model.getvalue())
