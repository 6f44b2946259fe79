"""What an exported translator scores, and what it looks like."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from unroll.errors import UserError
from unroll.pipelines.scoring.chance import pairing_chance
from unroll.pipelines.scoring.comparison import Losses
from unroll.pipelines.scoring.even_sample import EvenSample
from unroll.pipelines.scoring.metrics import by_group
from unroll.pipelines.task import Arrays, Evaluation, Predict, Row
from unroll.pipelines.tasks.translation.scores.metrics import (
    bleu_signature,
    rank_correlation,
    sentence_chrf,
    translation_metrics,
)
from unroll.pipelines.tasks.translation.scores.plots import alignment_sheet
from unroll.pipelines.training.progress import Progress

_BATCH = 64  # sources of a request
_MAX_KEPT = 4000  # pairs, for the reference profile
_MAX_COMPARED = 1000  # translations, with the references of others
_OTHERS = 4  # references that each is compared with
_SHOWN = 4  # alignments
_DRAWN = 8, 16  # words of a source that is drawn
_LENGTHS = (1, 6, 11, 16, 21, 31, 51)  # words of a source, from which a bin begins
_OUTPUTS = ("translation", "log_probability", "quality", "subwords", "unknown", "rarity")


def score_pairs(records: Iterable[Arrays], predict: Predict, progress: Progress) -> Evaluation:
    """Translates sources and compares with their targets.

    Args:
        records: `text`, `target` and `group`, in batches.
        predict: the exported model.
        progress: where to show it.

    Raises:
        UserError: there is nothing to score.
    """
    batches = list(records)
    if not sum(len(batch["text"]) for batch in batches):
        raise UserError("there is no pair to evaluate on that has both sides")
    texts, targets, groups = (np.concatenate([batch[key] for batch in batches]) for key in ("text", "target", "group"))
    order = np.argsort([len(text) for text in texts], kind="stable")
    answers, scored = [], []
    with progress.stage("translating", total=len(texts)) as stage:
        for start in range(0, len(texts), _BATCH):
            rows = order[start : start + _BATCH]
            answer = predict({"text": texts[rows]})
            answers.append({name: answer[name] for name in _OUTPUTS})
            scored.append(predict({"source": texts[rows], "target": targets[rows]}, "score"))
            stage.advance(len(rows))
        stage.say(f"{len(texts):,} texts")
    place = np.argsort(order)
    answered = {name: np.concatenate([one[name] for one in answers])[place] for name in _OUTPUTS}
    likely = {name: np.concatenate([one[name] for one in scored])[place] for name in ("log_probability", "subwords")}
    translations = [one.decode() for one in answered["translation"]]
    references = [one.decode() for one in targets]

    own = sentence_chrf(translations, references)

    def scores(rows: Sequence[int] | np.ndarray) -> dict[str, float]:
        found = translation_metrics([translations[row] for row in rows], [references[row] for row in rows])
        nats = -likely["log_probability"][rows].sum() / likely["subwords"][rows].sum()
        foreseen = rank_correlation(answered["quality"][rows], own[rows])
        return {**found, "nats_per_subword": float(nats), "quality_correlation": foreseen}

    sample: EvenSample[int] = EvenSample(_MAX_KEPT)
    for row in range(len(texts)):
        sample.add(row)
    kept = np.array(sample.rows)
    return Evaluation(
        by_group([one if isinstance(one, str) else one.decode() for one in groups], scores),
        inputs={"text": texts[kept]},
        outputs={name: array[kept] for name, array in answered.items()},
        figures={"alignments.png": _alignments(texts, predict)},
        tables={"by words of the source": _by_length(texts, scores), **_examples(texts, translations, references, own)},
        chance=_chance(translations, references, own),
        notes=[f"bleu is {bleu_signature(translations, references)}, bleu_lc the same in lower case."],
        losses=Losses("chrf", 1 - own, figure="complement"),
    )


def _by_length(texts: np.ndarray, scores: Any) -> list[Row]:
    words = np.array([len(text.split()) for text in texts])
    bins = np.searchsorted(_LENGTHS, words, side="right")
    rows: list[Row] = []
    for number in np.unique(bins):
        chosen = np.flatnonzero(bins == number)
        first = _LENGTHS[number - 1] if number else 0
        last = f"-{_LENGTHS[number] - 1}" if number < len(_LENGTHS) else " and more"
        rows.append({"words": f"{first}{last}", "pairs": len(chosen), **scores(chosen)})
    return rows


def _examples(
    texts: np.ndarray, translations: Sequence[str], references: Sequence[str], own: np.ndarray
) -> dict[str, list[Row]]:
    """The worst, by chrF."""
    worst = np.argsort(own, kind="stable")[:10]
    return {
        "worst translations": [
            {
                "source": texts[row].decode(),
                "translation": translations[row],
                "reference": references[row],
                "chrf": 100 * float(own[row]),
            }
            for row in worst
        ]
    }


def _chance(translations: Sequence[str], references: Sequence[str], own: np.ndarray) -> str:
    """Whether translations fit their own references better than those of other sources."""
    rows = list(range(0, len(translations), -(-len(translations) // _MAX_COMPARED)))
    said, wanted = [translations[row] for row in rows], [references[row] for row in rows]
    shifts = range(1, min(_OTHERS, len(rows) - 1) + 1)
    others = [sentence_chrf(said, wanted[shift:] + wanted[:shift]) for shift in shifts]
    return pairing_chance(own[rows], np.mean(others, axis=0) if others else own[rows], "translations")


def _alignments(texts: np.ndarray, predict: Predict) -> Figure:
    """What was looked at in a few sources."""
    words = np.array([len(text.split()) for text in texts])
    fits = np.flatnonzero((words >= _DRAWN[0]) & (words <= _DRAWN[1]))
    rows = (fits if len(fits) else np.arange(len(texts)))[:_SHOWN]
    answer = predict({"text": texts[rows]}, "attention")
    shown = []
    for source, said, weights in zip(answer["source_tokens"], answer["tokens"], answer["weights"], strict=True):
        columns = [token.decode() for token in source if token]
        tokens = [token.decode() for token in said if token]
        shown.append((columns, tokens, weights[: len(tokens), : len(columns)]))
    return alignment_sheet(shown)
