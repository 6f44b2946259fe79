"""The status of a gRPC call, in the block of headers that ends it."""

OK = "OK"
_GRPC_STATUS = (b"grpc-status", b"\x9a\xca\xc8\xb2\x124\xda\x8f")  # plain and in HPACK's Huffman code
_DIGITS = "07 0f 17 67 6b 6f 73 77 7b 7f 083f 087f 08bf 0b3f 0b5f 0b7f 0b9f"  # 0 to 16 in that code
_HUFFMAN = {bytes.fromhex(code): number for number, code in enumerate(_DIGITS.split(" "))}


def status(block: bytes) -> str:
    """What a block of trailers, in literals (RFC 7541, 6.2), says of the call: `OK` or a code's number."""
    at = 0
    while at < len(block):
        first = block[at]
        if first & 0x80 or first & 0xE0 == 0x20:  # a pair of the static table, or the table's size
            _, at = _integer(block, at, 7 if first & 0x80 else 5)
            continue
        index, at = _integer(block, at, 6 if first & 0x40 else 4)
        name = b""
        if not index:
            name, _, at = _string(block, at)
        value, huffman, at = _string(block, at)
        if name in _GRPC_STATUS:
            code = _HUFFMAN[value] if huffman else int(value)
            return OK if code == 0 else f"code {code}"
    return "no grpc-status"


def _integer(block: bytes, at: int, bits: int) -> tuple[int, int]:
    mask = (1 << bits) - 1
    value, at = block[at] & mask, at + 1
    if value == mask:
        shift = 0
        while True:
            byte, at = block[at], at + 1
            value += (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
    return value, at


def _string(block: bytes, at: int) -> tuple[bytes, bool, int]:
    huffman = bool(block[at] & 0x80)
    size, at = _integer(block, at, 7)
    return block[at : at + size], huffman, at + size
