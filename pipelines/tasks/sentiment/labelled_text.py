"""From files of labelled texts to a prepared data set: vocabulary, token shards, counts."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import compress
from pathlib import Path

import numpy as np
import tensorflow as tf

from unroll.errors import UserError
from unroll.models.text.ngrams import log_count_ratios, ngram_features
from unroll.models.text.tokenizer import RESERVED, Tokenizer, joined, tokenize
from unroll.monitoring.tables.notes import Notes
from unroll.pipelines.data.dataset_info import read_info, write_info
from unroll.pipelines.data.labels import are_record_names, find_classes, tidy_labels
from unroll.pipelines.data.records import Batch, find_files, read_section
from unroll.pipelines.data.splits import SPLITS, NamedSplits, RecordIndex, hash_split
from unroll.pipelines.data.texts.shards import ShardWriter
from unroll.pipelines.data.vocabulary import count_vocabulary, vocabulary_table, write_vocabulary
from unroll.pipelines.tasks.sentiment.config import LabelledTextSection
from unroll.pipelines.tasks.sentiment.plan import default_min_count
from unroll.pipelines.training.progress import Progress

_MAX_CLASSES = 1000
_MAX_SHOWN = 10
_MAX_WEIGHTS = 50_000_000


@dataclass(frozen=True)
class DatasetInfo:
    """What is known of a prepared data set.

    Args:
        classes: the labels as the data has them, in order.
        counts: kept records, `{label: {split: count}}`.
        read: records in the files.
        unusable: records without text or label.
        conflicting: texts dropped since they occur with different labels, none of which most copies have.
        settled: texts that are kept though they occur with different labels.
        duplicates: further copies of kept texts, dropped.
        bucket_counts: training records by bucket of length.
        notes: what was found out about the form of the files, and about the labels, a line each.
    """

    classes: list[str]
    counts: dict[str, dict[str, int]]
    read: int
    unusable: int
    conflicting: int
    settled: int
    duplicates: int
    bucket_counts: list[int]
    notes: list[str]

    def records(self, split: str) -> int:
        """Records of one split."""
        return sum(counts[split] for counts in self.counts.values())

    @classmethod
    def load(cls, directory: Path) -> "DatasetInfo":
        return cls(**read_info(directory))


def prepare(
    section: LabelledTextSection,
    data: str,
    directory: Path,
    progress: Progress,
    *,
    vocabulary_size: int,
    min_count: int | None,
    max_tokens: int,
    ngram_buckets: int,
) -> None:
    """Writes `vocabulary.txt`, token shards of each split, `log_count_ratios.npy` and `dataset_info.json`.

    Three passes over the files (index, vocabulary, tokens), each in bounded memory.

    Args:
        section: names the columns.
        data: file, folder or glob.
        directory: an empty folder.
        progress: where to show it.
        vocabulary_size: words kept at most.
        min_count: occurrences of a kept word in the training split; None: as `default_min_count` has it.
        max_tokens: tokens kept of each text.
        ngram_buckets: of `unroll.models.text.ngrams`.

    Raises:
        UserError: data that cannot be trained on.
    """
    notes = Notes()
    with RecordIndex.create(directory / "index.sqlite") as index:
        with progress.stage("reading records") as stage:
            read, unusable = _index(section, data, index, notes)
            names = find_classes(index.labels(), _labels_of(section, data), merge=section.merge_case, notes=notes)
            conflicting = index.settle(section.conflicts, names)
            _fill_train(section, index, notes)
            counts = index.counts()
            _check(section, data, read, counts)
            _check_size(len(counts), ngram_buckets + vocabulary_size)
            stage.say(f"{read} records")
        classes = sorted(counts, key=lambda label: (len(label), label) if label.isdigit() else (0, label))
        training = sum(count["train"] for count in counts.values())
        min_count = min_count or default_min_count(training)
        with progress.stage("counting words", total=training) as stage:

            def tokens() -> Iterator[Sequence[bytes]]:
                for batch in kept_records(section, data, index):
                    texts = batch.only("train").texts
                    yield tokenize(tf.constant(texts, tf.string), max_tokens).flat_values.numpy().tolist()
                    stage.advance(len(texts))

            vocabulary = count_vocabulary(tokens(), vocabulary_size, min_count)
            stage.say(f"{len(vocabulary)} words")
        if not vocabulary:
            raise UserError(
                f"--data {data}: no word of column {section.text!r} occurs {min_count} times in the train split. "
                "Name the text's column with --set data.text=..., or lower model.min_count"
            )
        write_vocabulary(directory, vocabulary)
        tokenizer = Tokenizer(vocabulary_table(directory), max_tokens)
        total = sum(sum(count.values()) for count in counts.values())
        ngrams = np.zeros((len(vocabulary) + RESERVED + ngram_buckets, len(classes)))
        with progress.stage("tokenising", total=total) as stage, ExitStack() as stack:
            writers = {split: stack.enter_context(ShardWriter(directory, split)) for split in SPLITS}
            for batch in kept_records(section, data, index):
                tokens = tokenize(tf.constant(batch.texts), max_tokens)
                rows, words = tokenizer.ids(tokens), joined(tokens).numpy()
                numbers = [classes.index(label) for label in batch.labels]
                ids = np.split(rows.flat_values.numpy(), rows.row_splits.numpy()[1:-1])
                for split, *record in zip(batch.splits, ids, numbers, words, strict=True):
                    writers[split].write(*record)
                if ngram_buckets:
                    labels = np.where(np.array(batch.splits) == "train", numbers, -1)
                    _count_ngrams(ngrams, rows, labels, ngram_buckets)
                stage.advance(len(ids))
        np.save(directory / "log_count_ratios.npy", log_count_ratios(ngrams))
        dataset_info = DatasetInfo(
            classes,
            counts,
            read,
            unusable,
            conflicting.dropped,
            conflicting.texts - conflicting.dropped,
            read - unusable - total - conflicting.dropped,
            writers["train"].bucket_counts,
            list(notes),
        )
    write_info(directory, asdict(dataset_info))


def stream(
    section: LabelledTextSection, data: str, notes: Notes | None = None, optional: Sequence[str | None] = ()
) -> Iterator[Batch]:
    """Batches of the named columns, of which files may lack some; what is found out about the files is noted."""
    columns = [section.text, section.label, section.split, section.group]
    return read_section(section, find_files(data), columns, optional=optional, notes=notes)


@dataclass(frozen=True)
class Kept:
    """Records that are kept, in equally long lists; groups are empty where no column is named."""

    texts: list[str]
    labels: list[str]
    groups: list[str]
    splits: list[str]

    def only(self, split: str) -> "Kept":
        """Those of one split."""
        chosen = [one == split for one in self.splits]
        return Kept(*(list(compress(values, chosen)) for values in vars(self).values()))


def kept_records(section: LabelledTextSection, data: str, index: RecordIndex) -> Iterator[Kept]:
    """Streams the records that an index of the same files keeps, in batches."""
    kept = index.kept()
    row, split, label = next(kept, (-1, "", ""))
    first = 0
    for batch in stream(section, data):
        records = Kept([], [], [], [])
        size = len(batch[section.text])
        while first <= row < first + size:
            records.texts.append(batch[section.text][row - first] or "")
            records.labels.append(label)
            records.groups.append((batch[section.group][row - first] or "") if section.group else "")
            records.splits.append(split)
            row, split, label = next(kept, (-1, "", ""))
        first += size
        if records.texts:
            yield records


def _index(section: LabelledTextSection, data: str, index: RecordIndex, notes: Notes) -> tuple[int, int]:
    read = unusable = 0
    where = _labels_of(section, data)
    named = NamedSplits(section.split or "")
    for batch in stream(section, data, notes):
        texts = batch[section.text]
        labels = [label or None for label in tidy_labels(batch[section.label], where)]
        splits = named.of(batch[section.split]) if section.split else [hash_split(text or "") for text in texts]
        index.add(read, texts, labels, splits)
        read += len(texts)
        unusable += sum(
            not text or not text.strip() or label is None for text, label in zip(texts, labels, strict=True)
        )
    named.check()
    return read, unusable


def _labels_of(section: LabelledTextSection, data: str) -> str:
    return f"--data {data}: column {section.label!r}"


def _fill_train(section: LabelledTextSection, index: RecordIndex, notes: Notes) -> None:
    """Has every class in the train split where a hash decides, and says which classes are not in every split."""
    counts = index.counts()
    if section.split or are_record_names(_whole(counts)):
        return
    for label in [label for label, count in counts.items() if not count["train"]]:
        index.move(label, "train")
    rare = [label for label, count in index.counts().items() if not all(count.values())]
    if rare:
        shown = ", ".join(f"{label!r} ({sum(counts[label].values()):,})" for label in rare[:_MAX_SHOWN])
        more = ", ..." * (len(rare) > _MAX_SHOWN)
        notes.add(f"Warning: too few records to be in every split, so that scores say little of them: {shown}{more}")


def _whole(counts: dict[str, dict[str, int]]) -> dict[str, int]:
    """Records of all splits, by label."""
    return {label: sum(count.values()) for label, count in counts.items()}


def _check(section: LabelledTextSection, data: str, read: int, counts: dict[str, dict[str, int]]) -> None:
    if not read:
        raise UserError(f"--data {data}: holds no records, only a header. Add labelled records")
    if not counts:
        raise UserError(
            f"--data {data}: none of {read} records has both a text in column {section.text!r} and a label in "
            f"column {section.label!r}. Name the right columns with --set data.text=... --set data.label=..."
        )
    if len(counts) == 1:
        raise UserError(
            f"--data {data}: column {section.label!r} holds one class only, {next(iter(counts))!r}. "
            "A classifier needs records of two or more"
        )
    if len(counts) > _MAX_CLASSES:
        raise UserError(
            f"--data {data}: column {section.label!r} holds {len(counts)} different values, too many for "
            f"classes (at most {_MAX_CLASSES}). Name the label's column with --set data.label=..."
        )
    if not section.split and are_record_names(_whole(counts)):
        raise UserError(
            f"--data {data}: column {section.label!r} holds {len(counts):,} different values in {read:,} records, such "
            f"as {next(iter(counts))!r}: it seems to name records, not classes. Name the label's column with "
            "--set data.label=..., or add records of each class"
        )
    for split in SPLITS:
        if not any(count[split] for count in counts.values()):
            how = f"column {section.split!r} names none" if section.split else f"{read} records are too few"
            raise UserError(f"--data {data}: no record is in the {split} split: {how}. Add some")
    for label, count in counts.items():
        if not count["train"]:
            raise UserError(
                f"--data {data}: label {label!r} never occurs in the train split. Add records of it, or remove it"
            )


def _check_size(classes: int, features: int) -> None:
    if classes * features > _MAX_WEIGHTS:
        raise UserError(
            f"{classes} classes and {features} words and pairs make a linear path of {classes * features:,} weights "
            f"(at most {_MAX_WEIGHTS:,}). Lower model.ngram_buckets and model.vocabulary_size"
        )


def _count_ngrams(counts: np.ndarray, rows: tf.RaggedTensor, labels: np.ndarray, buckets: int) -> None:
    features = ngram_features(rows.to_tensor(), len(counts) - buckets, buckets).numpy()  # [B, 2T - 1]
    for label in np.unique(labels[labels >= 0]):
        of_class = features[labels == label].ravel()
        counts[:, label] += np.bincount(of_class, minlength=len(counts))
