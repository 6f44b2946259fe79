"""Records of captioned pictures from every kind of file."""

import base64
import json

import pandas as pd
import pytest
from pydantic import ValidationError

from tests.picture_fixtures import encoded, plain
from unroll.errors import UserError
from unroll.pipelines.tasks.captioning.config import CaptionSection
from unroll.pipelines.tasks.captioning.table import CaptionRecord, caption_records

PICTURE = encoded(plain("red"))


def records(path, **section) -> list[CaptionRecord]:
    return list(caption_records(CaptionSection(**section), str(path)))


def test_paths_of_a_csv_start_at_its_folder(tmp_path):
    file = tmp_path / "a.csv"
    file.write_text("image,caption\npictures/a.png,a dog\n/else/b.png,a cat\n")
    assert records(file) == [
        CaptionRecord(tmp_path / "pictures/a.png", ["a dog"], None, "", "", str(tmp_path / "pictures/a.png")),
        CaptionRecord(type(tmp_path)("/else/b.png"), ["a cat"], None, "", "", "/else/b.png"),
    ]
    assert records(file, images=str(tmp_path / "other"))[0].image == tmp_path / "other/pictures/a.png"


def test_bytes_lists_split_and_group_of_parquet(tmp_path):
    file = tmp_path / "a.parquet"
    rows = {"png": [PICTURE, None], "caption": [["a", "b"], ["c"]], "split": ["val_x", "test"], "source": ["x", None]}
    rows["patient"] = ["p1", None]
    pd.DataFrame(rows).to_parquet(file)
    section = {"image": "png", "split": "split", "group": "source", "cluster": "patient"}
    assert records(file, **section) == [
        CaptionRecord(PICTURE, ["a", "b"], "val_x", "x", "p1", "a.parquet, row 1"),
        CaptionRecord(None, ["c"], "test", "", "", "a.parquet, row 2"),
    ]


def test_bytes_beside_a_path(tmp_path):
    cells = [{"bytes": PICTURE, "path": "x.png"}, {"bytes": None, "path": "y.png"}]
    pd.DataFrame({"image": cells, "caption": "a"}).to_parquet(tmp_path / "a.parquet")
    assert [record.image for record in records(tmp_path)] == [PICTURE, tmp_path / "y.png"]


def test_base64_and_several_columns_of_jsonl(tmp_path):
    lines = [
        {"image": base64.b64encode(PICTURE).decode(), "one": "a", "two": ["b", "c"]},
        {"image": "a/path", "one": None, "two": "d"},
    ]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = records(tmp_path, caption=["one", "two"])
    assert [(record.image, record.captions) for record in found] == [
        (PICTURE, ["a", "b", "c"]),
        (tmp_path / "a/path", ["d"]),
    ]


@pytest.mark.parametrize("form", [base64.encodebytes, lambda one: b"data:image/png;base64," + base64.b64encode(one)])
def test_base64_in_lines_and_in_a_data_url(tmp_path, form):
    (tmp_path / "a.jsonl").write_text(json.dumps({"image": form(PICTURE).decode(), "caption": "a"}) + "\n")
    assert [record.image for record in records(tmp_path)] == [PICTURE]


def test_a_caption_of_null_is_none(tmp_path):
    annotations = [{"image_id": 1, "caption": None}, {"image_id": 1, "caption": "a"}]
    content = {"images": [{"id": 1, "file_name": "1.jpg"}], "annotations": annotations}
    (tmp_path / "captions.json").write_text(json.dumps(content))
    assert [record.captions for record in records(tmp_path)] == [["a"]]


def test_coco(tmp_path):
    content = {
        "images": [
            {"id": 7, "file_name": "7.jpg", "split": "val", "scene": 3},
            {"id": 8, "file_name": "8.jpg", "split": "test", "scene": None},
        ],
        "annotations": [
            {"image_id": 7, "caption": "a"},
            {"image_id": 9, "caption": "x"},
            {"image_id": 7, "caption": "b"},
        ],
    }
    (tmp_path / "captions.json").write_text(json.dumps(content))
    assert records(tmp_path, split="split", cluster="scene") == [
        CaptionRecord(tmp_path / "7.jpg", ["a", "b"], "val", "", "3", str(tmp_path / "7.jpg")),
        CaptionRecord(tmp_path / "8.jpg", [], "test", "", "", str(tmp_path / "8.jpg")),
    ]


@pytest.mark.parametrize(
    ("name", "content", "section", "words"),
    [
        ("a.csv", "picture,caption\n", {}, "has no column 'image'. It has: 'picture', 'caption'"),
        ("a.csv", "image,text\n", {}, "has no column 'caption'"),
        ("a.json", "{", {}, "cannot be read as JSON"),
        ("a.json", '{"images": []}', {}, "is not COCO's captions JSON"),
        ("a.json", "[]", {}, "and caption. Something else stands there (list indices"),
        (
            "a.json",
            '{"images": [{"id": 1, "file_name": "a"}], "annotations": []}',
            {"split": "part"},
            "image 1 has no 'part'. It has: id, file_name",
        ),
        ("a.txt", "", {}, "unknown kind of file. Known: .csv"),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(tmp_path, name, content, section, words):
    (tmp_path / name).write_text(content)
    with pytest.raises(UserError) as caught:
        records(tmp_path / name, **section)
    assert words in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_column_has_one_role():
    with pytest.raises(ValidationError, match="column 'a' is named twice"):
        CaptionSection(image="a", caption=["b", "a"])
