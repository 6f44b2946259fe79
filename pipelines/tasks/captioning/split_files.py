"""Writes the files of one split of a prepared data set."""

import json
import os
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np

from unroll.models.tokens import END, PADDING, START
from unroll.pipelines.data.pictures import EncodedPictures, PixelWriter
from unroll.pipelines.tasks.captioning.collection import Picture
from unroll.pipelines.tasks.captioning.vocabulary import Vocabulary
from unroll.pipelines.training.progress import Stage

KEYS = ("captions", "group", "cluster", "source")  # of a picture, kept as text


def decode(pictures: EncodedPictures, size: int, stage: Stage, file: Path | None = None) -> list[int]:
    """Decodes pictures, to find those that are corrupt.

    Args:
        pictures: encoded.
        size: S, pixels of a side.
        stage: is advanced.
        file: where to write uint8 `[good, S, S, 3]`, as .npy; None for nowhere.

    Returns:
        Indexes of the good ones, rising.
    """
    good: list[int] = []
    with PixelWriter(file, size) if file else nullcontext() as writer:
        for indexes, pixels in pictures.decode(size):
            good += indexes.tolist()
            if writer:
                writer.write(pixels)
            stage.advance(len(indexes))
    return good


def write_captions(
    directory: Path, split: str, pictures: Sequence[Picture], vocabulary: Vocabulary, max_tokens: int
) -> list[int]:
    """Writes `<split>-tokens.npy`, `<split>-firsts.npy` and `<split>.jsonl`, as `data.prepare` says.

    Returns:
        Tokens of each caption, before it is truncated to `max_tokens`.
    """
    ids = [vocabulary.encode(caption) for picture in pictures for caption in picture.captions]
    lengths = [len(one) for one in ids]
    tokens = np.full([len(ids), min(max(lengths), max_tokens) + 2], PADDING, np.int32)
    for row, one in enumerate(ids):
        whole = [START, *one[:max_tokens], END]
        tokens[row, : len(whole)] = whole
    np.save(directory / f"{split}-tokens.npy", tokens)
    firsts = np.cumsum([0, *(len(picture.captions) for picture in pictures)])
    np.save(directory / f"{split}-firsts.npy", firsts)
    with (directory / f"{split}.jsonl").open("w", encoding="utf-8") as lines:
        for picture in pictures:
            lines.write(json.dumps({key: getattr(picture, key) for key in KEYS}) + "\n")
    return lengths


def keep_encoded(file: Path, pictures: Sequence[Picture]) -> None:
    """Leaves only these pictures in the file."""
    kept = file.with_suffix(".kept")
    with file.open("rb") as old, kept.open("wb") as new:
        for picture in pictures:
            old.seek(picture.start)
            picture.start = new.tell()
            new.write(old.read(picture.length))
    os.replace(kept, file)
