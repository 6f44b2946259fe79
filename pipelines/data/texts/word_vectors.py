"""Pretrained word vectors in the text formats of fastText (.vec) and GloVe."""

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from unroll.errors import UserError


def read_vectors(file: Path, words: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The vectors of some words; nothing else of the file is kept.

    A line is a word and its numbers; fastText's first line says how many words and numbers follow. A word that the file
    has with capitals only is found by these.

    Args:
        file: its text is UTF-8; a name ending in `.gz` is unpacked on the way.
        words: lower-cased.

    Returns:
        float32 `[words, dimensions]`, 0 for a word that the file lacks; bool `[words]`, whether it has it.

    Raises:
        UserError: no such file, a line that is not a word and its numbers, or none of the words is there.

    Example:
        >>> written = Path("tiny.vec").write_text("2 3\\nfilm 1 2 3\\nactor 4 5 6\\n")
        >>> read_vectors(Path("tiny.vec"), ["film", "plot"])[0].tolist()
        [[1.0, 2.0, 3.0], [0.0, 0.0, 0.0]]
    """
    rows = {word: row for row, word in enumerate(words)}
    found = np.zeros(len(words), np.int8)  # 1: with capitals, 2: as it is
    vectors, size = np.zeros((len(words), 0), np.float32), 0
    try:
        with gzip.open(file, "rt", encoding="utf-8") if file.suffix == ".gz" else file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                cells = line.rstrip().split(" ")
                if number == 1 and len(cells) == 2 and all(cell.isdigit() for cell in cells):
                    continue  # fastText's header
                if not size:
                    size = len(cells) - 1
                    if size < 1:
                        raise UserError(_not_a_vector(file, number, line, "no numbers"))
                    vectors = np.zeros((len(words), size), np.float32)
                word = " ".join(cells[:-size])  # GloVe has words with blanks
                row = rows.get(word, rows.get(word.lower(), -1))
                if not word:
                    raise UserError(_not_a_vector(file, number, line, f"{len(cells) - 1} numbers instead of {size}"))
                rank = 2 if word in rows else 1
                if row < 0 or found[row] >= rank:
                    continue
                try:
                    vectors[row] = np.array(cells[-size:], np.float32)
                except ValueError:
                    raise UserError(_not_a_vector(file, number, line, "what is not a number")) from None
                found[row] = rank
    except UnicodeDecodeError:
        raise UserError(f"model.vectors: {file} is not UTF-8 text. Give fastText's .vec or GloVe's .txt") from None
    except (OSError, EOFError) as error:
        raise UserError(f"model.vectors: {file} cannot be read ({getattr(error, 'strerror', None) or error})") from None
    if not found.any():
        raise UserError(
            f"model.vectors: {file} has none of the {len(words):,} words that the data has. Give another file"
        )
    return vectors, found > 0


def _not_a_vector(file: Path, number: int, line: str, what: str) -> str:
    return (
        f"model.vectors: {file}, line {number} must be a word and its numbers, and has {what}. "
        f"Received: {line.rstrip()[:60]!r}"
    )
