"""Scripts that put no blanks between words: their texts are cut into syllables' parts, as Chinese is into characters.

What is cut out is a letter with what is written around it (Theeramunkong et al. 2000 call it a character cluster, for
Thai): a vowel before it, letters stacked under it, its marks, a vowel behind it. Patterns for RE2 and Python's `re`.
"""

import unicodedata

import numpy as np

_BLOCKS = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x1950, 0x19FF),  # Tai Le, New Tai Lue, Khmer symbols
    (0x1A20, 0x1AAF),  # Tai Tham
    (0x1B00, 0x1B7F),  # Balinese
    (0xA980, 0xA9FF),  # Javanese, more Burmese
    (0xAA00, 0xAADF),  # Cham, more Burmese, Tai Viet
)
_BEFORE = "\u0e40-\u0e44\u0ec0-\u0ec4\u19b5-\u19b7\u19ba\uaab5\uaab6\uaab9\uaabb\uaabc"
_BEHIND = "\u0e30\u0e32\u0e45\u0eb0\u0eb2\u0ebd"
_STACKING = "\u1039\u17d2\u1a60\u1b44\ua9c0"


def _classes() -> tuple[str, str]:
    """Letters and whatever else stands for itself, and marks, as the insides of character classes."""
    marks, letters = "", ""
    for first, last in _BLOCKS:
        for character in map(chr, range(first, last + 1)):
            if unicodedata.category(character) in ("Mn", "Mc"):
                marks += character
            else:
                letters += character
    apart = [chr(code) for span in (*_spans(_BEFORE), *_spans(_BEHIND)) for code in range(span[0], span[1] + 1)]
    return _class(letters, apart), _class(marks, [])


def _spans(inside: str) -> list[tuple[int, int]]:
    spans, place = [], 0
    while place < len(inside):
        ranged = inside[place + 1 : place + 2] == "-"
        spans.append((ord(inside[place]), ord(inside[place + 2 * ranged])))
        place += 1 + 2 * ranged
    return spans


def _class(characters: str, without: list[str]) -> str:
    runs: list[list[int]] = []
    for code in sorted(set(map(ord, characters)) - set(map(ord, without))):
        if runs and runs[-1][1] == code - 1:
            runs[-1][1] = code
        else:
            runs.append([code, code])
    return "".join(chr(first) if first == last else f"{chr(first)}-{chr(last)}" for first, last in runs)


_IDEOGRAPHIC = ((0x3040, 0x30FF), (0x31F0, 0x31FF), (0x3400, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))
UNSPACED = np.array([[first, last + 1] for first, last in sorted(_BLOCKS + _IDEOGRAPHIC)], np.int32).ravel()
"""Code points of all scripts without blanks, Chinese and Japanese included: where spans begin and end, in turn."""
_LETTERS, _MARKS = _classes()
CLUSTER = (
    f"([{_BEFORE}]?[{_LETTERS}](?:[{_STACKING}][{_LETTERS}]|[{_MARKS}])*[{_BEHIND}]?|[{_BEFORE}{_BEHIND}{_MARKS}])"
)
"""One cluster, or what stands outside of any, as group 1."""
