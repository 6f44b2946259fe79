"""Tables of records as a prepared data set: a Parquet file a split, the vocabulary, and what was learnt of the columns.

The files are read in bounded memory; `read_split` then holds one split's cells at once.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import tensorflow as tf

from unroll.errors import UserError
from unroll.models.text.tokenizer import RESERVED, tokenize
from unroll.monitoring.tables.notes import Notes
from unroll.monitoring.tables.number_format import NumberFormat
from unroll.monitoring.tables.sentinels import masked, repeated_extremes
from unroll.pipelines.data.columns import Column, NumberColumn, WordsColumn
from unroll.pipelines.data.dataset_info import write_info
from unroll.pipelines.data.labels import are_record_names
from unroll.pipelines.data.record_numbers import Formats, as_plain, find_formats
from unroll.pipelines.data.records import Batch, find_files, read_section
from unroll.pipelines.data.sections import RecordSection, no_groups
from unroll.pipelines.data.splits import SPLITS, NamedSplits, hash_split
from unroll.pipelines.data.targets import Target
from unroll.pipelines.data.vocabulary import count_vocabulary, write_vocabulary
from unroll.pipelines.training.progress import Progress

GROUP = "group"
"""Column of a split's groups, beside those of the keys; empty where none is named."""
_BATCH = 1024
_MAX_SHOWN = 10
Table = dict[str, np.ndarray]
Columns = Mapping[str, Column]


def prepare(section: RecordSection, columns: Columns, data: str, directory: Path, progress: Progress) -> None:
    """Writes `<split>.parquet`, `vocabulary.txt` where there are texts, and `dataset_info.json`.

    Without a column of splits, the MD5 of a record's inputs decides, so that equal records stay together.

    Args:
        section: names the columns.
        columns: their kinds, by key.
        data: file, folder or glob.
        directory: an empty folder.
        progress: where to show it.

    Raises:
        UserError: data that cannot be trained on.
    """
    read, counts = 0, dict.fromkeys(SPLITS, 0)
    with progress.stage("reading records") as stage, ExitStack() as stack:
        numbers = {key: pa.float32() for key, column in columns.items() if isinstance(column, NumberColumn)}
        schema = pa.schema({**dict.fromkeys([*columns, GROUP], pa.binary()), **numbers})
        writers = {split: stack.enter_context(pq.ParquetWriter(_file(directory, split), schema)) for split in SPLITS}
        notes = Notes()
        formats = find_formats(section, columns, data, notes)
        named = NamedSplits(section.split or "")
        for batch in _stream(section, columns, data, notes):
            table, rows = _parsed(section, columns, batch, formats)
            read += len(batch[next(iter(batch))])
            if section.split:
                splits = np.array(named.of(batch[section.split][row] for row in rows))
            else:
                splits = np.array(_splits(columns, table))
            for split in SPLITS:
                chosen = _take(table, np.flatnonzero(splits == split))
                counts[split] += len(chosen[GROUP])
                writers[split].write_table(pa.table(chosen, schema))
        named.check()
        stage.say(f"{read:,} records")
    _check(section, columns, data, read, counts)
    renamed = _settle_names(section, columns, data, directory, notes)
    counts = {split: pq.read_metadata(_file(directory, split)).num_rows for split in SPLITS}
    _check(section, columns, data, read, counts)
    dataset_info: dict[str, Any] = {"read": read, "counts": counts, "columns": {}}
    dataset_info["formats"] = {key: written.info() for key, written in formats.items()}
    with progress.stage("learning the columns"):
        vocabulary = _vocabulary(section, columns, directory)
        for key, column in columns.items():
            dataset_info["columns"][key] = column.learn(key, _cells(directory, "train", key))
            if isinstance(column, WordsColumn):
                dataset_info["columns"][key] = {"vocabulary": vocabulary}
            if renamed.get(key):
                dataset_info["columns"][key]["renamed"] = renamed[key]
            if isinstance(column, Target):
                for split in SPLITS[1:]:
                    for cells in _cells(directory, split, key):
                        column.check(dataset_info["columns"][key], cells)
            if isinstance(column, NumberColumn):
                known = np.concatenate(list(_cells(directory, "train", key)))
                for sentinel in repeated_extremes(known):
                    notes.add(sentinel.hint(getattr(section, key)))
    dataset_info["notes"] = list(notes)
    write_info(directory, dataset_info)


def read_split(directory: Path, split: str) -> Table:
    """Parsed cells by key, and the groups."""
    table = pq.read_table(_file(directory, split))
    return {name: _as_numpy(table.column(name)) for name in table.column_names}


def further(
    section: RecordSection, columns: Columns, dataset_info: Mapping[str, Any], data: str, progress: Progress
) -> Iterator[Table]:
    """Records of other data, as `read_split` has them, in batches; their numbers are written as the train split's, and
    they need no column of groups."""
    formats = {key: NumberFormat(**written) for key, written in dataset_info.get("formats", {}).items()}
    section, notes, grouped = section.model_copy(update={"split": None}), Notes(), False
    for batch in _stream(section, columns, data, notes, optional=[section.group]):
        table, rows = _parsed(section, columns, batch, formats)
        grouped |= any(table[GROUP])
        for key, column in columns.items():
            if isinstance(column, Target):
                table[key] = column.of_further(dataset_info["columns"][key], table[key])
        if len(rows):
            yield table
    for line in [*notes, *([no_groups(section.group)] if section.group and not grouped else [])]:
        progress.line(line)


def batches(table: Table, size: int) -> Iterator[Table]:
    """A table in batches of so many records."""
    for start in range(0, len(table[GROUP]), size):
        yield {key: cells[start : start + size] for key, cells in table.items()}


def _stream(
    section: RecordSection, columns: Columns, data: str, notes: Notes, optional: Sequence[str | None] = ()
) -> Iterator[Batch]:
    named = [getattr(section, key) for key in columns]
    read = [*named, section.split, section.group]
    return read_section(section, find_files(data), read, optional=optional, notes=notes)


def _parsed(section: RecordSection, columns: Columns, batch: Batch, formats: Formats) -> tuple[Table, np.ndarray]:
    """Cells of the records that lack nothing that is needed, and the numbers of these in the batch."""
    table = {}
    for key, column in columns.items():
        cells = batch[getattr(section, key)]
        if key in formats:
            cells = as_plain(cells, formats[key], section.missing)
        table[key] = column.parse(key, cells)
        if isinstance(column, NumberColumn):
            table[key][masked(table[key], section.missing)] = np.nan
    count = len(next(iter(table.values())))
    table[GROUP] = Column().parse(GROUP, batch[section.group] if section.group else [""] * count)
    usable = np.ones(count, bool)
    for key, column in columns.items():
        if column.needed:
            usable &= _present(table[key])
    rows = np.flatnonzero(usable)
    return _take(table, rows), rows


def _present(cells: np.ndarray) -> np.ndarray:
    return np.isfinite(cells) if cells.dtype.kind == "f" else np.array([bool(cell.strip()) for cell in cells], bool)


def _splits(columns: Columns, table: Table) -> list[str]:
    inputs = [table[key] for key, column in columns.items() if not isinstance(column, Target)]
    return [hash_split("\x1f".join(map(_text, record))) for record in zip(*inputs, strict=True)]


def _text(cell: bytes | float) -> str:
    return cell.decode() if isinstance(cell, bytes) else str(cell)


def _check(section: RecordSection, columns: Columns, data: str, read: int, counts: Mapping[str, int]) -> None:
    if not read:
        raise UserError(f"--data {data}: holds no records, only a header. Add some")
    if not any(counts.values()):
        needed = [key for key, column in columns.items() if column.needed]
        named = " and ".join(f"{getattr(section, key)!r}" for key in needed)
        remedy = " ".join(f"--set data.{key}=..." for key in needed)
        raise UserError(f"--data {data}: none of {read} records has a value in {named}. Name the right ones: {remedy}")
    for split, count in counts.items():
        if not count:
            how = f"column {section.split!r} names none" if section.split else f"{read} records are too few"
            raise UserError(f"--data {data}: no record is in the {split} split: {how}. Add some")


def _settle_names(
    section: RecordSection, columns: Columns, data: str, directory: Path, notes: Notes
) -> dict[str, dict[str, str]]:
    """Calls names that are one the same, and has every class in the train split where a hash decides.

    Returns:
        By key, what cells are called that were written otherwise.
    """
    renamed: dict[str, dict[str, str]] = {}
    moved: dict[str, list[bytes]] = {}
    for key in (key for key, column in columns.items() if column.named):
        counts = {split: Counter(name for part in _cells(directory, split, key) for name in part) for split in SPLITS}
        whole = {name.decode(): count for name, count in sum(counts.values(), Counter()).items() if name}
        names = columns[key].names(getattr(section, key), whole, section.merge_case, notes)
        renamed[key] = names
        if isinstance(columns[key], Target) and not section.split:
            if are_record_names(whole):
                raise UserError(
                    f"--data {data}: column {getattr(section, key)!r} holds {len(whole):,} different values in "
                    f"{sum(whole.values()):,} records, such as {next(iter(whole))!r}: it seems to name records, not "
                    f"classes. Name the label's column with --set data.{key}=COLUMN, or add records of each class"
                )
            called = {split: {_name(names, label) for label in counts[split]} for split in SPLITS}
            moved[key] = sorted((called["validation"] | called["test"]) - called["train"])
            if moved[key]:
                shown = ", ".join(repr(label.decode()) for label in moved[key][:_MAX_SHOWN])
                notes.add(
                    f"Warning: too few records to be in every split, so that scores say little of them: {shown}"
                    f"{', ...' * (len(moved[key]) > _MAX_SHOWN)}. They are in the train split"
                )
    if any([*renamed.values(), *moved.values()]):
        _rewrite(directory, renamed, moved)
    return renamed


def _rewrite(directory: Path, renamed: Mapping[str, Mapping[str, str]], moved: Mapping[str, list[bytes]]) -> None:
    """The splits with cells renamed, and with records of some cells moved to the train split."""
    tables = {split: pq.read_table(_file(directory, split)) for split in SPLITS}
    for split, table in tables.items():
        for key, names in renamed.items():
            cells = [_name(names, cell) for cell in _as_numpy(table.column(key))]
            table = table.set_column(table.column_names.index(key), key, pa.array(cells, pa.binary()))
        tables[split] = table
    for key, cells in moved.items():
        for split in SPLITS[1:]:
            chosen = pc.is_in(tables[split].column(key), pa.array(cells, pa.binary()))
            tables["train"] = pa.concat_tables([tables["train"], tables[split].filter(chosen)])
            tables[split] = tables[split].filter(pc.invert(chosen))
    for split, table in tables.items():
        pq.write_table(table, _file(directory, split))


def _name(names: Mapping[str, str], cell: bytes) -> bytes:
    name = cell.decode()
    return names.get(name, name).encode()


def _vocabulary(section: RecordSection, columns: Columns, directory: Path) -> int:
    """Writes the words of all columns of text; how many ids they take."""
    texts = [key for key, column in columns.items() if isinstance(column, WordsColumn)]
    if not texts:
        return 0
    tokens = (
        tokenize(tf.constant(cells), section.max_tokens).flat_values.numpy().tolist()
        for key in texts
        for cells in _cells(directory, "train", key)
    )
    words = count_vocabulary(tokens, section.vocabulary_size, section.min_count)
    if not words:
        named = ", ".join(repr(getattr(section, key)) for key in texts)
        raise UserError(
            f"no word of column {named} occurs {section.min_count} times in the train split. Lower data.min_count, or "
            f"name another column with --set data.{texts[0]}=COLUMN"
        )
    write_vocabulary(directory, words)
    return len(words) + RESERVED


def _cells(directory: Path, split: str, key: str) -> Iterator[np.ndarray]:
    with pq.ParquetFile(_file(directory, split)) as file:
        for batch in file.iter_batches(_BATCH, columns=[key]):
            if batch.num_rows:
                yield _as_numpy(batch.column(key))


def _take(table: Table, rows: np.ndarray) -> Table:
    return {key: cells[rows] for key, cells in table.items()}


def _file(directory: Path, split: str) -> Path:
    return directory / f"{split}.parquet"


def _as_numpy(cells: pa.Array | pa.ChunkedArray) -> np.ndarray:
    return cells.to_numpy(zero_copy_only=False)
