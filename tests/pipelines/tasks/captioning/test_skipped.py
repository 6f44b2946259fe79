"""What is said of pictures that are left out, and where they may lie."""

import json

import pytest

from unroll.errors import UserError
from unroll.pipelines.tasks.captioning.collection import collect
from unroll.pipelines.tasks.captioning.config import CaptionSection
from unroll.pipelines.training.progress import Progress


def refused(folder, data, **section):
    with pytest.raises(UserError) as caught:
        collect(CaptionSection(**section), str(data), folder / "pictures", Progress())
    return str(caught.value)


def table(folder, names):
    (folder / "t.csv").write_text("image,caption\n" + "".join(f"{name},a dog\n" for name in names))
    return folder / "t.csv"


def test_the_folder_that_holds_the_most_is_proposed(tmp_path):
    for folder, numbers in {"icons": [0], "photos": range(9), "old": range(5)}.items():
        (tmp_path / folder).mkdir()
        for number in numbers:
            (tmp_path / folder / f"{number}.jpg").touch()
    data = table(tmp_path, [f"{number}.jpg" for number in range(10)])
    photos = tmp_path / "photos"
    assert refused(tmp_path, data).endswith(f"{photos} holds 9 of 10: --set data.images={photos}")
    (tmp_path / "old").rename(tmp_path / "half")
    for number in range(9):
        (tmp_path / "half" / f"{number}.jpg").touch()
    assert f"{tmp_path / 'half'}, {photos} each hold 9 of 10; name the right one" in refused(tmp_path, data)


def test_cocos_pictures_are_found_beside_the_annotations(tmp_path):
    (tmp_path / "annotations").mkdir()
    (tmp_path / "train2017").mkdir()
    (tmp_path / "train2017" / "1.jpg").touch()
    content = {"images": [{"id": 1, "file_name": "1.jpg"}], "annotations": [{"image_id": 1, "caption": "a dog"}]}
    data = tmp_path / "annotations" / "captions_train2017.json"
    data.write_text(json.dumps(content))
    assert refused(tmp_path, data).endswith(f"--set data.images={tmp_path / 'train2017'}")


@pytest.mark.parametrize("url", ["https://shop.example/img/{}.jpg", "s3://bucket/{}.jpg"])
def test_urls_are_called_so(tmp_path, url):
    said = refused(tmp_path, table(tmp_path, [url.format(number) for number in range(2)]))
    assert "no picture can be read: 2 are URLs" in said
    assert "Download the pictures, and name their files in the column" in said


def test_files_are_counted_also_where_their_content_is_the_same(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.jpg").touch()
        (tmp_path / f"{number}.gif").write_bytes(b"GIF89a" + b"x" * 20)
    names = [f"{number}.{kind}" for number in range(3) for kind in ("jpg", "gif", "jpg")]
    said = refused(tmp_path, table(tmp_path, names))
    assert "3 are empty, 3 are GIFs, not JPEG or PNG" in said
