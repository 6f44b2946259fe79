"""Pairs of texts from tables, or from files whose lines belong together: `train.en` and `train.de`."""

import codecs
import glob
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from unroll.errors import UserError
from unroll.monitoring.tables.files.text_source import check_encoding, open_bytes, undecodable, utf8_blocks
from unroll.monitoring.tables.kinds import SUFFIXES, suffix
from unroll.monitoring.tables.notes import Notes
from unroll.pipelines.data.records import check_exists, find_files, folder_of, read_section
from unroll.pipelines.data.splits import named_split
from unroll.pipelines.tasks.translation.config import PairSection
from unroll.serving.files.regular_files import check_inside, check_named


class Pair(NamedTuple):
    """Two texts.

    Args:
        source: to be translated; empty where it is missing.
        target: its translation.
        split: that a column or the files' name gives it, as it stands there; None where neither does.
        group: of the column that is named; else empty.
    """

    source: str
    target: str
    split: str | None = None
    group: str = ""

    @property
    def sides(self) -> tuple[str, str]:
        """Source and target."""
        return self.source, self.target


def pair_files(data: str) -> list[Path]:
    """The files that `data` names: tables, or any others, whose lines may belong together.

    Raises:
        UserError: there are none, or both.
    """
    check_exists(data)
    folder = Path(data) if Path(data).is_dir() else folder_of(data)
    if Path(data).is_file():
        check_named(Path(data), "--data")
        files = [Path(data)]
    else:
        found = Path(data).iterdir() if Path(data).is_dir() else map(Path, glob.glob(data))
        files = sorted(file for file in found if file.is_file() and not file.name.startswith("."))
        for file in files:
            check_inside(file, folder, "--data")
    tables = [file for file in files if suffix(file) in SUFFIXES]
    if tables and len(tables) < len(files):
        other = next(file for file in files if suffix(file) not in SUFFIXES)
        raise UserError(
            f"--data {data}: holds tables, such as {tables[0].name}, and other files, such as {other.name}. Name the "
            f"files, as in --data '{folder / ('*' + tables[0].suffix)}'"
        )
    return files if files and not tables else find_files(data)


def all_files(section: PairSection, data: str) -> list[Path]:
    """Those of `pair_files`, and those that belong to them."""
    files = pair_files(data)
    return files if are_tables(files) else list(itertools.chain(*_aligned(section, data, files)))


def are_tables(files: Sequence[Path]) -> bool:
    """Whether each of their rows is a pair."""
    return suffix(files[0]) in SUFFIXES


def read_pairs(section: PairSection, data: str, notes: Notes, *, grouped: bool = True) -> Iterator[Pair]:
    """The pairs, in their order.

    Args:
        section: names the columns, or the endings of the files' names.
        data: a table, a file of sources, or a folder or glob of either.
        notes: where to say what was found out by looking at files.
        grouped: whether tables must have the column of groups.

    Raises:
        UserError: a file that is not in the encoding that is named, a table without the columns, a file without another
            beside it, or one of another number of lines.

    Example:
        >>> written = Path("two.en").write_text("One.\\nTwo.\\n"), Path("two.de").write_text("Eins.\\nZwei.\\n")
        >>> [pair.target for pair in read_pairs(PairSection(source="en", target="de"), "two.en", Notes())]
        ['Eins.', 'Zwei.']
    """
    files = pair_files(data)
    if are_tables(files):
        columns = [section.source, section.target, section.split, section.group]
        optional = [] if grouped else [section.group]
        for batch in read_section(section, files, columns, optional=optional, notes=notes):
            rows = len(batch[section.source])
            splits = batch[section.split] if section.split else [None] * rows
            groups = batch[section.group] if section.group else [None] * rows
            for source, target, split, group in zip(
                batch[section.source], batch[section.target], splits, groups, strict=True
            ):
                yield Pair(source or "", target or "", (split or "") if section.split else None, group or "")
        return
    check_encoding(section.encoding)
    aligned = _aligned(section, data, files)
    splits = _splits_of(aligned, notes)
    for (source_file, target_file), split in zip(aligned, splits, strict=True):
        count = -1
        sources, targets = _lines(source_file, section.encoding), _lines(target_file, section.encoding)
        for count, (source, target) in enumerate(itertools.zip_longest(sources, targets)):
            if source is None or target is None:
                shorter, longer = (source_file, target_file) if source is None else (target_file, source_file)
                raise UserError(
                    f"{longer}: has more lines than the {count:,} of {shorter.name}, so that they do not belong "
                    "together line by line. Give files of as many lines"
                )
            yield Pair(source, target, split, _stem(source_file) if section.group else "")
        if count < 0:
            raise UserError(f"{source_file}: is empty. Leave it out")


def _aligned(section: PairSection, data: str, files: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Files of sources, each with that of its targets."""
    found = []
    for file in files:
        if _ending(file) == section.source:
            names = [f"{_stem(file)}.{section.target}{rest}" for rest in ("", ".gz")]
            others = [file.with_name(name) for name in names if file.with_name(name).is_file()]
            if not others:
                raise UserError(
                    f"{file}: no file {names[0]} stands beside it, with its translations line by line"
                    f"{_advice(section, files)}"
                )
            found.append((file, others[0]))
    if not found:
        raise UserError(
            f"--data {data}: is neither a table ({', '.join(SUFFIXES)}) nor a file of source texts, a line each, whose "
            f"name says so by its ending, .{section.source}{_advice(section, files)}"
        )
    return found


def _advice(section: PairSection, files: Sequence[Path]) -> str:
    beside = {one for file in files for one in file.parent.iterdir() if one.is_file() and suffix(one) not in SUFFIXES}
    endings = sorted({_ending(one) for one in beside if _stem(one) in map(_stem, files)} - {""})
    first = _ending(files[0])
    ranked = sorted(endings, key=lambda one: (one != section.source, one != first))
    if len(endings) < 2:
        return ". Give a table with both, or put the other file beside it: train.en, train.de"
    return f". Say what their names end in: --set data.source={ranked[0]} --set data.target={ranked[1]}"


def _splits_of(aligned: Sequence[tuple[Path, Path]], notes: Notes) -> list[str | None]:
    """What names of files say, where they tell splits apart."""
    named: list[str | None] = []
    for file, _ in aligned:
        try:
            named.append(named_split(file.name.replace("-", "_").replace(".", "_")))
        except UserError:
            named.append(None)
    if len(set(named) - {None}) < 2:
        return [None] * len(named)
    told = ", ".join(f"{file.name}: {split or 'train'}" for (file, _), split in zip(aligned, named, strict=True))
    notes.add(f"The splits are those that the files' names say: {told}.")
    return [split or "train" for split in named]


def _ending(file: Path) -> str:
    return (Path(file.stem) if file.suffix == ".gz" else file).suffix[1:]


def _stem(file: Path) -> str:
    return (Path(file.stem) if file.suffix == ".gz" else file).stem


def _lines(file: Path, encoding: str) -> Iterator[str]:
    """Lines by their line feeds alone: other signs that end lines somewhere stand within texts."""
    decoder, rest = codecs.getincrementaldecoder("utf-8")(), ""
    with open_bytes(file) as stream:
        try:
            for block in utf8_blocks(file, stream, encoding):
                *whole, rest = (rest + decoder.decode(block)).split("\n")
                yield from whole
            rest += decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            raise undecodable(file, encoding) from None
    if rest:
        yield rest
