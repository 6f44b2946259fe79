"""Sizes that the pictures and the time decide where the configuration leaves them open."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from unroll.models.layers.image_encoder import multiply_adds
from unroll.pipelines.tasks.captioning.config import CaptionConfig
from unroll.pipelines.training.schedule.epochs import DefaultEpochs, epochs_for

_SIZES = (16, 24, 32, 48, 64, 96, 128)  # sides that the encoder's strides divide
_LEAST = 32  # pixels, below which a short budget does not push pictures that come larger
_BACKBONE = 128  # pixels of networks of keras.applications, some of which take no fewer than 75
_SHARE = 0.9  # of the pictures, which are to come no larger than they are read
_EPOCHS = 40  # that a budget is to hold on two idle cores: a busy machine leaves fewer
_USUAL_MINUTES = 60.0  # that a training without a budget is allowed
_PICTURE_SECONDS = 2e-3  # of a training step on two cores, beside the encoder
_MULTIPLY_SECONDS = 1e-10  # of a training step for each multiplication of the encoder's forward pass
_SMALL = 32  # pixels, up to which the encoder has so few stages that each gets two blocks
_TINY = 16  # pixels, whose encoder has one stage, which gets the filters of a second
_FILTERS = 32
_FLAT = 0.1  # share of neighbouring pixels that are equal, above which pictures are drawn
_COLOUR = 0.05  # of photographs
_SEEN, _MIN_EPOCHS, _MAX_EPOCHS = 150_000, 10, 100  # pictures that are read in training; epochs
_DROPOUT = {  # by epochs on two idle cores: of fewer it delays what is learnt by more than it spares
    40: {"dropout": 0.1, "grid_dropout": 0.05, "word_dropout": 0.0},
    80: {"dropout": 0.1, "grid_dropout": 0.05, "word_dropout": 0.2},
    math.inf: {"dropout": 0.3, "grid_dropout": 0.2, "word_dropout": 0.0},
}
_FEW = 300  # pictures, below which the captions of similar ones answer more than what a network learns
_FEW_SIZE, _FEW_EPOCHS = 48, 40  # that are spent on them where no budget is set


def size_for(sides: Sequence[int], pictures: int, config: CaptionConfig) -> tuple[int, str]:
    """Pixels of a side that pictures are read with, and why, in a sentence.

    They are read no larger than nine in ten of them come, and so small that the budget holds enough epochs. Few are
    read small, unless a budget says that they may take their time.

    Args:
        sides: the longer side of each picture.
        pictures: of the train split.
        config: `data.size` is None.

    Example:
        >>> size_for([8] * 1797, 1258, CaptionConfig())
        (16, 'Pictures are read at 16 x 16 pixels (data.size): they come with 8 x 8 or fewer.')
    """
    model, minutes = config.model, config.train.minutes
    if model.backbone:
        return _BACKBONE, f"Pictures are read at {_BACKBONE} x {_BACKBONE} pixels, for {model.backbone} (data.size)."
    come = int(np.quantile(sides, _SHARE, method="higher"))
    wanted = next((size for size in _SIZES if size >= come), _SIZES[-1])
    fits = [size for size in _SIZES if size <= wanted]
    if not (model.build or model.encoder):
        least, budget = min(_LEAST, wanted), 60 * (minutes or _USUAL_MINUTES)
        fits = [one for one in fits if one <= least or _EPOCHS * pictures * _picture_seconds(one, config) <= budget]
    few = pictures < _FEW and minutes is None and not (model.build or model.encoder)
    if few:
        fits = [one for one in fits if one <= _FEW_SIZE]
    size = fits[-1]
    said = f"Pictures are read at {size} x {size} pixels (data.size): "
    if few and size < wanted:
        return size, f"{said}{pictures:,} teach little more when they are larger."
    if size < wanted:
        time = f"{minutes:g} minutes" if minutes else "an hour"
        return size, f"{said}{pictures:,} larger ones could not be read often enough in {time}."
    if come > wanted:
        return size, f"{said}more takes long; they come with up to {come}."
    return size, f"{said}{'they' if max(sides) == come else 'nine in ten'} come with {come} x {come} or fewer."


def planned(config: CaptionConfig, dataset_info: Mapping[str, Any]) -> tuple[CaptionConfig, list[str]]:
    """A configuration in which nothing is left open, and what was decided, a line each.

    Args:
        config: what it names is kept.
        dataset_info: of the prepared data set.
    """
    size, drawn = dataset_info["size"], dataset_info.get("flat", 0.0) >= _FLAT
    filters, blocks = encoder_sizes(size, config)
    said = list(dataset_info.get("chosen", []))
    model, train = config.model, config.train
    if not (model.backbone or model.build or model.encoder) and None in (model.filters, model.blocks):
        said.append(f"Encoder of {filters} filters, {blocks} blocks a stage (model.filters, model.blocks).")
    if train.colour is None:
        colour = 0.0 if drawn else _COLOUR
        train = train.model_copy(update={"colour": colour})
        if drawn:
            said.append("They are drawn, in areas of one colour, so colours are left as they are (train.colour=0).")
    if None in (model.dropout, model.grid_dropout, model.word_dropout):
        epochs = _expected_epochs(size, dataset_info["images"]["train"], config)
        dropout = next(chosen for most, chosen in _DROPOUT.items() if epochs <= most)
        dropout = dropout | {key: value for key in dropout if (value := getattr(model, key)) is not None}
        model = model.model_copy(update=dropout)
        if not model.build:
            said.append(
                f"Dropout of {model.dropout:g}, of the picture's features {model.grid_dropout:g}, of words "
                f"{model.word_dropout:g} (model.dropout, model.grid_dropout, model.word_dropout), for {epochs:.0f} "
                "epochs at most."
            )
    model = model.model_copy(update={"filters": filters, "blocks": blocks})
    data = config.data.model_copy(update={"size": size})
    return config.model_copy(update={"data": data, "model": model, "train": train}), said


def encoder_sizes(size: int, config: CaptionConfig) -> tuple[int, int]:
    """Filters and blocks of the residual network for pictures of so many pixels a side."""
    filters = config.model.filters or (2 * _FILTERS if size <= _TINY else _FILTERS)
    return filters, config.model.blocks or (2 if size <= _SMALL else 1)


def flatness(batches: Iterable[np.ndarray]) -> float:
    """Share of neighbouring pixels in the middle of pictures that are exactly equal; the median picture's.

    Drawings have areas of one colour, photographs have noise.

    Args:
        batches: uint8 `[n, size, size, 3]`.
    """
    shares = []
    for pixels in batches:
        size = pixels.shape[1]
        middle = slice(size // 4, size - size // 4)  # without the margin of pictures that are not square
        inside = pixels[:, middle, middle]
        shares.append(np.all(inside[:, :, 1:] == inside[:, :, :-1], axis=-1).mean(axis=(1, 2)))
    return float(np.median(np.concatenate(shares))) if shares else 0.0


def default_epochs(pictures: int) -> DefaultEpochs:
    """What is good for so many pictures in the train split; the validation split ends them."""
    most = _FEW_EPOCHS if pictures < _FEW else _MAX_EPOCHS
    return epochs_for(pictures, seen=_SEEN, least=_MIN_EPOCHS, most=most, of="training pictures")


def _expected_epochs(size: int, pictures: int, config: CaptionConfig) -> float:
    """That are set or by default read, or that the budget holds on two idle cores if those are fewer."""
    epochs = config.train.epochs or (default_epochs(pictures).count if config.train.minutes is None else math.inf)
    budget = 60 * config.train.minutes if config.train.minutes else math.inf
    return min(epochs, budget / (pictures * _picture_seconds(size, config)))


def _picture_seconds(size: int, config: CaptionConfig) -> float:
    """Of a training step, about, on two cores."""
    return _PICTURE_SECONDS + _MULTIPLY_SECONDS * multiply_adds(size, *encoder_sizes(size, config))
