"""Header blocks: what is remembered of them, and what is not."""

import tracemalloc

import hpack
import pytest

from unroll.serving.http2.frames import COMPRESSION_ERROR, ProtocolError
from unroll.serving.http2.headers import HeaderDecoder

ADD = b"\x40\x01a\x01b"  # a: b, which becomes the dynamic table's newest
NEWEST = b"\xbe"
EMPTY_TABLE, FULL_TABLE = b"\x20", b"\x3f\xe1\x1f"


def test_blocks_mean_what_another_implementation_wrote() -> None:
    encoder, decoder = hpack.Encoder(), HeaderDecoder(16384)
    for turn in range(50):
        headers = {":method": "POST", "name": f"value {turn // 5}", "grpc-timeout": "5S"}
        if turn == 30:
            encoder.header_table_size = 100
        assert decoder.decode(encoder.encode(headers.items())) == headers


def test_a_table_that_is_emptied_is_forgotten() -> None:
    decoder = HeaderDecoder(16384)
    decoder.decode(ADD)
    assert [dict(decoder.decode(NEWEST)) for _ in range(3)] == [{"a": "b"}] * 3
    for _ in range(2):  # of the same block again: it empties the table each time
        decoder.decode(EMPTY_TABLE + FULL_TABLE)
        with pytest.raises(ProtocolError) as refused:
            decoder.decode(NEWEST)
        assert refused.value.code == COMPRESSION_ERROR
        decoder.decode(ADD)
        assert decoder.decode(NEWEST) == {"a": "b"}


def test_no_more_is_remembered_than_a_connection_is_worth() -> None:
    decoder = HeaderDecoder(16384)
    value = b"\x00\x01a\x7f\xe1\x5d" + b"v" * 12000  # a literal of 127 + 97 + 93 * 128 = 12128 bytes
    tracemalloc.start()
    try:
        for number in range(64):
            decoder.decode(value + f"{number:0128}".encode())
        assert tracemalloc.get_traced_memory()[0] < 200_000
    finally:
        tracemalloc.stop()
