"""Messages that no package describes: made, and read from protobuf's text format."""

import re
from pathlib import Path

import pytest
from google.protobuf.wrappers_pb2 import BoolValue, Int64Value

from unroll.errors import UserError
from unroll.serving.protocol import text_protos

Inner = text_protos.message("tests.Inner", {"path": (3, "string")})
Outer = text_protos.message(
    "tests.Outer",
    {
        "limit": (1, Int64Value),
        "pad": (2, "bool"),
        "sizes": (3, "repeated int64"),
        "inner": (4, Inner),
        "split": (5, BoolValue),
        "share": (6, "float"),
    },
)


def test_every_kind_of_field_is_read_and_has_its_number_on_the_wire():
    message = text_protos.parse(
        "limit { value: 3 } # a comment\npad: true sizes: 1\nsizes: 300 inner { path: 'a\\n' 'b' } split {} share: 0.5",
        Outer,
        "f",
    )
    assert (message.limit.value, message.pad, list(message.sizes), message.inner.path) == (3, True, [1, 300], "a\nb")
    assert message.HasField("split")
    assert not text_protos.parse("", Outer, "f").HasField("limit")
    assert message.SerializeToString() == (
        b"\x0a\x02\x08\x03\x10\x01\x1a\x03\x01\xac\x02\x22\x05\x1a\x03a\nb\x2a\x00\x35\x00\x00\x00\x3f"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("pad: true\nlimt { value: 3 }", r"queue.pbtxt:2: .*limt.* Outer, whose fields are: limit, pad,"),
        ("sizes: many", r"queue.pbtxt:1: .*many"),
        ("pad: true pad: false", r"queue.pbtxt:1: .*pad"),
        ("inner { path: 'a' ", r"queue.pbtxt:1: Expected \"}\""),
    ],
)
def test_a_mistake_is_told_with_file_and_line(text, said):
    with pytest.raises(UserError, match=said) as refused:
        text_protos.parse(text, Outer, "queue.pbtxt")
    assert "\n" not in str(refused.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path):
    with pytest.raises(UserError, match=re.escape(f"--option {tmp_path}/none: cannot be read (No such file")):
        text_protos.read(tmp_path / "none", Outer, "--option")
    (tmp_path / "latin").write_bytes(b"# \xe4")
    with pytest.raises(UserError, match="not UTF-8"):
        text_protos.read(tmp_path / "latin", Outer, "--option")
