"""Captioned pictures as a prepared data set, and its batches."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from unroll.errors import UserError
from unroll.models.image import decode_pictures
from unroll.models.image_header import picture_orientation
from unroll.models.tokens import PADDING
from unroll.pipelines.data.dataset_info import read_info, write_info
from unroll.pipelines.data.pictures import EncodedPictures
from unroll.pipelines.data.sections import no_groups
from unroll.pipelines.data.splits import SPLITS
from unroll.pipelines.task import Arrays
from unroll.pipelines.tasks.captioning.collection import (
    Collection,
    Picture,
    check_readable,
    collect,
    drop_corrupt,
    spans,
)
from unroll.pipelines.tasks.captioning.config import CaptionConfig, CaptionSection
from unroll.pipelines.tasks.captioning.plan import flatness, size_for
from unroll.pipelines.tasks.captioning.split_files import KEYS, decode, keep_encoded, write_captions
from unroll.pipelines.tasks.captioning.vocabulary import Vocabulary
from unroll.pipelines.training.batch_blocks import block
from unroll.pipelines.training.progress import Progress

_BATCH = 64
_EXAMPLES = 5
_LOOKED_AT = 256  # training pictures, to tell drawings from photographs, about
_CHECKED = 32  # pixels of a side of pictures that are decoded to find corrupt ones
_PICTURES = "pictures.bin"


@tf.function(reduce_retracing=True, autograph=False)
def _decoded(encoded: tf.Tensor, size: int) -> tf.Tensor:
    return decode_pictures(encoded, size, picture_orientation(encoded))


def prepare(config: CaptionConfig, data: str, directory: Path, progress: Progress) -> None:
    """Writes the prepared data set.

    Files: `dataset_info.json`; `vocabulary.txt`, a token a line; `skipped.csv`, the first 1000 pictures that were left
    out; `pictures.bin`, encoded pictures; and of each split

    - `<split>-pixels.npy`: uint8 `[images, S, S, 3]`, where all splits fit in `cache_gigabytes`;
    - `<split>-spans.npy`: int64 `[images, 2]`, start and length in `pictures.bin`; of the train split where there are
      no pixels;
    - `<split>-tokens.npy`: int32 `[captions, T]`, from start to end, padded;
    - `<split>-firsts.npy`: int64 `[images + 1]`, the first caption of each image;
    - `<split>.jsonl`: captions, group, cluster and source of each image.

    Args:
        config: its section `data` names the columns; where it leaves the size open, the others decide it, too.
        data: file, folder or glob.
        directory: an empty folder.
        progress: where to show it.

    Raises:
        UserError: data that cannot be trained on.
    """
    section, file = config.data, directory / _PICTURES
    found = collect(section, data, file, progress)
    size, chosen = section.size or 0, []
    if section.size is None:
        training = sum(picture.split == "train" for picture in found.pictures)
        size, said = size_for([picture.side for picture in found.pictures], training, config)
        chosen.append(said)
    cached = len(found.pictures) * size**2 * 3 <= section.cache_gigabytes * 1e9
    with progress.stage("decoding pictures", total=len(found.pictures)) as stage:
        splits: dict[str, list[Picture]] = {}
        for split in SPLITS:
            pictures = [picture for picture in found.pictures if picture.split == split]
            pixels = directory / f"{split}-pixels.npy" if cached else None
            good = decode(EncodedPictures(file, spans(pictures)), size, stage, pixels)
            splits[split] = drop_corrupt(found, pictures, good, file)
        found.pictures = [picture for pictures in splits.values() for picture in pictures]
        stage.say(f"{len(found.pictures):,} pictures, skipped {found.skipped}")
    if found.skipped.listed:
        found.skipped.write(directory / "skipped.csv")
    check_readable(found, data)
    _check_splits(section, data, splits, found.split_by_data)
    looked_at = spans(splits["train"])[:: -(-len(splits["train"]) // _LOOKED_AT)]
    flat = flatness(pixels for _, pixels in EncodedPictures(file, looked_at).decode(size))
    vocabulary = _vocabulary(section, data, splits["train"], progress)
    (directory / "vocabulary.txt").write_text("".join(f"{token}\n" for token in vocabulary.tokens), encoding="utf-8")
    with progress.stage("cutting captions"):
        lengths = [
            length
            for split, pictures in splits.items()
            for length in write_captions(directory, split, pictures, vocabulary, section.kept_tokens)
        ]
    encoded = {split: splits[split] for split in SPLITS if split != "train" or not cached}
    if cached:
        keep_encoded(file, [picture for pictures in encoded.values() for picture in pictures])
    for split, pictures in encoded.items():
        np.save(directory / f"{split}-spans.npy", spans(pictures))
    dataset_info = {
        **_dataset_info(found, splits),
        "vocabulary": len(vocabulary.tokens),
        "longest_caption": max(lengths),
        "truncated_captions": sum(length > section.kept_tokens for length in lengths),
        "size": size,
        "chosen": chosen,
        "flat": round(flat, 3),
        "cached": cached,
    }
    write_info(directory, dataset_info)


class CaptionData:
    """A prepared data set.

    Args:
        directory: where `prepare` wrote.

    Attributes:
        dataset_info: what was found: records, images and captions by split, pictures skipped by reason, and so on.
        vocabulary: its tokens.
        size: S, pixels of a side.

    Example:
        >>> data = CaptionData.load(directory)  # doctest: +SKIP
        >>> batches = data.batches("train", 32, captions_per_image=2, shuffle=(seed, epoch))  # doctest: +SKIP
        >>> pixels, tokens, rows = next(iter(batches))  # doctest: +SKIP
    """

    def __init__(self, directory: Path):
        self._directory = directory
        self._arrays: dict[Path, np.ndarray] = {}  # mapped once: the data set of each epoch keeps what it reads
        self.dataset_info: dict[str, Any] = read_info(directory)
        self.vocabulary = (directory / "vocabulary.txt").read_text(encoding="utf-8").split("\n")[:-1]
        self.size: int = self.dataset_info["size"]

    @classmethod
    def load(cls, directory: Path) -> "CaptionData":
        return cls(directory)

    def images(self, split: str) -> int:
        """Pictures of a split."""
        return self.dataset_info["images"][split]

    def batches(
        self,
        split: str,
        batch_size: int,
        *,
        captions_per_image: int,
        shuffle: tuple[int, int] | None,
        part: tuple[float, float] = (0.0, 1.0),
    ) -> tf.data.Dataset:
        """Batches in which each picture comes once.

        Args:
            split: train, validation or test.
            batch_size: B, pictures of a batch at most.
            captions_per_image: K.
            shuffle: seed and epoch, which alone decide the order of the pictures and which of their captions are
                taken, none twice; None: the order on disk, and the first captions.
            part: of each batch's pictures, from one share to another.

        Returns:
            Dataset of pixels, uint8 `[B, S, S, 3]`; tokens of at most B * K captions, int32 `[N, T]`, from start to
            end, padded to the longest of the batch; and the row of each caption's picture, int32 `[N]`.
        """
        count = self.images(split)
        random = None if shuffle is None else np.random.default_rng(shuffle)
        order = np.arange(count) if random is None else random.permutation(count)
        chosen = self._chosen(split, captions_per_image, random)
        tokens = self._array(split, "tokens")
        cached = self.dataset_info["cached"]
        pixels = self._array(split, "pixels") if cached else self._encoded(split)  # or the bytes that they are in

        def gather(images: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
            captions = chosen[images]  # [B, K]
            rows, _ = np.nonzero(captions >= 0)  # [N]
            picked = tokens[captions[captions >= 0]]  # [N, longest]
            used = np.any(picked != PADDING, axis=0).sum()
            return np.asarray(pixels[images]), picked[:, :used], rows.astype(np.int32)

        @tf.autograph.experimental.do_not_convert
        def batch(images: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            kinds = [tf.uint8 if cached else tf.string, tf.int32, tf.int32]
            pictures, tokens, rows = tf.numpy_function(gather, [images], kinds)
            if not cached:
                pictures.set_shape([None])
                pictures = _decoded(pictures, self.size)
            pictures.set_shape([None, self.size, self.size, 3])
            tokens.set_shape([None, None])
            rows.set_shape([None])
            return pictures, tokens, rows

        dataset = block(tf.data.Dataset.from_tensor_slices(order).batch(batch_size), *part, in_order=False)
        return dataset.map(batch, tf.data.AUTOTUNE).prefetch(2)

    def captions(self, split: str) -> list[list[str]]:
        """Captions of each picture of a split, in the order on disk."""
        with (self._directory / f"{split}.jsonl").open(encoding="utf-8") as lines:
            return [json.loads(line)["captions"] for line in lines]

    def tokens(self, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Ids of all captions of a split, from start to end, int32 `[captions, T]`, and the first caption of each
        picture, int64 `[pictures + 1]`."""
        return self._array(split, "tokens"), self._array(split, "firsts")

    def encoded(self, split: str) -> Iterator[Arrays]:
        """Raw records of the validation or test split in batches, in the order on disk.

        Yields:
            Object arrays `[n]`: `image`, bytes; `captions`, a list of texts; `group`, `cluster` (empty: of its own) and
            `source`, text.
        """
        pictures = self._encoded(split)
        with (self._directory / f"{split}.jsonl").open(encoding="utf-8") as lines:
            for start in range(0, len(pictures), _BATCH):
                rows = range(start, min(start + _BATCH, len(pictures)))
                records = [json.loads(next(lines)) for _ in rows]
                yield _raw(pictures[rows], *([one[key] for one in records] for key in KEYS))

    def _chosen(self, split: str, count: int, random: np.random.Generator | None) -> np.ndarray:
        """Rows of captions for each image, int64 `[images, K]`, -1 where it has fewer."""
        firsts = self._array(split, "firsts")
        captions = firsts[-1]
        order = np.arange(captions)
        if random is not None:
            image = np.repeat(np.arange(len(firsts) - 1), np.diff(firsts))
            order = np.lexsort((random.random(captions), image))  # shuffled within each image
        positions = firsts[:-1, None] + np.arange(count)  # [images, K]
        return np.where(positions < firsts[1:, None], order[np.minimum(positions, captions - 1)], -1)

    def _array(self, split: str, name: str) -> np.ndarray:
        file = self._directory / f"{split}-{name}.npy"
        if file not in self._arrays:
            self._arrays[file] = np.load(file, mmap_mode="r")
        return self._arrays[file]

    def _encoded(self, split: str) -> EncodedPictures:
        return EncodedPictures(self._directory / _PICTURES, self._array(split, "spans"))


def read_further(section: CaptionSection, data: str, progress: Progress) -> Iterator[Arrays]:
    """Further data in batches, as `CaptionData.encoded` has them; pictures that cannot be read are skipped and counted.

    Args:
        section: names the columns; `split` is not looked at, and the data may lack `group` and `cluster`.
        data: file, folder or glob.
        progress: where to show it.

    Raises:
        UserError: files that cannot be read, or none of whose records is a readable picture with a caption.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / _PICTURES
        optional = [section.group, section.cluster]
        found = collect(section.model_copy(update={"split": None}), data, file, progress, optional)
        if section.group and not any(picture.group for picture in found.pictures):
            progress.line(no_groups(section.group))
        encoded = EncodedPictures(file, spans(found.pictures))
        with progress.stage("checking pictures", total=len(encoded)) as stage:
            good = decode(encoded, _CHECKED, stage)
            pictures = drop_corrupt(found, found.pictures, good, file)
            stage.say(f"{len(pictures):,} pictures, skipped {found.skipped}")
        found.pictures = pictures
        check_readable(found, data)
        for start in range(0, len(good), _BATCH):
            some = pictures[start : start + _BATCH]
            yield _raw(encoded[good[start : start + _BATCH]], *([getattr(one, key) for one in some] for key in KEYS))


def _raw(encoded: np.ndarray, *columns: Sequence[Any]) -> Arrays:
    batch = {"image": encoded}
    for key, values in zip(KEYS, columns, strict=True):
        batch[key] = np.empty(len(values), object)
        for row, value in enumerate(values):
            batch[key][row] = value
    return batch


def _check_splits(section: CaptionSection, data: str, splits: dict[str, list[Picture]], by_data: bool) -> None:
    for split, pictures in splits.items():
        if not pictures:
            total = sum(map(len, splits.values()))
            column = f"column {section.split!r}" if section.split else "the data"
            how = f"{column} names none" if section.split or by_data else f"{total:,} pictures are too few"
            raise UserError(f"--data {data}: no picture is in the {split} split: {how}. Add some")


def _vocabulary(section: CaptionSection, data: str, pictures: Sequence[Picture], progress: Progress) -> Vocabulary:
    with progress.stage("making the vocabulary") as stage:
        captions = (caption for picture in pictures for caption in picture.captions)
        vocabulary = Vocabulary.build(captions, section.vocabulary, section.vocabulary_size, section.min_count)
        tokens = len(vocabulary.tokens)
        few = section.vocabulary == "subword" and tokens < section.vocabulary_size
        stage.say(f"{tokens:,} tokens" + (f"; the captions give no {section.vocabulary_size:,}" if few else ""))
    if not vocabulary.tokens:
        raise UserError(
            f"--data {data}: no {section.vocabulary} of the train split's captions occurs {section.min_count} times. "
            "Lower data.min_count"
        )
    return vocabulary


def _dataset_info(found: Collection, splits: dict[str, list[Picture]]) -> dict[str, Any]:
    return {
        "records": found.records,
        "uncaptioned": found.uncaptioned,
        "duplicates": sum(len(picture.splits) > 1 for picture in found.pictures),
        "renamed": found.renamed,
        "renamed_example": found.renamed_example,
        "notes": list(found.notes),
        "split_by_data": found.split_by_data,
        "skipped": dict(found.skipped.counts.most_common()),
        "skipped_named": found.skipped.named,
        "skipped_examples": found.skipped.listed[:_EXAMPLES],
        "images": {split: len(pictures) for split, pictures in splits.items()},
        "captions": {split: sum(len(one.captions) for one in pictures) for split, pictures in splits.items()},
        "max_captions": max(len(picture.captions) for picture in found.pictures),
    }
