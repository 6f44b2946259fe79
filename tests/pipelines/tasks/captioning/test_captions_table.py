"""Records of captioned pictures from every kind of file."""

import base64
import gzip
import json

import pandas as pd
import pytest
from pydantic import ValidationError

from tests.picture_fixtures import encoded, plain
from unroll.errors import UserError
from unroll.monitoring.tables.notes import Notes
from unroll.pipelines.tasks.captioning.config import CaptionSection
from unroll.pipelines.tasks.captioning.reading.files import caption_records
from unroll.pipelines.tasks.captioning.reading.record import CaptionRecord

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
        ("a.json", '["a.jpg"]', {}, "and caption. Something else stands there (a list of str). Karpathy's"),
        ("a.json", '[{"image": "a.jpg", "text": "b"}]', {}, "record 1: has no 'caption'. It has: image, text"),
        (
            "a.json",
            '{"images": [{"id": 1, "file_name": "a"}], "annotations": []}',
            {"split": "part"},
            "image 1 has no 'part'. It has: id, file_name",
        ),
        ("a.doc", "", {}, "unknown kind of file. Known: .csv"),
        ("a.txt", "", {}, "is empty"),
        ("a.txt", "a.jpg#0\tone\na.jpg\ttwo\n", {}, "line 2: is not picture.jpg#0, a tab, a caption. Received: 'a.jpg"),
        ("a.csv", "image_name| comment_number| comment\nb.jpg\n", {}, "line 2: is not picture.jpg| 0| a caption"),
        ("a.token", "a.jpg#0\tone\n", {"split": "part"}, "data.split"),
        ("a.txt", b"a.jpg#0\tcaf\xe9\n", {}, "Name its encoding, as in --set data.encoding=latin-1"),
    ],
)
def test_a_bad_file_is_named_with_what_is_wrong(tmp_path, name, content, section, words):
    (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError) as caught:
        records(tmp_path / name, **section)
    assert words in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)
    assert "\n" not in str(caught.value)


def captions(found: list[CaptionRecord], folder) -> list[tuple[str, list[str]]]:
    return [(str(record.image.relative_to(folder)), record.captions) for record in found]


FLICKR = [("a.b.jpg", ['A "red" dog, low | down']), ("a.b.jpg", ['Two"inches']), ("ü.jpg", [""])]


@pytest.mark.parametrize("name", ["Flickr8k.token.txt", "results.token", "captions.tsv", "x.txt.gz"])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_flickrs_tokens_are_lines_in_which_nothing_is_quoted(tmp_path, name, start):
    lines = "".join(f"{image}#{row}\t{caption}\r\n" for row, (image, (caption,)) in enumerate(FLICKR))
    content = f"{start}{lines}\r\n".encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert captions(records(tmp_path / name), tmp_path) == FLICKR


def test_flickrs_table_of_bars(tmp_path):
    rows = [f"{image}| {row}| {caption}" for row, (image, (caption,)) in enumerate(FLICKR)]
    rows.append("2199.jpg| 4   A dog runs across the grass .")  # as the file that goes around has it
    (tmp_path / "results.csv").write_text("\n".join(["image_name| comment_number| comment", *rows]))
    expected = [*FLICKR, ("2199.jpg", ["A dog runs across the grass ."])]
    assert captions(records(tmp_path / "results.csv"), tmp_path) == expected


def test_a_table_may_end_in_txt(tmp_path):
    (tmp_path / "captions.txt").write_text('image,caption\na.jpg,"one, ""two"""\n')
    (tmp_path / "readme.txt").write_text("Thank you for the flowers.\n")
    assert captions(records(tmp_path / "captions.txt"), tmp_path) == [("a.jpg", ['one, "two"'])]
    (tmp_path / "data.csv").write_text("image,caption\nb.jpg,one\n")
    assert captions(records(tmp_path), tmp_path) == [("b.jpg", ["one"])], "of a folder texts are not read"


def test_karpathys_splits(tmp_path):
    content = {
        "dataset": "coco",
        "images": [
            {"filename": "1.jpg", "split": "restval", "sentences": [{"raw": "A dog."}, {"tokens": ["a", "cat"]}]},
            {"filename": "2.jpg", "filepath": "val2014", "split": "val", "sentences": [], "cocoid": 7},
        ],
    }
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    assert [(one.image, one.captions, one.split) for one in records(tmp_path, cluster=None)] == [
        (tmp_path / "1.jpg", ["A dog.", "a cat"], "train"),
        (tmp_path / "val2014/2.jpg", [], "val"),
    ]
    (tmp_path / "2.jpg").touch()
    assert records(tmp_path)[1].image == tmp_path / "2.jpg", "where the folders were left out"
    with pytest.raises(UserError, match="a picture has no 'cocoid'"):
        records(tmp_path, cluster="cocoid")


def test_cocos_pictures_may_lie_in_the_folders_of_its_archives(tmp_path):
    url = "http://images.cocodataset.org/val2017/1.jpg"
    content = {"images": [{"id": 1, "file_name": "1.jpg", "coco_url": url}], "annotations": []}
    (tmp_path / "captions_val2017.json").write_text(json.dumps(content))
    assert records(tmp_path)[0].image == tmp_path / "1.jpg"
    (tmp_path / "val2017").mkdir()
    (tmp_path / "val2017/1.jpg").touch()
    assert records(tmp_path)[0].image == tmp_path / "val2017/1.jpg"


def test_json_of_records_and_of_captions_by_picture(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps([{"image": "a.jpg", "caption": ["one", "two"], "part": "restval"}]))
    (tmp_path / "b.json").write_text(json.dumps({"b.jpg": ["three", "four"], "c.jpg": "five"}))
    assert captions(records(tmp_path), tmp_path) == [
        ("a.jpg", ["one", "two"]), ("b.jpg", ["three", "four"]), ("c.jpg", ["five"]),
    ]  # fmt: skip
    assert records(tmp_path / "a.json", split="part")[0].split == "train"


@pytest.mark.parametrize(
    ("written", "file"),
    [
        (r"img\a.jpg", "img/a.jpg"),
        (r".\img\a.jpg", "img/a.jpg"),
        (r"C:\Users\ana\data\img\a.jpg", "img/a.jpg"),
        ("D:\\a.jpg", "a.jpg"),
        (r"\\server\share\img\a.jpg", "img/a.jpg"),
        ("/home/ana/img/a.jpg", "img/a.jpg"),
        ("IMG/A.JPG", "img/a.jpg"),
        (r"IMG\A.JPG", "img/a.jpg"),
        ("cafe\u0301.jpg", "caf\u00e9.jpg"),
    ],
)
def test_paths_of_other_computers_lead_to_the_files(tmp_path, written, file):
    (tmp_path / "img").mkdir(exist_ok=True)
    for name in ("img/a.jpg", "img/b.jpg", "a.jpg", file):
        (tmp_path / name).touch()
    (tmp_path / "data.jsonl").write_text(json.dumps({"image": written, "caption": "a"}))
    (found,) = records(tmp_path)
    assert found.image == tmp_path / file
    assert found.written == written


@pytest.mark.parametrize("written", [r"img\c.jpg", r"..\a.jpg", r"C:\x\..\a.jpg", "A.jpg", "c.jpg", "\\"])
def test_what_is_not_there_or_ambiguous_stays_missing(tmp_path, written):
    folder = tmp_path / "folder"
    (folder / "img").mkdir(parents=True)
    for file in (tmp_path / "a.jpg", folder / "img/b.jpg", folder / "aA.jpg", folder / "Aa.jpg"):
        file.touch()
    (folder / "data.jsonl").write_text(json.dumps({"image": written.replace("A.jpg", "AA.JPG"), "caption": "a"}))
    (found,) = records(folder)
    assert not found.image.exists()
    assert found.written == ""


def test_paths_may_begin_with_the_folder_that_is_named(tmp_path):
    (tmp_path / "photos/img").mkdir(parents=True)
    (tmp_path / "photos/img/a.jpg").touch()
    (tmp_path / "data.jsonl").write_text(json.dumps({"image": "photos/img/a.jpg", "caption": "a"}))
    for images in ("photos", "photos/img"):
        (found,) = records(tmp_path / "data.jsonl", images=str(tmp_path / images))
        assert found.image == tmp_path / "photos/img/a.jpg"
    (tmp_path / "data.jsonl").write_text(json.dumps({"image": "train/a.jpg", "caption": "a"}))
    (found,) = records(tmp_path / "data.jsonl", images=str(tmp_path / "photos/img"))
    assert found.image == tmp_path / "photos/img/train/a.jpg", "which is another one, and missing"


def test_one_file_is_not_two_pictures(tmp_path):
    (tmp_path / "a.jpg").touch()
    paths = [r"C:\\data\\train\\a.jpg", r"D:\\train\\A.jpg", r"C:\\data\\val\\a.jpg"]
    for count, known in ((2, True), (3, False)):
        lines = [json.dumps({"image": path.replace("\\\\", "\\"), "caption": "a"}) for path in paths[:count]]
        (tmp_path / "data.jsonl").write_text("\n".join(lines))
        if known:
            assert [record.image for record in records(tmp_path)] == [tmp_path / "a.jpg"] * 2
        else:
            with pytest.raises(UserError, match=r"a.jpg: two paths of the data lead there, .* data/val/a.jpg. Name"):
                records(tmp_path)


def test_a_file_whose_name_has_a_backslash_is_itself(tmp_path):
    (tmp_path / "img").mkdir()
    (tmp_path / "img/a.jpg").touch()
    (tmp_path / r"img\a.jpg").touch()
    (tmp_path / "data.csv").write_text("image,caption\nimg\\a.jpg,a\n")
    assert records(tmp_path)[0].image == tmp_path / r"img\a.jpg"


def test_a_column_has_one_role():
    with pytest.raises(ValidationError, match="column 'a' is named twice"):
        CaptionSection(image="a", caption=["b", "a"])


@pytest.mark.parametrize(
    "cell",
    [
        "['a dog', 'it\\'s brown']",
        '["a dog", "it\'s brown", null]',
        "['a dog' \"it's brown\"]",
        "('a dog', \"it's brown\")",
    ],
)
def test_lists_written_as_text_are_several_captions_and_it_is_said(tmp_path, cell):
    pd.DataFrame({"image": ["a.png"], "caption": [cell]}).to_csv(tmp_path / "a.csv", index=False)
    notes = Notes()
    (record,) = caption_records(CaptionSection(), str(tmp_path), notes)
    assert record.captions == ["a dog", "it's brown"]
    assert "Column 'caption' holds lists written as text: each of their parts is a caption." in notes


@pytest.mark.parametrize("cell", ["[sic]", "[1, 2]", "(a dog)", "a dog, ['a cat']"])
def test_text_in_brackets_is_one_caption(tmp_path, cell):
    pd.DataFrame({"image": ["a.png"], "caption": [cell]}).to_csv(tmp_path / "a.csv", index=False)
    assert records(tmp_path)[0].captions == [cell]


@pytest.mark.parametrize("sign", [" | ", ";", "<sep>"])
def test_parts_in_most_captions_are_warned_of(tmp_path, sign):
    pd.DataFrame({"image": "a.png", "caption": [f"a dog{sign}brown"] * 3 + ["a cat"]}).to_csv(tmp_path / "a.csv")
    notes = Notes()
    found = list(caption_records(CaptionSection(), str(tmp_path), notes))
    assert found[0].captions == [f"a dog{sign}brown"]
    assert [line for line in notes if f"3 of 4 captions in column 'caption' have {sign.strip()!r}" in line]
