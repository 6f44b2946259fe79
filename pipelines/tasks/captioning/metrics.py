"""Scores of generated captions against one or several references a picture.

A caption is normalised (Unicode NFC, lower case, runs of whitespace to one space) and cut into words by `13a`, the
tokenisation of mteval-v13a that is sacrebleu's default: ASCII punctuation is a word of its own, but hyphens and
apostrophes stay within theirs. coco-caption computes the same scores from words without punctuation; so they
differ where captions hold any, and agree on captions of words and spaces.
"""

import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import chain, zip_longest

import numpy as np
from sacrebleu.metrics import BLEU
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a
from scipy import sparse

Words = list[str]
_PUNCTUATION = frozenset(string.punctuation)
_ORDERS = 4
_INSTEAD = 2  # words that are told of each
_BETA = 1.2  # weight of recall against precision in ROUGE-L, as in coco-caption
_SIGMA = 6.0  # words, of CIDEr-D's penalty on a difference in length


def caption_metrics(generated: Sequence[str], references: Sequence[Sequence[str]]) -> dict[str, float]:
    """Scores of a set of captions.

    Args:
        generated: a caption a picture.
        references: the captions that people gave each picture; at least one each.

    Returns:
        - `bleu1` to `bleu4`: corpus BLEU in percent (Papineni et al. 2002), by sacrebleu; the brevity penalty takes the
          closest reference length. Nothing is smoothed: where no sequence of n words matches, `bleu<n>` is 0.
        - `rouge_l`: see `rouge_l`, the mean.
        - `cider`: see `cider_d`, the mean.
        - `exact_match`: share of captions that equal a reference of theirs once both are normalised.
        - `word_recall`: mean recall of `word_recalls`, each word counting the same; left out where no reference holds
          a word.

    Raises:
        ValueError: nothing to score, unequal numbers of captions and references, or a picture without a reference.

    Example:
        >>> caption_metrics(["a red car"], [["A red car", "a car"]])["exact_match"]
        1.0
    """
    _check(generated, references)
    said, wanted = _cut(generated, references)
    normal = [_normalise(caption) for caption in generated]
    exact = [caption in map(_normalise, known) for caption, known in zip(normal, references, strict=True)]
    scores = {f"bleu{order}": bleu for order, bleu in enumerate(_bleu(said, wanted), start=1)}
    scores |= {
        "rouge_l": float(np.mean(_rouge_l(said, wanted))),
        "cider": float(np.mean(_cider_d(said, wanted))),
        "exact_match": float(np.mean(exact)),
    }
    if recalls := [told / held for told, held in _recalls(said, wanted).values()]:
        scores["word_recall"] = float(np.mean(recalls))
    return scores


def rouge_l(generated: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """ROUGE-L (Lin 2004, eq. 2 to 4) of each caption, as coco-caption takes it over several references.

    Precision and recall are the longest common subsequence's share of the caption's and the reference's words;
    the best precision and the best recall, each over all references, make an F score with beta 1.2.

    Args:
        generated: a caption a picture.
        references: at least one caption a picture.

    Returns:
        float64 `[pictures]`, 0 to 1.

    Raises:
        ValueError: as `caption_metrics`.
    """
    _check(generated, references)
    return _rouge_l(*_cut(generated, references))


def cider_d(generated: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """CIDEr-D (Vedantam, Zitnick & Parikh 2015, eq. 4 to 6) of each caption.

    The cosine of tf-idf vectors of n words, clipped to the reference's counts and lowered for a difference in length;
    the mean over n = 1 to 4 and over the references, times 10 as in coco-caption. A document is the set of a picture's
    references, so the score depends on the set that is scored, and of a single picture it is 0.

    Args:
        generated: a caption a picture.
        references: at least one caption a picture.

    Returns:
        float64 `[pictures]`, 0 to 10.

    Raises:
        ValueError: as `caption_metrics`.
    """
    _check(generated, references)
    return _cider_d(*_cut(generated, references))


def word_recalls(generated: Sequence[str], references: Sequence[Sequence[str]]) -> list[dict[str, str | int | float]]:
    """How often each word of the references is said where it should be.

    Args:
        generated: a caption a picture.
        references: at least one caption a picture.

    Returns:
        A row a word, most frequent first: `word`, `pictures` (whose references hold it), `recall` (share of them
        whose caption says it) and `instead`, which words that none of their references holds the captions of the others
        say most often, with the number of pictures. Punctuation is left out.

    Raises:
        ValueError: as `caption_metrics`.
    """
    _check(generated, references)
    said, wanted = _cut(generated, references)
    recalls, instead = _recalls(said, wanted), _confusions(said, wanted)
    return [
        {"word": word, "pictures": held, "recall": told / held, "instead": instead.get(word, "")}
        for word, (told, held) in sorted(recalls.items(), key=lambda item: (-item[1][1], item[0]))
    ]


def _check(generated: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    if not len(generated) == len(references) > 0:
        raise ValueError(
            "Scores need a caption and references for each picture. "
            f"Received: {len(generated)} captions, references of {len(references)} pictures"
        )
    without = [row for row, known in enumerate(references) if not len(known)]
    if without:
        raise ValueError(f"Each picture needs a reference. Received: none for {len(without)}, first row {without[0]}")


def _normalise(caption: str) -> str:
    return " ".join(unicodedata.normalize("NFC", caption).lower().split())


def _cut(generated: Sequence[str], references: Sequence[Sequence[str]]) -> tuple[list[Words], list[list[Words]]]:
    tokenize: Callable[[str], str] = Tokenizer13a()

    def words(caption: str) -> Words:
        return tokenize(_normalise(caption)).split()

    return [words(caption) for caption in generated], [[words(one) for one in known] for known in references]


def _recalls(generated: list[Words], references: list[list[Words]]) -> dict[str, tuple[int, int]]:
    """Pictures whose caption says a word of their references, and pictures whose references hold it, by word."""
    held: Counter[str] = Counter()
    told: Counter[str] = Counter()
    for words, wanted in zip(generated, references, strict=True):
        vocabulary = {word for word in chain.from_iterable(wanted) if not _PUNCTUATION.issuperset(word)}
        held.update(vocabulary)
        told.update(vocabulary.intersection(words))
    return {word: (told[word], held[word]) for word in held}


def _confusions(generated: list[Words], references: list[list[Words]]) -> dict[str, str]:
    """By word that captions lack, what they say instead: words count by how much oftener they are said there than
    elsewhere, since some, such as "a", may be said anywhere by mistake."""
    counts: dict[str, Counter[str]] = {}
    wrong: Counter[str] = Counter()
    for words, wanted in zip(generated, references, strict=True):
        known = set(chain.from_iterable(wanted))
        said = {word for word in words if word not in known and not _PUNCTUATION.issuperset(word)}
        wrong.update(said)
        for word in known.difference(words):
            if not _PUNCTUATION.issuperset(word):
                counts.setdefault(word, Counter()).update(said)
    told = {}
    for word, others in counts.items():
        ranked = sorted(others.items(), key=lambda item: (-(item[1] ** 2) / wrong[item[0]], -item[1], item[0]))
        told[word] = ", ".join(f"{other} {count:,}" for other, count in ranked[:_INSTEAD])
    return told


def _bleu(generated: list[Words], references: list[list[Words]]) -> list[float]:
    texts = [" ".join(words) for words in generated]
    known = zip_longest(*([" ".join(words) for words in one] for one in references))  # a missing one is None
    scorer = BLEU(tokenize="none", smooth_method="none", force=True)
    full = scorer.corpus_score(texts, [list(column) for column in known])
    return [
        BLEU.compute_bleu(
            full.counts[:order], full.totals[:order], full.sys_len, full.ref_len, "none", max_ngram_order=order
        ).score
        for order in range(1, _ORDERS + 1)
    ]


def _rouge_l(generated: list[Words], references: list[list[Words]]) -> np.ndarray:
    scores = np.zeros(len(generated))
    for row, (words, wanted) in enumerate(zip(generated, references, strict=True)):
        common = [_common(words, one) for one in wanted]
        precision = max(common) / max(1, len(words))
        recall = max(length / max(1, len(one)) for length, one in zip(common, wanted, strict=True))
        if precision:
            scores[row] = (1 + _BETA**2) * precision * recall / (recall + _BETA**2 * precision)
    return scores


def _common(first: Words, second: Words) -> int:
    """Length of the longest common subsequence."""
    lengths = [0] * (len(second) + 1)  # of `first` so far with each prefix of `second`
    for word in first:
        diagonal = 0
        for column, other in enumerate(second, start=1):
            above = lengths[column]
            lengths[column] = diagonal + 1 if word == other else max(above, lengths[column - 1])
            diagonal = above
    return lengths[-1]


def _cider_d(generated: list[Words], references: list[list[Words]]) -> np.ndarray:
    pictures, flat = len(generated), list(chain.from_iterable(references))
    picture_of = np.repeat(np.arange(pictures), [len(known) for known in references])  # [R], R references in all
    lengths = np.array([len(words) for words in generated])[picture_of] - np.array([len(words) for words in flat])
    similarity = np.zeros(len(flat))
    for order in range(1, _ORDERS + 1):
        counts = _ngram_counts([*generated, *flat], order)  # [pictures + R, n-grams]
        held = sparse.csr_array((np.ones(len(flat)), (picture_of, np.arange(len(flat)))), (pictures, len(flat)))
        documents = (held @ counts[pictures:]).astype(bool).sum(axis=0)  # [n-grams]
        weights = counts.multiply(np.log(pictures / np.maximum(documents, 1))).tocsr()
        norms = np.sqrt(weights.multiply(weights).sum(axis=1))
        said, wanted = weights[:pictures][picture_of], weights[pictures:]  # [R, n-grams]
        product = norms[:pictures][picture_of] * norms[pictures:]
        similarity += said.minimum(wanted).multiply(wanted).sum(axis=1) / np.where(product, product, 1)
    similarity *= np.exp(-(lengths**2) / (2 * _SIGMA**2)) / _ORDERS
    return 10 * np.bincount(picture_of, similarity) / np.bincount(picture_of)


def _ngram_counts(captions: list[Words], order: int) -> sparse.csr_array:
    """How often each sequence of `order` words stands in each caption, `[captions, n-grams]`."""
    numbers: dict[tuple[str, ...], int] = {}
    columns: list[int] = []
    ends = [0]
    for words in captions:
        ngrams = (tuple(words[start : start + order]) for start in range(len(words) - order + 1))
        columns += [numbers.setdefault(ngram, len(numbers)) for ngram in ngrams]
        ends.append(len(columns))
    counts = sparse.csr_array((np.ones(len(columns)), columns, ends), (len(captions), max(1, len(numbers))))
    counts.sum_duplicates()
    return counts
