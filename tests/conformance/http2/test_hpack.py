"""Header blocks that cannot be read (RFC 7541): the 8 such cases of h2spec, by its numbers."""

import pytest

from tests.conformance.http2.literals import Form, literal
from tests.conformance.http2.wire import Wire, headers, run
from tests.serving.http2.peers import LITERALS
from unroll.serving.http2 import frames
from unroll.serving.http2.frames import END_HEADERS, frame

NAME = literal(Form.PLAIN, "x-test", "", huffman=True)[:-1]
A = b"\x1f"  # of five bits, 00011, and three of padding

BROKEN = {
    "2.3.3/1 an index beyond the tables": LITERALS + b"\xc6",
    "2.3.3/2 a name's index beyond the tables": LITERALS + b"\x7f\x07\x00",
    "4.2/1 a table size behind the headers": LITERALS + b"\x21",
    "5.2/1 more padding than seven bits": LITERALS + NAME + b"\x82" + A + b"\xff",
    "5.2/2 padding of zeros": LITERALS + NAME + b"\x81\x18",
    "5.2/3 an end of string": LITERALS + NAME + b"\x84\xff\xff\xff\xff",
    "6.1/1 index 0": LITERALS + b"\x80",
    "6.3/1 a table size beyond SETTINGS_HEADER_TABLE_SIZE": b"\x3f\xe2\x1f" + LITERALS,
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_block_that_cannot_be_read_ends_the_connection(wire: Wire, name: str) -> None:
    run(wire, (frame(frames.HEADERS, END_HEADERS, 1, BROKEN[name]), lambda wire: wire.failed(frames.COMPRESSION_ERROR)))


def test_padding_of_up_to_seven_ones_is_read(wire: Wire) -> None:
    run(wire, (headers(more=NAME + b"\x81" + A), lambda wire: wire.untroubled()))
