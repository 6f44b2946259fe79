"""Header blocks of HTTP/2: HPACK, RFC 7541.

Decoding is the `hpack` package's. A client that calls again and again sends the same few bytes each time, so what they
mean is remembered for as long as the dynamic table, on which it depends, stays as it is. Encoding needs no table: all
that a gRPC answer says are literals that fit a constant.
"""

from collections.abc import Iterable
from urllib.parse import quote

import hpack
from hpack.table import HeaderTable

from unroll.serving.http2.fields import Headers
from unroll.serving.http2.frames import COMPRESSION_ERROR, ENHANCE_YOUR_CALM, ProtocolError

_REMEMBERED_BYTES = 32 << 10
_BYTES_A_COST = 8
_RESIZES = 2  # of the table that a block may begin with (RFC 7541, section 4.2)
OK_STATUS = b"\x88"  # :status 200 of the static table
_MESSAGE_SAFE = " !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~"


class _Table(HeaderTable):
    """Counts its changes, and how often one block resizes it."""

    def __init__(self) -> None:
        super().__init__()
        self.changes = self.resizes = 0  # an entry that is added may push out others: two changes

    @property
    def maxsize(self) -> int:
        return HeaderTable.maxsize.fget(self)  # type: ignore[attr-defined]

    @maxsize.setter
    def maxsize(self, size: int) -> None:
        self.resizes += 1
        self.changes += 1
        if self.resizes > _RESIZES:
            raise hpack.HPACKDecodingError("the header table is resized again and again")
        HeaderTable.maxsize.fset(self, size)  # type: ignore[attr-defined]

    def add(self, name: bytes, value: bytes) -> None:
        self.changes += 2
        super().add(name, value)


class HeaderDecoder:
    """Reads the header blocks of one connection, in their order.

    Args:
        max_bytes: of one block's headers in all, 32 a header added (RFC 9113, section 6.5.2).
    """

    def __init__(self, max_bytes: int) -> None:
        self._decoder = hpack.Decoder(max_header_list_size=max_bytes)
        self._table = self._decoder.header_table = _Table()
        self._known: dict[bytes, Headers] = {}
        self._known_bytes = 0
        self._changes = 0
        self.cost = 0
        """Of the newest block, see `unroll.serving.http2.budget`: nothing if it was remembered."""

    def decode(self, block: bytes) -> Headers:
        """What a block says, and what it may be; see `Headers`.

        Raises:
            ProtocolError: the block is broken, or too large.
        """
        known = self._known.get(block)
        if known is not None:
            self.cost = 0
            return known
        self._table.resizes = 0
        try:
            pairs = list(self._decoder.decode(block, raw=True))
        except hpack.OversizedHeaderListError:
            raise ProtocolError(ENHANCE_YOUR_CALM, "the header list is too large") from None
        except (hpack.HPACKError, IndexError, ValueError) as error:
            raise ProtocolError(COMPRESSION_ERROR, str(error) or "broken header block") from None
        headers = Headers(pairs)
        self.cost = len(block) // _BYTES_A_COST + self._table.changes - self._changes
        if self._table.changes != self._changes:
            self._changes = self._table.changes
            self._known.clear()
            self._known_bytes = 0
        else:
            size = len(block) + sum(len(name) + len(value) + 32 for name, value in headers.items())
            if self._known_bytes + size <= _REMEMBERED_BYTES:
                self._known_bytes += size
                self._known[block] = headers
        return headers


def encode(pairs: Iterable[tuple[str, str]]) -> bytes:
    """A block of literals that are not to be indexed (RFC 7541, section 6.2.2).

    Names and values are ASCII; names in lower case.
    """
    block = bytearray()
    for name, value in pairs:
        block.append(0)
        for text in (name, value):
            block += _length(len(text))
            block += text.encode("ascii")
    return bytes(block)


def percent_encoded(message: str) -> str:
    """A status message as gRPC sends it: blanks at its ends too, which parsers of headers strip."""
    encoded = quote(message, _MESSAGE_SAFE, errors="replace")
    if encoded.startswith(" "):
        encoded = "%20" + encoded[1:]
    if encoded.endswith(" "):
        encoded = encoded[:-1] + "%20"
    return encoded


def _length(size: int) -> bytes:
    """A string's length as an integer of a 7-bit prefix (RFC 7541, section 5.1)."""
    if size < 127:
        return bytes((size,))
    encoded = bytearray((127,))
    size -= 127
    while size >= 128:
        encoded.append(size & 127 | 128)
        size >>= 7
    encoded.append(size)
    return bytes(encoded)
