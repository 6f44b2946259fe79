"""A corpus on disk: its text in one file, cut into documents and splits."""

import codecs
import hashlib
import mmap
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from unroll.errors import UserError
from unroll.monitoring.tables.notes import Notes
from unroll.pipelines.data.splits import SPLITS, NamedSplits, digest_split
from unroll.pipelines.tasks.language.config import CorpusSection
from unroll.pipelines.tasks.language.corpus.files import read_documents

RUNNING = [0.8, 0.1, 0.1]
"""Shares of a running text where the configuration names none."""
_TEXT, _INDEX = "corpus.txt", "corpus.npz"
_BLOCK = 1 << 22  # bytes
_WIDEST = 4  # bytes of a character


class Window(NamedTuple):
    """A stretch of a document, to be scored.

    Args:
        text: of it.
        context: what stands before it in the document, to be read but not scored.
        piece: number of its piece.
    """

    text: str
    context: str
    piece: int


@dataclass(frozen=True)
class Corpus:
    """Where the documents of a corpus begin and end in its text; of a running text, its splits.

    Args:
        directory: holds the text as UTF-8.
        bounds: int64 `[pieces, 2]`, bytes of each piece's begin and end.
        characters: int64 `[pieces]`.
        splits: int8 `[pieces]`, by number in `SPLITS`.
        running: whether the pieces are one text, in which nothing begins or ends.
        copies: documents outside of the train split of which a copy is in it.
    """

    directory: Path
    bounds: np.ndarray
    characters: np.ndarray
    splits: np.ndarray
    running: bool
    copies: int = 0

    @classmethod
    def write(cls, section: CorpusSection, files: Sequence[Path], directory: Path, notes: Notes) -> "Corpus":
        """Reads documents into a corpus; those without a letter or sign are left out.

        Args:
            section, files, notes: as of `read_documents`.
            directory: where it is written.

        Raises:
            UserError: there is no text.
        """
        ends, characters, digests, splits = array("q", [0]), array("q"), array("Q"), array("b")
        named = NamedSplits(section.split) if section.split else None
        empty = size = 0
        with (directory / _TEXT).open("wb") as stream:
            count, digest, blank = 0, hashlib.md5(usedforsecurity=False), True
            for part in read_documents(section, files, notes):
                encoded = part.text.encode("utf-8", "replace")
                stream.write(encoded)
                digest.update(encoded)
                size, count, blank = size + len(encoded), count + len(part.text), blank and not part.text.strip()
                if not part.ends:
                    continue
                if blank:
                    size, empty = ends[-1], empty + 1
                    stream.seek(size)
                else:
                    ends.append(size)
                    characters.append(count)
                    digests.append(int.from_bytes(digest.digest()[:8]))
                    (split,) = named.of([part.split]) if named else (digest_split(digest.digest()),)
                    splits.append(SPLITS.index(split))
                count, digest, blank = 0, hashlib.md5(usedforsecurity=False), True
            stream.truncate(size)
        if named:
            named.check()
        if not characters:
            raise UserError(f"{files[0]}: holds no text. Name a file that does")
        if empty:
            notes.add(f"Documents without text, left out: {empty:,}.")
        bounds = np.stack([np.array(ends[:-1]), np.array(ends[1:])], axis=1)
        if len(characters) == 1:
            return _running(directory, size, characters[0], section.split_fractions or RUNNING)
        return _documents(section, directory, bounds, np.array(characters), np.array(splits), np.array(digests))

    def save(self) -> None:
        """Writes what `load` reads."""
        fields = {key: value for key, value in vars(self).items() if key != "directory"}
        np.savez(self.directory / _INDEX, **fields)

    @classmethod
    def load(cls, directory: Path) -> "Corpus":
        """What `save` wrote."""
        with np.load(directory / _INDEX) as stored:
            fields = {key: stored[key] for key in stored.files}
        return cls(directory, **{key: one if one.ndim else one.item() for key, one in fields.items()})

    def pieces(self, split: str) -> np.ndarray:
        """Numbers of the pieces of a split."""
        return np.flatnonzero(self.splits == SPLITS.index(split))

    def size(self, split: str) -> int:
        """Characters of a split."""
        return int(self.characters[self.pieces(split)].sum())

    def texts(self, pieces: Sequence[int] | np.ndarray) -> Iterator[tuple[int, str]]:
        """Parts of the texts of pieces, of a few megabytes at most, each with the piece's number."""
        with self._mapped() as text:
            for piece in pieces:
                decoder = codecs.getincrementaldecoder("utf-8")()
                begin, end = (int(one) for one in self.bounds[piece])
                for start in range(begin, end, _BLOCK):
                    yield int(piece), decoder.decode(text[start : min(start + _BLOCK, end)])

    def windows(self, pieces: Sequence[int] | np.ndarray, size: int, context: int) -> Iterator[Window]:
        """Pieces, cut into stretches of about equal size, with what stands before each.

        Args:
            pieces: numbers of the pieces.
            size: characters of a stretch at most: it ends before a blank where there is one in its second half, so
                that no word is cut.
            context: characters before it at most, in its document.
        """
        last, before, held = -1, "", ""

        def cut(text: str, rest: bool) -> Iterator[Window]:
            nonlocal before, held
            held += text
            while len(held) > size or (rest and held):
                blank = held.rfind(" ", size // 2, size + 1)
                end = blank if len(held) > size and blank > 0 else size
                yield Window(held[:end], before, last)
                before, held = (before + held[:end])[-context:] if context else "", held[end:]

        for piece, text in self.texts(pieces):
            if piece != last:
                yield from cut("", True)
                last, before = piece, self._before(piece, context)
            yield from cut(text, False)
        yield from cut("", True)

    def _before(self, piece: int, characters: int) -> str:
        begin = int(self.bounds[piece, 0])
        if not self.running or not characters or not begin:
            return ""
        with self._mapped() as text:
            return text[max(0, begin - _WIDEST * characters) : begin].decode("utf-8", "ignore")[-characters:]

    def _mapped(self) -> mmap.mmap:
        with (self.directory / _TEXT).open("rb") as stream:
            return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)


def _running(directory: Path, size: int, characters: int, fractions: Sequence[float]) -> Corpus:
    """One text, cut where so many of its characters are read."""
    shares = np.cumsum(fractions)[:2]
    counts = [0, *(int(round(float(share), 9) * characters) for share in shares), characters]
    whole = Corpus(directory, np.array([[0, size]]), np.array([characters]), np.zeros(1, np.int8), running=True)
    offsets, read, byte = [0], 0, 0
    for _, text in whole.texts([0]):
        while len(offsets) < 3 and read + len(text) >= counts[len(offsets)]:
            offsets.append(byte + len(text[: counts[len(offsets)] - read].encode()))
        read, byte = read + len(text), byte + len(text.encode())
    bounds = np.stack([np.array(offsets), np.array([*offsets[1:], size])], axis=1)
    return Corpus(directory, bounds, np.diff(counts), np.arange(3, dtype=np.int8), running=True)


def _documents(
    section: CorpusSection,
    directory: Path,
    bounds: np.ndarray,
    characters: np.ndarray,
    splits: np.ndarray,
    digests: np.ndarray,
) -> Corpus:
    if section.split_fractions is not None and not section.split:
        before = np.cumsum(characters) - characters
        shares = np.round(np.cumsum(section.split_fractions)[:2], 9)
        splits = np.searchsorted(shares * characters.sum(), before, side="right").astype(np.int8)
    copies = int(np.isin(digests[splits > 0], digests[splits == 0]).sum())
    return Corpus(directory, bounds, characters, splits, False, copies)
