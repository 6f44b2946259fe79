"""The distinct pictures of data files, each with all its captions, in one split of the data set."""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tensorflow as tf

from unroll.errors import UserError
from unroll.models.image_header import picture_problem
from unroll.monitoring.tables.notes import Notes
from unroll.picture_header import image_size
from unroll.pipelines.data.splits import SPLITS, NamedSplits, digest_split, hash_split
from unroll.pipelines.tasks.captioning.config import CaptionSection
from unroll.pipelines.tasks.captioning.reading.files import caption_records
from unroll.pipelines.tasks.captioning.reading.record import CaptionRecord
from unroll.pipelines.tasks.captioning.reading.skipped import MISSING, Skipped, why_missing
from unroll.pipelines.tasks.captioning.vocabulary import normalise
from unroll.pipelines.training.progress import Progress, Stage
from unroll.serving.files.regular_files import leads_out, read

_BATCH = 64

_problems = tf.function(picture_problem, reduce_retracing=True, autograph=False)


@dataclass
class Picture:
    """A picture that can be read.

    Args:
        start: of its bytes, in the file of all encoded pictures.
        length: bytes.
        side: pixels of the longer side.
        split: the last of train, validation and test that any of its records is in.
        group: of the first record of that split.
        cluster: of the same record.
        source: of the same record.
        captions: normalised, of all its records.
        splits: all that its records are in.
    """

    start: int
    length: int
    side: int
    split: str
    group: str
    cluster: str
    source: str
    captions: list[str] = field(default_factory=list)
    splits: set[str] = field(default_factory=set)


@dataclass
class Collection:
    """What data files hold.

    Args:
        pictures: in the order in which they are met.
        skipped: those left out.
        records: that were read.
        uncaptioned: records without a caption.
        renamed: files that were found under another path than the data has.
        renamed_example: the path of one, and its file.
        notes: what was found out by looking at the files.
        split_by_data: whether the data names splits without a column that was set for it.
    """

    pictures: list[Picture] = field(default_factory=list)
    skipped: Skipped = field(default_factory=Skipped)
    records: int = 0
    uncaptioned: int = 0
    renamed: int = 0
    renamed_example: tuple[str, str] | None = None
    notes: Notes = field(default_factory=Notes)
    split_by_data: bool = False


def spans(pictures: Sequence[Picture]) -> np.ndarray:
    """Start and length of each picture's bytes, int64 `[pictures, 2]`."""
    return np.array([(one.start, one.length) for one in pictures], np.int64).reshape(-1, 2)


def collect(
    section: CaptionSection, data: str, file: Path, progress: Progress, optional: Sequence[str | None] = ()
) -> Collection:
    """Gathers pictures, and appends the bytes of each to a file.

    A picture is its bytes: records that repeat them add captions to it. Only the headers are looked at; what is
    behind them shows when they are decoded.

    Args:
        section: names the columns; without `split` the MD5 of its cluster's name decides a picture's split, or of its
            bytes where it has none.
        data: file, folder or glob.
        file: where to write the encoded pictures.
        progress: where to show it.
        optional: columns that the data may lack.

    Raises:
        UserError: files that cannot be read, or none of whose records is a readable picture with a caption.
    """
    with progress.stage("reading pictures") as stage, file.open("wb") as stream:
        collector = _Collector(section, stream)
        for records in _batches(caption_records(section, data, collector.found.notes, optional)):
            collector.add(records)
            _say(collector.found, stage)
    collector.named.check()
    found = collector.found
    if not found.records:
        raise UserError(f"--data {data}: holds no records. Add captioned pictures")
    if found.uncaptioned == found.records:
        columns = ", ".join(repr(name) for name in section.caption)
        raise UserError(
            f"--data {data}: none of {found.records:,} records has a caption in column {columns}. "
            "Name the right columns with --set data.caption=..."
        )
    check_readable(found, data)
    _check_missing(found, section, data)
    return found


def check_readable(found: Collection, data: str) -> None:
    """Refuses data of which every picture was skipped.

    Raises:
        UserError: gives the reasons.
    """
    if not found.pictures:
        source, reason = found.skipped.listed[0]
        raise UserError(
            f"--data {data}: no picture can be read: {found.skipped}. The first, {source}, {reason}. "
            f"{found.skipped.remedy()}"
        )


def _check_missing(found: Collection, section: CaptionSection, data: str) -> None:
    missing = found.skipped.counts[MISSING]
    pictures = len(found.pictures) + sum(found.skipped.counts.values())
    if missing > section.max_missing * pictures:
        named = found.skipped.named[MISSING]
        raise UserError(
            f"--data {data}: {missing:,} of {pictures:,} pictures are missing, such as {', '.join(named)}. Put them "
            f"there, or name the folder that paths start from with data.images, or allow more with "
            f"data.max_missing (now {section.max_missing:g})"
        )


def drop_corrupt(found: Collection, pictures: list[Picture], good: Sequence[int], file: Path) -> list[Picture]:
    """The pictures that could be decoded; the others are skipped with a reason.

    Args:
        found: where to count them.
        pictures: all.
        good: indexes of those that could be decoded.
        file: of the encoded pictures.
    """
    for index in sorted(set(range(len(pictures))) - set(good)):
        picture = pictures[index]
        with file.open("rb") as stream:
            stream.seek(picture.start)
            encoded = stream.read(picture.length)
        whole = encoded.rstrip(b"\0\r\n ").endswith(b"\xff\xd9") or b"IEND" in encoded[-64:]
        found.skipped.add(picture.source, "is corrupt" if whole else "is truncated")
    return [pictures[index] for index in good]


class _Collector:
    def __init__(self, section: CaptionSection, stream):
        self.found = Collection()
        self._section = section
        self._stream = stream
        self._end = 0
        self._digests: dict[Path, bytes | None] = {}
        self._pictures: dict[bytes, Picture] = {}  # by digest
        self._problems: dict[bytes, str] = {}  # likewise
        self.named = NamedSplits(section.split or "")
        self._told: set[bytes | Path] = set()

    def add(self, records: Sequence[CaptionRecord]) -> None:
        usable = []
        for record in records:
            captions = [normalise(caption, self._section.lowercase) for caption in record.captions]
            if any(captions):
                usable.append((record, [caption for caption in captions if caption]))
        self.found.records += len(records)
        self.found.uncaptioned += len(records) - len(usable)
        fresh: dict[bytes, tuple[CaptionRecord, bytes]] = {}
        digests = [self._digest(record, fresh) for record, _ in usable]
        self._add_pictures(fresh)
        for (record, captions), digest in zip(usable, digests, strict=True):
            if digest in self._pictures:
                self._add_captions(self._pictures[digest], record, captions, digest)
            elif digest in self._problems:  # files are counted, also those of the same bytes
                which = record.image if isinstance(record.image, Path) else digest
                if which not in self._told:
                    self.found.skipped.add(record.source, self._problems[digest])
                    self._told.add(which)

    def _digest(self, record: CaptionRecord, fresh: dict[bytes, tuple[CaptionRecord, bytes]]) -> bytes | None:
        image = record.image
        if isinstance(image, Path) and image in self._digests:
            return self._digests[image]
        digest = None
        try:
            if isinstance(image, Path) and leads_out(image, record.folder):
                self.found.skipped.add(record.source, f"leads out of the pictures' folder ({record.folder})")
                self._digests[image] = None
                return None
            encoded = read(image) if isinstance(image, Path) else image
        except (OSError, ValueError) as error:
            missing = isinstance(error, FileNotFoundError)
            reason = why_missing(Path(str(image))) if missing else f"cannot be read ({error})"
            self.found.skipped.add(record.source, reason)
        else:
            if encoded is None:
                self.found.skipped.add(record.source, "holds no picture")
            else:
                digest = hashlib.md5(encoded, usedforsecurity=False).digest()
                if digest not in self._pictures and digest not in self._problems:
                    fresh.setdefault(digest, (record, encoded))
        if isinstance(image, Path):
            self._digests[image] = digest
            if record.written and digest:
                self.found.renamed += 1
                self.found.renamed_example = self.found.renamed_example or (record.written, str(image))
        return digest

    def _add_pictures(self, fresh: dict[bytes, tuple[CaptionRecord, bytes]]) -> None:
        if not fresh:
            return
        encoded = tf.constant([one for _, one in fresh.values()])
        problems = _problems(encoded, self._section.max_pixels).numpy()
        for (digest, (_, one)), problem in zip(fresh.items(), problems, strict=True):
            if problem:
                self._problems[digest] = problem.decode()
            else:
                side = max(image_size(one) or (1,))
                picture = Picture(self._end, self._stream.write(one), side, "", "", "", "")
                self._end += len(one)
                self._pictures[digest] = picture
                self.found.pictures.append(picture)

    def _add_captions(self, picture: Picture, record: CaptionRecord, captions: list[str], digest: bytes) -> None:
        if record.split is not None:
            (split,) = self.named.of([record.split])
            self.found.split_by_data |= self._section.split is None
        else:
            split = hash_split(record.cluster) if record.cluster else digest_split(digest)
        if not picture.splits or SPLITS.index(split) > SPLITS.index(picture.split):
            picture.split, picture.group, picture.source = split, record.group, record.source
            picture.cluster = record.cluster
        picture.splits.add(split)
        picture.captions += captions


def _batches(records: Iterable[CaptionRecord]) -> Iterator[list[CaptionRecord]]:
    batch = []
    for record in records:
        batch.append(record)
        if len(batch) == _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _say(found: Collection, stage: Stage) -> None:
    skipped = sum(found.skipped.counts.values())
    stage.say(f"{found.records:,} records, {len(found.pictures):,} pictures, {skipped:,} skipped")
