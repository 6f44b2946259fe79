"""Header fields in every form that RFC 7541, section 6.2, has for a literal."""

import enum

from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH

_HUFFMAN = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)


class Form(enum.Enum):
    """Bits before a name's index, and how many are left for it."""

    INDEXED = (0x40, 6)
    PLAIN = (0x00, 4)
    NEVER_INDEXED = (0x10, 4)


def literal(form: Form, name: int | str, value: str, huffman: bool = False) -> bytes:
    """A header field.

    Args:
        form: whether the dynamic table is to keep it.
        name: its number in the table, or itself.
        value: its value.
        huffman: whether strings are coded.
    """
    bits, room = form.value
    if isinstance(name, str):
        return bytes((bits,)) + _string(name, huffman) + _string(value, huffman)
    limit = (1 << room) - 1
    index = bytes((bits | name,)) if name < limit else bytes((bits | limit, name - limit))
    return index + _string(value, huffman)


def _string(text: str, huffman: bool) -> bytes:
    coded = _HUFFMAN.encode(text.encode("latin-1")) if huffman else text.encode("latin-1")
    return bytes((huffman << 7 | len(coded),)) + coded
