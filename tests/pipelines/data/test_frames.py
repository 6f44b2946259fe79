"""DataFrames as files: named by their content, refused in words of the frame."""

from pathlib import Path

import pandas as pd
import pytest

from unroll.errors import UserError
from unroll.pipelines.data.frames import stored


def test_content_names_the_file(tmp_path: Path) -> None:
    frame = pd.DataFrame({"text": ["a", None], "label": [1, 2]})
    file = stored(frame, tmp_path)
    assert stored(frame.copy().set_axis([7, 8]), tmp_path) == file, "an index without a name says nothing"
    assert stored(frame.assign(label=3), tmp_path) != file
    assert pd.read_parquet(file).equals(frame)
    assert len(list(tmp_path.iterdir())) == 2, "nothing else is left"


def test_a_named_index_is_a_column(tmp_path: Path) -> None:
    index = pd.date_range("2026-01-01", periods=3, freq="h", name="time")
    file = stored(pd.DataFrame({"load": [1.0, 2, 3]}, index=index), tmp_path)
    assert list(pd.read_parquet(file).columns) == ["time", "load"]


def test_files_that_cells_name_are_kept_with_it(tmp_path: Path) -> None:
    names = []
    for number in range(150):
        (tmp_path / f"{number}.bin").write_bytes(b"%d" % number)
        names.append(tmp_path / f"{number}.bin")
    frame = pd.DataFrame({"file": [*names, None, tmp_path / "gone"], "row": range(152)})
    file = stored(frame, tmp_path / "frames", {"file": lambda cell: Path(cell).read_bytes()})
    table = pd.read_parquet(file)
    assert table["file"].tolist() == [b"%d" % number for number in range(150)] + [None, None]
    assert table["row"].tolist() == list(range(152))
    names[0].write_bytes(b"changed")
    assert stored(frame, tmp_path / "frames", {"file": lambda cell: Path(cell).read_bytes()}) != file


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (pd.DataFrame({"a": []}), "data: the DataFrame has no rows"),
        (pd.DataFrame(), "data: the DataFrame has no columns"),
        (pd.DataFrame([[1, 2]], columns=["a", "a"]), "has 2 columns 'a'"),
        (pd.DataFrame({"a": ["x", 1]}), "column 'a' of the DataFrame holds values of type int, str"),
        (
            pd.DataFrame({"file": ["gone"]}),
            "no file that column 'file' of the DataFrame names can be read, such as gone",
        ),
    ],
)
def test_what_no_file_can_hold(tmp_path: Path, frame: pd.DataFrame, words: str) -> None:
    with pytest.raises(UserError) as raised:
        stored(frame, tmp_path, {"file": lambda cell: Path(cell).read_bytes()})
    assert words in str(raised.value)
    assert not list(tmp_path.iterdir()), "nothing is left"
