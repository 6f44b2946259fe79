"""Scores of translations against one reference each."""

from collections.abc import Sequence

import numpy as np
from sacrebleu.metrics import BLEU, CHRF
from scipy.stats import spearmanr

from unroll.pipelines.tasks.translation.pairs.cleaning import tidy


def translation_metrics(translations: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """Scores of a set of translations.

    Args:
        translations: one a source.
        references: likewise.

    Returns:
        - `bleu`: corpus BLEU in percent (Papineni et al. 2002) by sacrebleu with its defaults: cased, cut into words by
          `13a`, smoothed by `exp` (Post 2018).
        - `bleu_lc`: the same in lower case.
        - `chrf`: chrF2 in percent (Popovic 2015), by sacrebleu.
        - `exact_match`: share of translations that equal their reference.

    Raises:
        ValueError: nothing to score.

    Example:
        >>> translation_metrics(["Ein roter Hund."], ["Ein roter Hund."])["exact_match"]
        1.0
    """
    if not len(translations) == len(references) > 0:
        raise ValueError(f"Scores need a reference each. Received: {len(translations)} and {len(references)} texts")
    known = [list(references)]
    exact = [tidy(one) == tidy(other) for one, other in zip(translations, references, strict=True)]
    return {
        "bleu": BLEU().corpus_score(list(translations), known).score,
        "bleu_lc": BLEU(lowercase=True).corpus_score(list(translations), known).score,
        "chrf": CHRF().corpus_score(list(translations), known).score,
        "exact_match": float(np.mean(exact)),
    }


def bleu_signature(translations: Sequence[str], references: Sequence[str]) -> str:
    """How `bleu` was computed, in sacrebleu's words."""
    bleu = BLEU()
    bleu.corpus_score(list(translations), [list(references)])
    return str(bleu.get_signature())


def sentence_chrf(translations: Sequence[str], references: Sequence[str]) -> np.ndarray:
    """chrF2 of each translation, float64 `[translations]`, 0 to 1."""
    chrf = CHRF()
    pairs = zip(translations, references, strict=True)
    return np.array([chrf.sentence_score(one, [other]).score / 100 for one, other in pairs])


def rank_correlation(estimates: np.ndarray, scores: np.ndarray) -> float:
    """Spearman's, of what is estimated of each translation and what it scores; 0 where either is one number throughout.

    Example:
        >>> rank_correlation(np.array([0.1, 0.5, 0.9]), np.array([0.2, 0.3, 0.4]))
        1.0
        >>> rank_correlation(np.array([0.5, 0.5]), np.array([0.2, 0.3]))
        0.0
    """
    if len(scores) < 2 or not (np.ptp(estimates) and np.ptp(scores)):
        return 0.0
    return round(float(spearmanr(estimates, scores).statistic), 12)
