"""Texts in normal form by TensorFlow's core operations: HTML's entities, look-alikes, Unicode's NFC and NFKC.

Stock TensorFlow Serving has no tensorflow_text. So Unicode's algorithm (UAX #15: decompose, order the marks, compose)
is done here on code points, with tables that Python's `unicodedata` and `html` fill when a graph is traced. Texts that
need none of it are found by a regular expression and pass through.
"""

import functools
import html.entities
import sys
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import tensorflow as tf

from unroll.models.text.alike import FOLD

Form = Literal["NFC", "NFKC"]
_ENTITY = "(&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});)"
_ROUNDS = 2  # pages that were escaped twice say &amp;#39;
_HASHES = 2**31 - 1
_REPLACEMENT = 0xFFFD
_L, _V, _T, _S = 0x1100, 0x1161, 0x11A7, 0xAC00  # Hangul: leading, vowel, before trailing, syllables; Unicode 3.12
_LS, _VS, _TS = 19, 21, 28
_SECOND = 256


@tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
def normal_form(texts: tf.Tensor) -> tf.Tensor:
    """Texts in normal form: what is the same to a reader becomes the same.

    Entities of HTML become their characters (twice, for what was escaped twice), the rules of
    `unroll.models.text.alike` apply, and NFKC ends it.

    Args:
        texts: string `[batch]`, valid UTF-8 without NUL.

    Returns:
        string `[batch]`.

    Example:
        >>> normal_form(tf.constant(["cafe\u0301\u00a0&amp; th\u00e9", "\uff11"])).numpy()[1]
        b'1'
    """
    for _ in range(_ROUNDS):
        free = tf.reduce_all(tf.strings.regex_full_match(texts, "[^&]*"))
        texts = tf.cond(free, lambda texts=texts: texts, lambda texts=texts: _unescaped(texts))
    for pattern, replacement in FOLD:
        texts = tf.strings.regex_replace(texts, pattern, replacement)
    return unicode_form(texts, "NFKC")


def unicode_form(texts: tf.Tensor, form: Form) -> tf.Tensor:
    """Texts in one of Unicode's composed forms.

    Args:
        texts: string `[batch]`, valid UTF-8.
        form: `NFC` or `NFKC`.

    Returns:
        string `[batch]`.
    """
    tables = _tables(form)
    settled = tf.reduce_all(tf.strings.regex_full_match(texts, tables.settled))
    return tf.cond(settled, lambda: texts, lambda: _composed(texts, tables))


@tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
def _unescaped(texts: tf.Tensor) -> tf.Tensor:
    """Entities are cut out, looked up and put back; an unknown name stays."""
    marked = tf.strings.regex_replace(texts, _ENTITY, "\0\\1\0")
    pieces = tf.raw_ops.StringSplitV2(input=marked, sep="\0")
    flat = pieces.values  # [P]
    names, characters, hashes = _entities()
    place = tf.maximum(_upper(tf.constant(hashes), tf.strings.to_hash_bucket_fast(flat, _HASHES)) - 1, 0)
    named = tf.equal(tf.gather(tf.constant(names), place), flat)
    flat = tf.where(named, tf.gather(tf.constant(characters), place), flat)

    decimal = tf.strings.regex_full_match(flat, "&#[0-9]{1,7};")
    digits = tf.strings.regex_replace(flat, "[&#;]", "")
    number = tf.strings.to_number(tf.where(decimal, digits, "0"), tf.int32)
    hexadecimal = tf.strings.regex_full_match(flat, "&#[xX][0-9a-fA-F]{1,6};")
    digits = tf.strings.regex_replace(flat, "[&#xX;]", "")
    digits = tf.strings.join(["000000", tf.where(hexadecimal, tf.strings.lower(digits), "0")])
    digits = tf.io.decode_raw(tf.strings.substr(digits, -6, 6), tf.uint8)  # [P, 6]
    digits = tf.cast(digits, tf.int32)
    digits = tf.where(digits < ord("a"), digits - ord("0"), digits - ord("a") + 10)
    number = tf.where(hexadecimal, tf.reduce_sum(digits * [16**5, 16**4, 16**3, 16**2, 16, 1], axis=1), number)
    # 128 to 159 are Windows' characters, as browsers have it
    windows = tf.gather(tf.constant(_WINDOWS), tf.clip_by_value(number - 0x80, 0, 31))
    number = tf.where((number >= 0x80) & (number < 0xA0), windows, number)
    surrogate = (number >= 0xD800) & (number < 0xE000)
    number = tf.where((number == 0) | surrogate | (number > sys.maxunicode), _REPLACEMENT, number)
    flat = tf.where(decimal | hexadecimal, _encoded(number, tf.range(tf.size(number) + 1)), flat)
    rows = tf.cast(pieces.indices[:, 0], tf.int32)
    return tf.strings.unsorted_segment_join(flat, rows, tf.size(texts))


_WINDOWS = np.array([ord(bytes([code]).decode("cp1252", "replace")) for code in range(0x80, 0xA0)], np.int32)


@functools.cache
def _entities() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Entities and their characters, in the order of the entities' hashes, and these."""
    known = {f"&{name}": text for name, text in html.entities.html5.items() if name.endswith(";")}
    with tf.init_scope():
        hashes = tf.strings.to_hash_bucket_fast(tf.constant(list(known)), _HASHES).numpy()
    assert len(np.unique(hashes)) == len(hashes)
    order = np.argsort(hashes)
    names = np.array([name.encode() for name in known], object)[order]
    return names, np.array([text.encode() for text in known.values()], object)[order], hashes[order]


class _Paged:
    """A number for every code point, 0 for most, in pages of 256, of which equal ones are kept once."""

    def __init__(self, values: Mapping[int, int]):
        table = np.zeros(sys.maxunicode + 1, np.int16)
        table[list(values)] = list(values.values())
        self._pages, numbers = np.unique(table.reshape(-1, 256), axis=0, return_inverse=True)
        self._numbers = numbers.reshape(-1).astype(np.int32)

    def __call__(self, codes: tf.Tensor) -> tf.Tensor:
        page = tf.gather(tf.constant(self._numbers), codes // 256)
        return tf.cast(tf.gather(tf.constant(self._pages.reshape(-1)), page * 256 + codes % 256), tf.int32)


@dataclass(frozen=True)
class _Tables:
    """What a Unicode form does.

    Args:
        settled: pattern of texts that are in the form for sure.
        entry: of a code point that is decomposed, its number from 1 on in `starts`, int32 `[D + 2]`, which says where
            in `parts` its decomposition is; 0 stands for the code point itself.
        mark: canonical combining class, and `_SECOND` more for what may compose with something before it.
        pairs: int64 `[P]`, first << 21 | second, that compose, sorted; `composites` are what they compose to.
    """

    settled: str
    entry: _Paged
    starts: np.ndarray
    parts: np.ndarray
    mark: _Paged
    pairs: np.ndarray
    composites: np.ndarray


@functools.cache
def _tables(form: Form) -> _Tables:
    decompose: Literal["NFD", "NFKD"] = "NFD" if form == "NFC" else "NFKD"
    decomposed: dict[int, list[int]] = {}
    pairs: dict[int, int] = {}
    marks = dict.fromkeys([*range(_V, _V + _VS), *range(_T + 1, _T + _TS)], _SECOND)
    unsettled = set(marks)
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        if _S <= code < _S + _LS * _VS * _TS or 0xD800 <= code < 0xE000:
            continue  # syllables compose by arithmetic, and stay composed
        if unicodedata.combining(character):
            marks[code] = marks.get(code, 0) + unicodedata.combining(character)
            unsettled.add(code)
        if (parts := unicodedata.normalize(decompose, character)) != character:
            decomposed[code] = [ord(part) for part in parts]
        if unicodedata.normalize(form, character) != character:
            unsettled.add(code)
        mapping = unicodedata.decomposition(character).split()
        composed = unicodedata.normalize("NFC", character) == character  # else excluded from composition
        if len(mapping) == 2 and mapping[0][0] != "<" and composed:
            first, second = (int(part, 16) for part in mapping)
            pairs[first << 21 | second] = code
            unsettled.add(second)
            marks[second] = marks.get(second, 0) | _SECOND
    order = sorted(pairs)
    return _Tables(
        f"[^{_ranges(sorted(unsettled))}]*",
        _Paged({code: number for number, code in enumerate(decomposed, 1)}),
        np.cumsum([0, 1, *map(len, decomposed.values())], dtype=np.int32),
        np.array([0, *(part for parts in decomposed.values() for part in parts)], np.int32),
        _Paged(marks),
        np.array(order, np.int64),
        np.array([pairs[pair] for pair in order], np.int32),
    )


def _ranges(codes: list[int]) -> str:
    """Of a character class."""
    runs = np.split(np.array(codes), np.flatnonzero(np.diff(codes) > 1) + 1)
    return "".join(f"\\x{{{run[0]:x}}}-\\x{{{run[-1]:x}}}" for run in runs)


def _composed(texts: tf.Tensor, tables: _Tables) -> tf.Tensor:
    """Of few operations: what a graph costs to load, and a `tf.data` pipeline to begin, goes by their number."""
    row_splits, codes = tf.raw_ops.UnicodeDecode(input=texts, input_encoding="UTF-8", Tsplits=tf.int32)
    rows = _upper(row_splits, tf.range(tf.size(codes))) - 1
    codes, rows = _decomposed(codes, rows, tables)
    marks = tables.mark(codes)
    classes, second = marks % _SECOND, marks >= _SECOND
    unordered = tf.reduce_any((classes > 0) & (_before(classes, 0) > classes))

    def order():
        """Marks that follow each other, by their classes; those of a class keep their order."""
        begins = tf.equal(classes, 0) | tf.not_equal(rows, _before(rows, -1))
        key = tf.cumsum(tf.cast(begins, tf.int32)) * 256 + classes
        by_class = tf.math.top_k(-key, tf.size(key)).indices  # of equal ones the first comes first
        return tuple(tf.gather(values, by_class) for values in (codes, classes, second))

    codes, classes, second = tf.cond(unordered, order, lambda: (codes, classes, second))

    def step(codes, classes, second, rows, going):
        head, composite, taken = _compositions(codes, classes, second, rows, tables)
        codes = tf.tensor_scatter_nd_update(codes, head[:, None], composite)
        left = _where(~tf.scatter_nd(taken[:, None], tf.ones_like(taken, tf.bool), tf.shape(codes)))
        codes, classes, second, rows = (tf.gather(values, left) for values in (codes, classes, second, rows))
        return codes, classes, second, rows, (tf.size(taken) > 0) & tf.reduce_any(second)

    free = tf.TensorShape([None])
    codes, _, _, rows, _ = tf.while_loop(
        lambda codes, classes, second, rows, going: going,
        step,
        (codes, classes, second, rows, tf.reduce_any(second)),
        shape_invariants=(free, free, free, free, tf.TensorShape([])),
    )
    return _encoded(codes, _upper(rows, tf.range(-1, tf.size(texts))))


def _decomposed(codes: tf.Tensor, rows: tf.Tensor, tables: _Tables) -> tuple[tf.Tensor, tf.Tensor]:
    entry = tables.entry(codes)
    starts = tf.constant(tables.starts)
    start = tf.gather(starts, entry)
    ends = tf.cumsum(tf.gather(starts, entry + 1) - start)  # of every code point's decomposition
    position = tf.range(ends[-1])
    source = _upper(ends, position)
    begin = tf.gather(start - _before(ends, 0), source)
    part = tf.gather(tf.constant(tables.parts), begin + position)
    return tf.where(tf.equal(part, 0), tf.gather(codes, source), part), tf.gather(rows, source)


def _compositions(codes, classes, second, rows, tables):
    """What composes now: positions of heads, what they become, and positions of what is taken into them."""
    position = _where(second)  # of what may be taken [S]
    starter = tf.equal(classes, 0)
    starters = tf.concat([_where(starter), [0]], axis=0)
    before = tf.gather(tf.cumsum(tf.cast(starter, tf.int32), exclusive=True), position)  # starters
    head = tf.gather(starters, tf.maximum(before - 1, 0))
    adjacent = tf.equal(head, position - 1)
    between = tf.gather(classes, tf.maximum(position - 1, 0))
    unblocked = adjacent | (between > 0) & (between < tf.gather(classes, position))
    possible = (before > 0) & unblocked & tf.equal(tf.gather(rows, head), tf.gather(rows, position))
    composite, found = _composites(tf.gather(codes, head), tf.gather(codes, position), adjacent, tables)
    candidates = _where(possible & found)
    head, position, composite = (tf.gather(values, candidates) for values in (head, position, composite))
    # one at a time with each head, and none with a head that may itself be taken
    earliest = tf.math.unsorted_segment_min(position, head, tf.size(codes))
    taken = tf.scatter_nd(position[:, None], tf.ones_like(position, tf.bool), tf.shape(codes))
    chosen = _where(tf.equal(tf.gather(earliest, head), position) & ~tf.gather(taken, head))
    return tuple(tf.gather(values, chosen) for values in (head, composite, position))


def _composites(head: tf.Tensor, code: tf.Tensor, adjacent: tf.Tensor, tables: _Tables) -> tuple[tf.Tensor, tf.Tensor]:
    """What pairs compose to, and whether they do."""
    pair = tf.cast(head, tf.int64) * 2**21 + tf.cast(code, tf.int64)
    pairs = tf.constant(tables.pairs)
    place = tf.maximum(_upper(pairs, pair) - 1, 0)
    found = tf.equal(tf.gather(pairs, place), pair)
    composite = tf.gather(tf.constant(tables.composites), place)
    vowel = adjacent & (head >= _L) & (head < _L + _LS) & (code >= _V) & (code < _V + _VS)
    syllable = head - _S
    is_open = (syllable >= 0) & (syllable < _LS * _VS * _TS) & tf.equal(syllable % _TS, 0)
    trailing = adjacent & is_open & (code > _T) & (code < _T + _TS)
    composite = tf.where(vowel, _S + ((head - _L) * _VS + code - _V) * _TS, composite)
    return tf.where(trailing, head + code - _T, composite), found | vowel | trailing


def _encoded(codes: tf.Tensor, row_splits: tf.Tensor) -> tf.Tensor:
    return tf.raw_ops.UnicodeEncode(input_values=codes, input_splits=row_splits, output_encoding="UTF-8")


def _where(chosen: tf.Tensor) -> tf.Tensor:
    """Positions, int32."""
    return tf.cast(tf.reshape(tf.where(chosen), [-1]), tf.int32)


def _upper(ascending: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """How many of the ascending numbers are not above each value."""
    return tf.raw_ops.UpperBound(sorted_inputs=ascending[None], values=values[None])[0]


def _before(values: tf.Tensor, at_start: int) -> tf.Tensor:
    return tf.concat([tf.constant([at_start], values.dtype), values[:-1]], axis=0)
