"""Objects within the objects of JSONL files."""

import json

import pytest

from unroll.errors import UserError
from unroll.pipelines.data.records import read_records

RECORDS = [{"id": n, "review": {"text": f"film {n}", "by": {"age": n}}, "stars": n % 2} for n in range(4)]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "nested.jsonl"
    path.write_text("\n".join(map(json.dumps, RECORDS)))
    return path


def test_inner_values_are_read_by_dotted_names(file):
    (batch,) = read_records([file], ["review.text", "review.by.age", "stars"])
    assert batch == {
        "review.text": [f"film {n}" for n in range(4)],
        "review.by.age": ["0", "1", "2", "3"],
        "stars": ["0", "1", "0", "1"],
    }


@pytest.mark.parametrize(("column", "inner"), [("review", "review.text or review.by"), ("review.by", "review.by.age")])
def test_an_object_is_not_a_value(file, column, inner):
    with pytest.raises(UserError, match=f"'{column}' holds objects, not values. Name what is in them: {inner}$"):
        list(read_records([file], ["stars", column]))


def test_a_name_that_has_a_dot_itself_counts(tmp_path):
    path = tmp_path / "dotted.jsonl"
    path.write_text('{"a.b": "outer", "a": {"b": "inner"}}')
    assert list(read_records([path], ["a.b"])) == [{"a.b": ["outer"]}]
