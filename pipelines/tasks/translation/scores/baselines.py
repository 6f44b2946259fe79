"""What simple methods translate: none of it, words one by one, and as the most alike source was translated."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from unroll.pipelines.scoring.comparison import Baselines
from unroll.pipelines.tasks.translation.pairs.files import Pair
from unroll.pipelines.tasks.translation.scores.metrics import sentence_chrf, translation_metrics

MAX_PAIRS = 50_000
"""Training pairs that baselines learn from, evenly chosen."""
_ROUNDS = 5  # of expectation maximisation
_RARE = 2  # occurrences of a word to have a translation
_WORD = re.compile(r"\w+|[^\w\s]")
_JOINED = re.compile(r" (?=[.,;:!?)%])|(?<=\() ")
_ROWS = 256  # sources that are compared at once


def translation_baselines(train: Sequence[Pair], scored: Mapping[str, Sequence[Pair]]) -> Baselines:
    """Scores of what a translator has to beat.

    - `copy`: the source as it is.
    - `dictionary`: each word's likeliest translation, in the source's order, by IBM's model 1 (Brown et al. 1993).
    - `nearest`: the translation of the training source that is most alike by TF-IDF of its words and pairs of words.

    Args:
        train: pairs of the train split.
        scored: of each split that is scored.

    Returns:
        `{"test/bleu/copy": ..., ...}` with the metrics of `translation_metrics`, and 1 minus chrF of each pair of the
        test split.
    """
    train = train[:: -(-len(train) // MAX_PAIRS)]
    words = dictionary(train)
    scores: dict[str, float] = {}
    losses: dict[str, np.ndarray] = {}
    for split, pairs in scored.items():
        sources, references = [pair.source for pair in pairs], [pair.target for pair in pairs]
        answers = {
            "copy": sources,
            "dictionary": [word_for_word(source, words) for source in sources],
            "nearest": _nearest(train, sources),
        }
        for name, translations in answers.items():
            found = translation_metrics(translations, references)
            scores |= {f"{split}/{metric}/{name}": value for metric, value in found.items()}
            if split == "test":
                losses[name] = 1 - sentence_chrf(translations, references)
    return Baselines(scores, losses)


def dictionary(pairs: Sequence[Pair]) -> dict[str, str]:
    """Each source word's likeliest translation, learnt by expectation maximisation of IBM's model 1.

    Args:
        pairs: sources and targets that belong together.

    Example:
        >>> words = dictionary([Pair("the dog", "der Hund"), Pair("the cat", "der Kater"), Pair("a dog", "ein Hund")])
        >>> words["dog"]
        'Hund'
    """
    sides = [[_WORD.findall(pair.sides[side]) for pair in pairs] for side in (0, 1)]
    numbers = [_numbered(side) for side in sides]
    cells = [
        (np.repeat(own, len(others)), np.tile(others, len(own)), row)
        for row, (source, target) in enumerate(zip(*sides, strict=True))
        if (own := [numbers[0][word] for word in source if word in numbers[0]])
        and (others := [numbers[1][word] for word in target if word in numbers[1]])
    ]
    if not cells:
        return {}
    source, target = (np.concatenate([one[side] for one in cells]) for side in (0, 1))
    # a cell for each pair of words in each pair of texts; the same word of a text more than once is one
    row = np.repeat([one[2] for one in cells], [len(one[0]) for one in cells]).astype(np.int64)
    both, place = np.unique(source.astype(np.int64) * len(numbers[1]) + target, return_inverse=True)
    where, place_of_target = np.unique(row * len(numbers[1]) + target, return_inverse=True)
    of_source = both // len(numbers[1])
    probability = np.full(len(both), 1.0)
    for _ in range(_ROUNDS):
        told = probability[place]
        told /= np.bincount(place_of_target, told, len(where))[place_of_target]
        counts = np.bincount(place, told, len(both))
        probability = counts / np.bincount(of_source, counts)[of_source]
    order = np.lexsort((-probability, of_source))
    first = order[np.unique(of_source[order], return_index=True)[1]]
    names = [list(one) for one in numbers]
    return {names[0][both[one] // len(numbers[1])]: names[1][both[one] % len(numbers[1])] for one in first}


def word_for_word(source: str, words: Mapping[str, str]) -> str:
    """A source whose words are each translated, or kept where they are not known.

    Example:
        >>> word_for_word("Two dogs run.", {"Two": "Zwei", "dogs": "Hunde", ".": "."})
        'Zwei Hunde run.'
    """
    return _JOINED.sub("", " ".join(words.get(word, word) for word in _WORD.findall(source)))


def _numbered(texts: Sequence[Sequence[str]]) -> dict[str, int]:
    counts = Counter(word for words in texts for word in words)
    least = _RARE if len(texts) > 1000 else 1
    return {word: number for number, word in enumerate(sorted(w for w, count in counts.items() if count >= least))}


def _nearest(train: Sequence[Pair], sources: Sequence[str]) -> list[str]:
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectors = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\w+|[^\w\s]", sublinear_tf=True)
    known = vectors.fit_transform([pair.source for pair in train]).T.tocsc()
    asked = vectors.transform(sources)
    found: list[int] = []
    for start in range(0, len(sources), _ROWS):
        found += np.asarray((asked[start : start + _ROWS] @ known).argmax(axis=1)).ravel().tolist()
    return [train[row].target for row in found]
