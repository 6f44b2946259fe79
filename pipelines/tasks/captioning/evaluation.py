"""What an exported captioner scores, and what it looks like."""

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from unroll.errors import UserError
from unroll.pipelines.scoring.chance import pairing_chance
from unroll.pipelines.scoring.comparison import Baselines, Losses
from unroll.pipelines.scoring.even_sample import EvenSample
from unroll.pipelines.scoring.lookalikes import averages, nearest
from unroll.pipelines.scoring.metrics import by_group
from unroll.pipelines.task import Arrays, Evaluation, Predict
from unroll.pipelines.tasks.captioning.data import CaptionData
from unroll.pipelines.tasks.captioning.metrics import caption_metrics, rouge_l, word_recalls
from unroll.pipelines.tasks.captioning.plots import attention_sheet, contact_sheet, open_picture
from unroll.pipelines.tasks.captioning.vocabulary import normalise
from unroll.pipelines.terminal import FREQUENT_FIRST

_MAX_KEPT = 4000  # pictures, for the plots and the reference profile
_MAX_BYTES = 256 << 20
MAX_PICTURES = 5000
"""Of each split that baselines look at, about."""
_BATCH = 64
_SHOWN = 4
_MAX_COMPARED = 1000  # pictures, with the captions of others
_OTHERS = 8  # pictures whose captions each is compared with


class CaptionScores:
    """Gathers answers batch by batch; of many pictures an even sample is kept, of the captions all.

    Args:
        lowercase: whether the model's captions are in lower case, and so the references.
    """

    def __init__(self, lowercase: bool):
        self._lowercase = lowercase
        self._generated: list[str] = []
        self._references: list[list[str]] = []
        self._groups: list[str] = []
        self._clusters: list[str] = []
        self._kept: EvenSample[tuple[bytes, dict[str, Any]]] = EvenSample(
            _MAX_KEPT, _MAX_BYTES, lambda kept: len(kept[0])
        )

    @property
    def count(self) -> int:
        return len(self._generated)

    def add(self, batch: Arrays, answers: Arrays) -> None:
        """Takes raw records, `image`, `captions`, `group` and `cluster`, and what `serving_default` answered."""
        for row, picture in enumerate(batch["image"]):
            answer = {name: answers[name][row] for name in ("caption", "log_probability", "embedding")}
            self._kept.add((picture, answer))
            self._generated.append(answers["caption"][row].decode())
            self._references.append([normalise(one, self._lowercase) for one in batch["captions"][row]])
            self._groups.append(batch["group"][row])
            self._clusters.append(batch["cluster"][row])

    def evaluation(self, predict: Predict | None) -> Evaluation:
        """Metrics over all pictures and by group, and figures.

        Args:
            predict: for the signature `attention`; None for a model without.

        Raises:
            UserError: there was nothing to score.
        """
        if not self.count:
            raise UserError("there is no picture with a caption to evaluate on")
        words = word_recalls(self._generated, self._references)
        pictures, answers = zip(*self._kept.records, strict=True)
        return Evaluation(
            by_group(self._groups, self._scores),
            inputs={"image": np.array(pictures, object)},
            outputs={name: np.array([answer[name] for answer in answers]) for name in answers[0]},
            figures={"contact_sheet.png": self._contact_sheet()} | (self._attention(predict) if predict else {}),
            tables={f"words, {FREQUENT_FIRST}": words} if words else {},
            clusters=_take(self._clusters, self._kept.rows),
            chance=self._chance(),
            losses=self._losses(),
        )

    def _scores(self, rows: np.ndarray) -> dict[str, float]:
        return caption_metrics(_take(self._generated, rows), _take(self._references, rows))

    def _chance(self) -> str:
        """Whether captions fit their own pictures better than others."""
        rows = range(0, self.count, -(-self.count // _MAX_COMPARED))
        generated, references = _take(self._generated, rows), _take(self._references, rows)
        shifts = range(1, min(_OTHERS, len(rows) - 1) + 1)
        others = [rouge_l(generated, references[shift:] + references[:shift]) for shift in shifts]
        own = rouge_l(generated, references)
        return pairing_chance(own, np.mean(others, axis=0) if others else own, "captions")

    def _losses(self) -> Losses:
        """ROUGE-L, which a single caption has; near duplicates are not independent of each other."""
        alone = itertools.count()
        numbers: dict[str | int, int] = {}
        groups = [numbers.setdefault(name or next(alone), len(numbers)) for name in self._clusters]
        lost = 1 - rouge_l(self._generated, self._references)
        return Losses("rouge_l", lost, figure="complement", groups=np.array(groups))

    def _contact_sheet(self) -> Figure:
        numbers = self._kept.rows
        generated, references = _take(self._generated, numbers), _take(self._references, numbers)
        scores = rouge_l(generated, references)
        order, middle = np.argsort(-scores, kind="stable"), (len(scores) - _SHOWN) // 2
        shown = order
        if len(order) > 3 * _SHOWN:
            shown = np.concatenate([order[:_SHOWN], order[middle : middle + _SHOWN], order[-_SHOWN:]])
        pictures = [open_picture(self._kept.records[row][0]) for row in shown]
        return contact_sheet(pictures, _take(references, shown), _take(generated, shown), scores[shown])

    def _attention(self, predict: Predict) -> dict[str, Figure]:
        pictures = np.array([picture for picture, _ in self._kept.records[:_SHOWN]], object)
        answers = predict({"image": pictures}, "attention")
        words = [[word.decode() for word in tokens] for tokens in answers["tokens"]]
        shown = zip([open_picture(picture) for picture in pictures], words, answers["maps"], strict=True)
        return {"attention.png": attention_sheet(list(shown))}


def caption_baselines(data: CaptionData, splits: Sequence[str], lowercase: bool) -> Baselines:
    """Scores of what a captioner has to beat: the caption of the training picture that looks most alike, and always the
    most common one.

    Args:
        data: the prepared data set.
        splits: that are scored; of large ones an even choice.
        lowercase: whether captions are compared in lower case.

    Returns:
        `{"test/bleu4/nearest": ..., "test/bleu4/most_common": ...}` with the metrics of `caption_metrics`, and 1 minus
        ROUGE-L of each picture of the test split.
    """

    def known(split: str) -> tuple[list[list[str]], np.ndarray, np.ndarray]:
        captions = [[normalise(one, lowercase) for one in several] for several in data.captions(split)]
        batches = data.batches(split, _BATCH, captions_per_image=1, shuffle=None)
        rows, looks = averages((pixels for pixels, *_ in batches), -(-data.images(split) // MAX_PICTURES))
        return captions, rows, looks

    captions, rows, looks = known("train")
    common = Counter(caption for several in captions for caption in several).most_common(1)[0][0]
    scores: dict[str, float] = {}
    losses: dict[str, np.ndarray] = {}
    for split in splits:
        references, scored, seen = known(split)
        alike = nearest(seen, looks)
        answers = {"nearest": [captions[rows[one]][0] for one in alike], "most_common": [common] * len(alike)}
        for name, generated in answers.items():
            metrics = caption_metrics(generated, _take(references, scored))
            scores |= {f"{split}/{metric}/{name}": value for metric, value in metrics.items()}
            if split == "test":
                losses[name] = np.full(data.images(split), np.nan)
                losses[name][scored] = 1 - rouge_l(generated, _take(references, scored))
    return Baselines(scores, losses)


def _take(values: Sequence[Any], rows: Iterable[int]) -> list[Any]:
    return [values[row] for row in rows]
