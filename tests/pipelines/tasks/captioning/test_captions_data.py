"""The prepared data set of captioned pictures: splits, skipping, batches."""

import csv
import hashlib
import json
import re
from pathlib import Path, PureWindowsPath

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from tests.picture_fixtures import bad_pictures, corrupt_pictures, encoded, noise
from unroll.errors import UserError
from unroll.models.image import decode_picture
from unroll.models.tokens import END, PADDING, START, Detokenizer
from unroll.pipelines.data.records import digest
from unroll.pipelines.tasks.captioning.config import CaptionSection
from unroll.pipelines.tasks.captioning.data import CaptionData, prepare, read_further
from unroll.pipelines.tasks.captioning.task import CaptionConfig, Captioning
from unroll.pipelines.training.progress import Progress
from unroll.pipelines.tuning.held_out_blocks import CHECKING, CHOOSING

SIZE = 16
COLUMNS = ["image", "caption", "split", "source"]


def prepared(folder, rows, **section) -> CaptionData:
    """Rows of picture, caption(s), split and source; as Parquet, prepared."""
    file, directory = folder / "data.parquet", folder / "prepared"
    pd.DataFrame(rows, columns=COLUMNS).to_parquet(file)
    directory.mkdir()
    keys = {"split": "split", "group": "source", "size": SIZE, **section}
    with Progress() as progress:
        prepare(CaptionConfig(data=keys), str(file), directory, progress)
    return CaptionData.load(directory)


def test_the_card_of_an_older_model_is_read():
    assert CaptionSection(most_pixels=7).max_pixels == CaptionSection(max_pixels=7).max_pixels == 7


def picture(seed: int, width: int = 20) -> bytes:
    return encoded(noise(width, 20, seed), "JPEG" if seed % 2 else "PNG")


def rows(count: int = 12, captions: int = 3) -> list[list]:
    """Pictures with captions that name them, half of which are in the train split."""
    parts = ["train", "val", "train", "test_new"]
    return [
        [
            picture(seed),
            [f"picture {seed} said {'very ' * number}once" for number in range(captions)],
            parts[seed % 4],
            "",
        ]
        for seed in range(count)
    ]


def square(content: bytes) -> np.ndarray:
    return decode_picture(tf.constant(content), SIZE).numpy()


@pytest.mark.parametrize("captions", [1, 3])
def test_parts_of_the_validation_split_keep_captions_with_their_pictures(tmp_path, captions):
    table = rows(48, captions)
    prepared(tmp_path, table)
    keys = {"split": "split", "group": "source", "size": SIZE}
    task = Captioning(CaptionConfig(data=keys), tmp_path / "prepared")

    def pairs(batches: tf.data.Dataset) -> list[tuple[bytes, list[int]]]:
        return [
            (inputs["pictures"].numpy()[row].astype(np.uint8).tobytes(), [one for one in said if one != PADDING])
            for inputs, ids in batches
            for row, said in zip(inputs["rows"].numpy(), ids.numpy().tolist(), strict=True)
        ]

    seen = [pair for part in (CHOOSING, *CHECKING) for pair in pairs(task.validation_block(*part))]
    assert sorted(seen) == sorted(pairs(task.validation_batches()))
    named = {square(one[0]).tobytes() for one in table if one[2] == "val"}
    assert sorted(picture for picture, _ in seen) == sorted([*named] * captions)


@pytest.mark.parametrize("gigabytes", [1, 0])
def test_batches_hold_pictures_beside_their_captions(tmp_path, gigabytes):
    table = rows()
    data = prepared(tmp_path, table, cache_gigabytes=gigabytes)
    assert data.dataset_info["cached"] == bool(gigabytes)
    assert (tmp_path / "prepared/train-pixels.npy").exists() == bool(gigabytes)
    text = Detokenizer(data.vocabulary)
    for part, name in (("train", "train"), ("validation", "val"), ("test", "test_new")):
        expected = [(square(one[0]), one[1]) for one in table if one[2] == name]
        batches = list(data.batches(part, 4, captions_per_image=2, shuffle=None))
        assert [len(pixels) for pixels, *_ in batches] == ([4, 2] if part == "train" else [3])
        pixels = np.concatenate([pixels for pixels, *_ in batches])
        np.testing.assert_array_equal(pixels, [pixels for pixels, _ in expected])
        for one, tokens, rows_ in batches:
            np.testing.assert_array_equal(rows_, np.repeat(range(len(one)), 2))
            assert (tokens[:, 0] == START).numpy().all()
            assert (tokens == END).numpy().sum(-1).max() == 1
            assert (tokens.numpy()[..., -1] != PADDING).any()
        if part == "train":
            said = [one.decode() for _, tokens, _ in batches for one in text(tokens).numpy()]
            assert said == [caption for _, captions in expected for caption in captions[:2]]


def test_an_epoch_is_decided_by_its_seed_and_number(tmp_path):
    data = prepared(tmp_path, rows(40), cache_gigabytes=0)
    text = Detokenizer(data.vocabulary)

    def epoch(seed, number):
        batches = list(data.batches("train", 7, captions_per_image=2, shuffle=(seed, number)))
        return [
            [one.decode() for one in pair] for _, tokens, _ in batches for pair in text(tokens).numpy().reshape(-1, 2)
        ]

    first = epoch(0, 0)
    assert first == epoch(0, 0)
    assert first != epoch(0, 1)
    assert first != epoch(1, 0)
    named = [int(re.search(r"\d+", captions[0])[0]) for captions in first]
    assert sorted(named) == list(range(0, 40, 2))
    assert all(captions[0] != captions[1] for captions in first)
    lengths = [len(captions[0].split()) for number in range(20) for captions in epoch(0, number)]
    assert np.bincount(lengths)[4:] / len(lengths) == pytest.approx([1 / 3] * 3, abs=0.1)


def test_a_picture_with_fewer_captions_has_fewer_rows(tmp_path):
    table = [*rows(), [picture(50), ["one"], "train", ""]]
    data = prepared(tmp_path, table)
    ((_, tokens, owners),) = data.batches("train", 7, captions_per_image=5, shuffle=(0, 0))
    assert sorted(np.bincount(owners)) == [1, 3, 3, 3, 3, 3, 3]
    assert len(tokens) == len(owners)
    (one,) = [row for row in range(7) if (owners.numpy() == row).sum() == 1]
    said = Detokenizer(data.vocabulary)(tokens).numpy()[owners.numpy() == one]
    assert said.tolist() == [b"one"]


def test_what_is_skipped_is_counted_and_listed(tmp_path):
    bad, corrupt = bad_pictures(), corrupt_pictures()
    table = [*rows(), *([content, ["a"], "train", ""] for content in (*bad.values(), *corrupt.values()) if content)]
    table += [[None, ["a"], "train", ""], [picture(99), ["", " "], "train", ""], [picture(98), None, "train", ""]]
    data = prepared(tmp_path, table, max_pixels=10_000)
    assert data.dataset_info["skipped"] == {
        "has more than 10,000 pixels": 2,
        "is truncated": 3,
        "is corrupt": 1,
        "holds no picture": 1,
        **{reason.partition(" (")[0]: 1 for reason in bad if "empty" not in reason and "10,000" not in reason},
    }
    assert data.dataset_info["uncaptioned"] == 2
    assert data.dataset_info["records"] == len(table)
    assert data.dataset_info["images"] == {"train": 6, "validation": 3, "test": 3}
    listed = list(csv.DictReader((tmp_path / "prepared/skipped.csv").open()))
    assert {"source": "data.parquet, row 13", "reason": "is a GIF, not JPEG or PNG"} in listed
    assert len(listed) == sum(data.dataset_info["skipped"].values())
    pixels = np.load(tmp_path / "prepared/train-pixels.npy")
    assert pixels.shape == (6, SIZE, SIZE, 3)


def test_a_picture_in_several_parts_goes_to_the_last_with_all_captions(tmp_path):
    table = rows()
    table += [[table[0][0], ["second"], "test", "x"], [table[0][0], ["third"], "train", "y"]]
    data = prepared(tmp_path, table)
    assert data.dataset_info["duplicates"] == 1
    assert data.dataset_info["images"] == {"train": 5, "validation": 3, "test": 4}
    (records,) = data.encoded("test")
    row = records["image"].tolist().index(table[0][0])
    assert records["captions"][row] == [*table[0][1], "second", "third"]
    assert (records["group"][row], records["source"][row]) == ("x", "data.parquet, row 13")


def test_without_a_split_the_bytes_decide(tmp_path):
    table = rows(120, captions=1)
    data = prepared(tmp_path, [*table, *table], split=None)
    digests = [int(hashlib.md5(one[0]).hexdigest(), 16) % 10 for one in table]
    assert data.images("test") == digests.count(0)
    assert data.images("validation") == digests.count(1)
    assert data.images("train") == 120 - digests.count(0) - digests.count(1)
    assert data.dataset_info["captions"]["train"] == 2 * data.images("train")


def test_without_a_split_a_cluster_stays_whole(tmp_path):
    table = rows(120, captions=1)
    for row, one in enumerate(table):
        one[-1] = f"patient {row // 4}" if row < 100 else ""
    data = prepared(tmp_path, table, split=None, cluster="source")
    clusters = {}
    for part in ("train", "validation", "test"):
        lines = (tmp_path / f"prepared/{part}.jsonl").read_text().splitlines()
        clusters[part] = [json.loads(line)["cluster"] for line in lines]
    names = [f"patient {number}" for number in range(25)]
    for part, remainders in (("test", [0]), ("validation", [1]), ("train", range(2, 10))):
        inside = [name for name in names if int(hashlib.md5(name.encode()).hexdigest(), 16) % 10 in remainders]
        assert sorted(filter(None, clusters[part])) == sorted(4 * inside)
    digests = [int(hashlib.md5(one[0]).hexdigest(), 16) % 10 for one in table[100:]]
    assert clusters["test"].count("") == digests.count(0)
    assert clusters["validation"].count("") == digests.count(1)
    records = list(data.encoded("validation"))
    assert [name for batch in records for name in batch["cluster"]] == clusters["validation"]


def test_paths_are_read_and_missing_ones_skipped(tmp_path):
    lines = []
    for seed in range(6):
        (tmp_path / f"{seed}.png").write_bytes(picture(seed))
        part = ["train", "val", "test"][seed % 3]
        lines += [{"image": f"{seed}.png", "caption": f"first {seed}", "part": part}] * 2
    lines += [{"image": "none.png", "caption": "a", "part": "train"}] * 2
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    directory = tmp_path / "prepared"
    directory.mkdir()
    with Progress() as progress:
        prepare(CaptionConfig(data={"split": "part", "size": SIZE}), str(tmp_path / "data.jsonl"), directory, progress)
    data = CaptionData.load(directory)
    assert data.dataset_info["skipped"] == {"does not exist": 1}
    assert data.dataset_info["skipped_examples"] == [[str(tmp_path / "none.png"), "does not exist"]]
    assert data.dataset_info["images"] == {"train": 2, "validation": 2, "test": 2}
    (records,) = data.encoded("validation")
    assert records["captions"].tolist() == [["first 1", "first 1"], ["first 4", "first 4"]]
    assert records["image"][0] == picture(1)


def test_further_epochs_map_no_file_again(tmp_path):
    data = prepared(tmp_path, rows())
    for epoch in range(4):
        for split in ("train", "validation"):
            for _ in data.batches(split, 4, captions_per_image=1, shuffle=(0, epoch)):
                pass
    lines = Path("/proc/self/maps").read_text().splitlines()
    mapped = [line.split(maxsplit=5)[-1] for line in lines if str(tmp_path) in line]
    assert any(file.endswith("train-pixels.npy") for file in mapped)
    assert len(mapped) == len(set(mapped))


def listed(folder, paths, **section) -> CaptionData:
    """Pictures that JSONL names by these paths, prepared; those without `none` in them are there, in capitals."""
    (folder / "IMG").mkdir()
    lines = []
    for row, path in enumerate(paths):
        if "none" not in path:
            (folder / "IMG" / PureWindowsPath(path).name.upper()).write_bytes(picture(row))
        lines.append(json.dumps({"image": path, "caption": f"the {row}", "part": ["train", "val", "test"][row % 3]}))
    (folder / "data.jsonl").write_text("\n".join(lines))
    directory = folder / "prepared"
    directory.mkdir()
    with Progress() as progress:
        prepare(
            CaptionConfig(data={"split": "part", "size": SIZE, **section}),
            str(folder / "data.jsonl"),
            directory,
            progress,
        )
    return CaptionData.load(directory)


def test_pictures_found_under_other_paths_and_missing_ones_are_told(tmp_path):
    paths = [rf"C:\data\img\{row}.jpg" for row in range(6)] + [rf"img\none {row}.jpg" for row in range(5)]
    data = listed(tmp_path, paths)
    assert data.dataset_info["images"] == {"train": 2, "validation": 2, "test": 2}
    config = CaptionConfig(data={"split": "part", "size": SIZE})
    first, moved, *_ = Captioning(config, tmp_path / "prepared").summary().splitlines()
    named = ", ".join(str(tmp_path / path) for path in paths[6:9])
    assert f"skipped 5 do not exist: {named}, ... (listed in " in first
    assert moved.startswith("6 pictures found under other paths")
    assert moved.endswith(f": {paths[0]} is {tmp_path / 'IMG/0.JPG'}.")


def test_more_missing_pictures_than_are_allowed_are_refused(tmp_path):
    paths = [f"IMG/{row}.JPG" for row in range(6)] + [f"IMG/none {row}.jpg" for row in range(7)]
    with pytest.raises(UserError) as caught:
        listed(tmp_path, paths)
    named = ", ".join(str(tmp_path / path) for path in paths[6:9])
    assert f"7 of 13 pictures are missing, such as {named}. Put them there, or name the folder" in str(caught.value)
    assert str(caught.value).endswith("data.max_missing (now 0.5)")
    (tmp_path / "again").mkdir()
    assert listed(tmp_path / "again", paths, max_missing=0.6).dataset_info["skipped"] == {"does not exist": 7}


def test_the_folder_of_pictures_that_was_not_named_is_guessed_in_the_refusal(tmp_path):
    with pytest.raises(UserError) as caught:
        listed(tmp_path, [f"{row}.JPG" for row in range(6)])
    assert str(caught.value).endswith(f"{tmp_path / 'IMG'} holds them all: --set data.images={tmp_path / 'IMG'}")


def test_other_pictures_in_files_of_the_same_names_are_other_data(tmp_path):
    data = tmp_path / "data.csv"
    data.write_text("image,caption\na.png,one\na.png,two\nnone.png,none\n" + "x" * 300 + ",too long a name\n")
    config = CaptionConfig(data={"split": None, "size": SIZE})
    (tmp_path / "a.png").write_bytes(picture(0))
    files = Captioning.files(config, str(data))
    assert files == [data, tmp_path / "a.png"]
    before = digest(files)
    assert digest(Captioning.files(config, str(data))) == before
    (tmp_path / "a.png").write_bytes(picture(1))
    assert digest(Captioning.files(config, str(data))) != before


def test_long_captions_are_cut(tmp_path):
    data = prepared(tmp_path, rows(captions=4), max_tokens=5)
    assert data.dataset_info["longest_caption"] == 7
    assert data.dataset_info["truncated_captions"] == 2 * 12
    ((_, tokens, _),) = data.batches("train", 6, captions_per_image=4, shuffle=None)
    assert tokens.shape[-1] == 7
    assert (tokens.numpy() == END).any(-1).all()


def test_the_vocabulary_is_of_the_train_part(tmp_path):
    data = prepared(tmp_path, [*rows(), [picture(50), ["zebra"], "test", ""]])
    assert "▁zebra" not in data.vocabulary
    assert "▁picture" in data.vocabulary
    assert data.dataset_info["vocabulary"] == len(data.vocabulary)


def test_further_data_is_read_without_its_parts(tmp_path, capsys):
    table = [*rows(), [corrupt_pictures()["a PNG that ends too early"], ["a"], "nowhere", ""]]
    table += [[table[3][0], ["Again"], "anywhere", ""]]
    pd.DataFrame(table, columns=COLUMNS).to_parquet(tmp_path / "a.parquet")
    section = CaptionSection(split="split", group="source", size=SIZE)
    with Progress() as progress:
        (records,) = read_further(section, str(tmp_path / "a.parquet"), progress)
    assert records["image"].tolist() == [one[0] for one in rows()]
    assert records["captions"][3] == [*table[3][1], "again"]
    assert "12 pictures, skipped 1 is truncated" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("table", "section", "words"),
    [
        ([], {}, "holds no records"),
        ([[b"x", [" "], "train", ""]], {}, "none of 1 records has a caption in column 'caption'"),
        (
            [[b"x", ["a"], "train", ""]],
            {},
            "no picture can be read: 1 is neither JPEG nor PNG. The first, data.parquet",
        ),
        ([[picture(0)[:-20], ["a"], "train", ""]], {}, "no picture can be read: 1 is truncated"),
        (
            [one for one in rows() if one[2] != "val"],
            {},
            "no picture is in the validation split: column 'split' names none",
        ),
        (rows(1), {"split": None}, "1 pictures are too few"),
        (rows(), {"min_count": 99}, "no word of the train split's captions occurs 99 times"),
    ],
)
def test_data_that_cannot_be_trained_on_is_refused(tmp_path, table, section, words):
    with pytest.raises(UserError) as caught:
        prepared(tmp_path, table, **section)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)
