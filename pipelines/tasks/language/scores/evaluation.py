"""How well text is foreseen: nats a character, whatever the units, beside n-grams and compressors."""

import lzma
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from unroll.errors import UserError
from unroll.models.text.lossless import code_points
from unroll.models.tokens import PADDING, RESERVED, UNKNOWN
from unroll.pipelines.scoring.comparison import Baselines, Losses
from unroll.pipelines.scoring.even_sample import EvenSample
from unroll.pipelines.task import Arrays, Evaluation, Predict
from unroll.pipelines.tasks.language.corpus.corpus import Corpus, Window
from unroll.pipelines.tasks.language.scores import ngrams
from unroll.pipelines.tasks.language.scores.plots import surprise_map
from unroll.pipelines.training.progress import Progress

WINDOW, CONTEXT = 4000, 1000
"""Characters that are scored at once, and those before them that are read first."""
MAX_WINDOWS = 500
"""Of a held-out split that are scored, evenly chosen."""
_PART = 250  # characters of a window, whose losses are compared with those of baselines
_ROWS = 32  # windows of a request
_PROMPTS, _PROMPT = 1000, (10, 400)  # for the reference profile: how many at most, and their characters
_ASKED = 64  # of those in a request
_COMPRESSED = 8_000_000  # characters that a compressor reads
_DRAWN = 2000  # characters in the picture


def window_batches(windows: Iterable[Window]) -> Iterator[Arrays]:
    """Windows as `evaluate` takes them."""
    iterator = iter(windows)
    while rows := list(islice(iterator, _ROWS)):
        yield {
            "text": np.array([row.text.encode() for row in rows], object),
            "context": np.array([row.context.encode() for row in rows], object),
            "piece": np.array([row.piece for row in rows]),
        }


def held_out_windows(corpus: Corpus, split: str) -> Iterator[Window]:
    """Those of a split that are scored."""
    pieces = corpus.pieces(split)
    count = int(np.sum(-(-corpus.characters[pieces] // WINDOW)))
    every = max(1, -(-count // MAX_WINDOWS))
    return islice(corpus.windows(pieces, WINDOW, CONTEXT), 0, None, every)


class _Scored(NamedTuple):
    """What a model lost on the parts of a window, float `[parts]` each.

    Args:
        nats: of known characters.
        characters: that are known.
        units: likewise.
        piece: that the window is of.
    """

    nats: np.ndarray
    characters: np.ndarray
    units: np.ndarray
    piece: int

    @classmethod
    def of(cls, units: Sequence[str], known: np.ndarray, nats: np.ndarray, piece: int) -> "_Scored":
        """From the text of each unit, whether it is known, and its nats."""
        sizes = np.array([len(unit) for unit in units])
        part = (np.cumsum(sizes) - 1) // _PART
        return cls(np.bincount(part, known * nats), np.bincount(part, known * sizes), np.bincount(part, known), piece)


def score_windows(
    dataset_info: Mapping[str, Any], records: Iterable[Arrays], predict: Predict, progress: Progress
) -> Evaluation:
    """Scores an exported model on windows; what it does not know is counted, and costs nothing.

    Raises:
        UserError: there is no text, or none of which the model knows a character.
    """
    found: list[_Scored] = []
    unknown, rng = 0, np.random.default_rng(0)
    sample: EvenSample[str] = EvenSample(2 * _PROMPTS)
    drawn: tuple[list[str], np.ndarray] = [], np.zeros(0)
    with progress.stage("reading") as stage:
        for batch in records:
            answer = predict({"text": batch["text"], "context": batch["context"]}, "score")
            unknown += int(answer["unknown"].sum())
            for row, piece in enumerate(batch["piece"]):
                ids = answer["ids"][row]
                ids, nats = ids[ids != PADDING], -answer["log_probabilities"][row][ids != PADDING]
                units = [unit.decode() for unit in answer["units"][row][: len(ids)]]
                found.append(_Scored.of(units, ids != UNKNOWN, nats, int(piece)))
                if len(found) == 1:
                    drawn = units[:_DRAWN], nats[:_DRAWN]
            for text in batch["text"]:
                for prompt in _prompts(text.decode(), rng):
                    sample.add(prompt)
            stage.advance()
        stage.say(f"{sum(int(one.characters.sum()) for one in found):,} characters")
    if not sum(one.characters.sum() for one in found):
        raise UserError("there is no text of which the model knows a character")
    lost, count = (np.concatenate(parts) for parts in zip(*(one[:2] for one in found), strict=True))
    mean = float(lost.sum() / count.sum())
    inputs, outputs = _asked(sample.records[:: max(1, len(sample.records) // _PROMPTS)], predict, progress)
    unigram = dataset_info["unigram"]
    worse = mean >= unigram
    return Evaluation(
        {
            "nats_per_character": mean,
            "bits_per_character": mean / math.log(2),
            "perplexity": math.exp(float(lost.sum() / sum(one.units.sum() for one in found))),
            "unknown": unknown / (unknown + float(count.sum())),
        },
        inputs=inputs,
        outputs=outputs,
        figures={"surprise.png": surprise_map(*drawn)},
        chance=f"its {mean:.3f} nats a character are not below the {unigram:.3f} of each character's frequency alone"
        if worse
        else "",
        notes=[f"{unknown:,} characters are unknown to the model, and not scored."] if unknown else [],
        losses=Losses(
            "nats_per_character",
            lost,
            weights=count,
            groups=np.repeat([one.piece for one in found], [len(one.nats) for one in found])
            if dataset_info["documents"]
            else None,
            blocks=np.arange(len(lost)),
        ),
    )


def text_baselines(corpus: Corpus, known: Sequence[str], splits: Iterable[str], progress: Progress) -> Baselines:
    """What simple methods lose on the same windows: all characters alike, n-grams, and compressors.

    On the validation split they have learnt the train split, on the test split both. A compressor is charged the bytes
    by which what it has read grows when what is to be scored is put behind it.

    Args:
        corpus: the data.
        known: characters.
        splits: that are scored.
        progress: where to show it.
    """
    of_point, uniform = code_points(known), math.log(len(known))
    metrics, losses, best = {}, {}, ngrams.ORDER
    learnt = {"validation": ("train",), "test": ("train", "validation")}
    for split in (one for one in learnt if one in splits):
        size = sum(corpus.size(one) for one in learnt[split])
        if split == "test" and size > ngrams.LEARNT:
            progress.line(
                f"N-grams are counted in the last {ngrams.LEARNT:,} of {size:,} characters before the test split."
            )
        before = _last(corpus, learnt[split], min(size, _COMPRESSED))
        counted, windows = _known(_encoded(before[-ngrams.LEARNT :], of_point)), list(held_out_windows(corpus, split))
        lost, counts = _ngram_nats(counted, windows, of_point, len(known), best)
        if split == "validation":
            best = int(np.argmin(lost.sum(axis=1))) + 1
            progress.line(f"The n-gram baseline is of order {best}, chosen on the validation split.")
        text = "".join(window.text for window in windows)
        for name, value in {
            "uniform": uniform,
            "ngram": lost[best - 1].sum() / counts.sum(),
            "zlib": _zlib_nats(before, text),
            "lzma": _lzma_nats(before, text),
        }.items():
            metrics[f"{split}/nats_per_character/{name}"] = float(value)
        if split == "test":
            losses = {"ngram": lost[-1], "uniform": uniform * counts}
    return Baselines(metrics, losses)


def _ngram_nats(
    train: np.ndarray, windows: Sequence[Window], of_point: np.ndarray, symbols: int, order: int = ngrams.ORDER
) -> tuple[np.ndarray, np.ndarray]:
    """Nats of each part of each window, float `[order, parts]`, and its known characters."""
    contexts = [window.context[-order:] for window in windows]
    encoded = [_encoded(one + window.text, of_point) for one, window in zip(contexts, windows, strict=True)]
    scored = [
        np.flatnonzero((ids != UNKNOWN) & (np.arange(len(ids)) >= len(one)))
        for ids, one in zip(encoded, contexts, strict=True)
    ]
    # an unknown character is a symbol of its own, which no n-gram holds
    asked = [np.where(ids == UNKNOWN, symbols, ids - RESERVED) for ids in encoded]
    nats = ngrams.surprise(train, asked, symbols, order)
    sums, counts = [], []
    for one, rows, context in zip(nats, scored, contexts, strict=True):
        part = (rows - len(context)) // _PART
        size = -(-(one.shape[1] - len(context)) // _PART)
        sums.append([np.bincount(part, order_[rows], minlength=size) for order_ in one])
        counts.append(np.bincount(part, minlength=size))
    return np.concatenate(sums, axis=1), np.concatenate(counts).astype(np.float64)


def _encoded(text: str, of_point: np.ndarray) -> np.ndarray:
    points = np.frombuffer(text.encode("utf-32-le"), np.int32)
    return of_point[np.minimum(points, len(of_point) - 1)].astype(np.int64)


def _known(ids: np.ndarray) -> np.ndarray:
    return ids[ids != UNKNOWN] - RESERVED


def _last(corpus: Corpus, splits: Iterable[str], characters: int) -> str:
    """The end of some splits, one behind the other."""
    held = ""
    for split in splits:
        for _, text in corpus.texts(corpus.pieces(split)):
            held = (held + text)[-characters:]
    return held


def _zlib_nats(before: str, text: str) -> float:
    packer = zlib.compressobj(9, zdict=before.encode()[-32768:])
    return _nats(len(packer.compress(text.encode()) + packer.flush()), text)


def _lzma_nats(before: str, text: str) -> float:
    before = before[-max(0, _COMPRESSED - len(text)) :]
    sizes = [len(lzma.compress(one.encode(), preset=6)) for one in (before + text, before)]
    return _nats(sizes[0] - sizes[1], text)


def _nats(size: int, text: str) -> float:
    return 8 * size * math.log(2) / max(1, len(text))


def _prompts(text: str, rng: np.random.Generator) -> Iterator[str]:
    """Stretches of a text as people may send them, of all lengths."""
    start, (least, most) = 0, _PROMPT
    while start < len(text):
        size = int(np.exp(rng.uniform(np.log(least), np.log(most))))
        yield text[start : start + size]
        start += size


def _asked(prompts: Sequence[str], predict: Predict, progress: Progress) -> tuple[Arrays, Arrays]:
    """What the model answers to prompts, but for the continuation, which is not asked for."""
    texts = np.array([prompt.encode() for prompt in prompts], object)
    order = np.argsort([len(text) for text in texts], kind="stable")
    answers = []
    with progress.stage("asking") as stage:
        for start in range(0, len(texts), _ASKED):
            part = texts[order[start : start + _ASKED]]
            answers.append(predict({"text": part, "length": np.zeros(len(part), np.int32)}))
            stage.advance()
    place = np.argsort(order)
    names = ("characters", "unknown", "surprise")
    return {"text": texts}, {name: np.concatenate([one[name] for one in answers])[place] for name in names}
