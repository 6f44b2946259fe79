"""Folders of data that others may write to: what is not a file makes nobody wait, and no link leads out of them."""

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.picture_fixtures import encoded, plain
from unroll.errors import UserError
from unroll.pipelines.data.records import find_files, read_records
from unroll.pipelines.data.series.section import SeriesSection
from unroll.pipelines.data.series.table import read_table
from unroll.pipelines.tasks.captioning import asking as image
from unroll.pipelines.tasks.captioning.collection import Collection, collect
from unroll.pipelines.tasks.captioning.config import CaptionSection
from unroll.pipelines.tasks.captioning.reading.files import picture_files
from unroll.pipelines.tasks.forecasting import asking as series
from unroll.pipelines.tasks.sentiment.labelled_text import LabelledTextSection, stream
from unroll.pipelines.training.progress import Progress

pytestmark = pytest.mark.timeout(60)  # who waits for a FIFO waits for good


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    file = tmp_path / "elsewhere" / "secret.csv"
    file.parent.mkdir()
    file.write_text("text,label\nmy password,0\n")
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "a.csv").write_text("text,label\ngood,1\n")
    return folder


def refused(path: Path | str) -> str:
    with pytest.raises(UserError) as refusal:
        find_files(str(path))
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def fifo(path: Path) -> None:
    os.mkfifo(path)


def unix_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(path))


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [fifo, unix_socket, Path.mkdir])
def test_what_is_no_file_is_refused_in_a_folder_in_a_glob_and_by_name(
    folder: Path, make: Callable[[Path], None]
) -> None:
    make(folder / "b.csv")
    for given in (folder, f"{folder}/*.csv"):
        assert f"--data {folder}/b.csv: cannot be read (it is a" in refused(given)
    if make is not Path.mkdir:
        assert f"--data {folder}/b.csv: cannot be read (it is a" in refused(folder / "b.csv")


def test_a_device_is_refused_even_by_name(folder: Path) -> None:
    device(folder / "b.csv")
    for given in (folder, f"{folder}/*.csv", folder / "b.csv"):
        assert "b.csv" in refused(given)


def test_a_link_out_of_a_folder_is_refused_unless_it_is_named(folder: Path, secret: Path) -> None:
    link = folder / "b.csv"
    link.symlink_to(secret)
    for given in (folder, f"{folder}/*.csv", f"{folder.parent}/data/?.csv"):
        assert refused(given).startswith(f"--data {link}: leads out of {folder}, to {secret}. ")
    assert find_files(str(link)) == [link]
    link.unlink()
    (folder / "deep").symlink_to(secret.parent)
    assert f"--data {folder}/deep/secret.csv: leads out of {folder}, to {secret}" in refused(f"{folder}/*/*.csv")


def test_links_that_stay_in_the_folder_and_links_to_the_folder_are_followed(folder: Path, tmp_path: Path) -> None:
    (folder / "parts").mkdir()
    (folder / "a.csv").rename(folder / "parts" / "0.csv")
    (folder / "a.csv").symlink_to("parts/0.csv")
    (tmp_path / "newest").symlink_to(folder)
    for given in (folder, tmp_path / "newest"):
        (batch,) = read_records(find_files(str(given)), ["text"])
        assert batch == {"text": ["good"]}


@pytest.mark.parametrize("make", [fifo, lambda path: path.symlink_to("/etc/passwd")], ids=["FIFO", "link"])
def test_every_reader_of_a_folder_refuses(folder: Path, make: Callable[[Path], None]) -> None:
    make(folder / "b.csv")
    make(folder / "b.jpg")
    with Progress() as progress, progress.stage("reading") as stage:
        for read in (
            lambda: list(stream(LabelledTextSection(), str(folder))),
            lambda: read_table(SeriesSection(time="text"), str(folder), stage),
            lambda: collect(CaptionSection(), str(folder), folder.parent / "pictures", progress),
        ):
            with pytest.raises(UserError, match=r"--data .*/b\.csv: "):
                read()


def collected(folder: Path, **section: str) -> Collection:
    with Progress() as progress:
        return collect(CaptionSection(**section), str(folder / "a.csv"), folder.parent / "pictures", progress)


def test_pictures_that_a_table_names_outside_its_folder_are_not_read(folder: Path, secret: Path) -> None:
    for name, colour in (("in.png", "red"), ("../elsewhere/out.png", "blue")):
        (folder / name).write_bytes(encoded(plain(colour)))
    (folder / "link.png").symlink_to("../elsewhere/out.png")
    (folder / "inner.png").symlink_to("in.png")
    os.mkfifo(folder / "fifo.png")
    absolute = [folder / "in.png", secret.parent / "out.png", "/dev/zero", "/etc/passwd"]
    names = ["in.png", "inner.png", "link.png", "fifo.png", "../elsewhere/out.png", "a\0b", *map(str, absolute)]
    (folder / "a.csv").write_text("image,caption\n" + "".join(f"{name},a picture\n" for name in names))
    found = collected(folder)
    assert [Path(one.source).name for one in found.pictures] == ["in.png"]
    assert found.skipped.counts["leads out of the pictures' folder"] == 5
    assert found.skipped.counts["cannot be read"] == 2
    (listed,) = [reason for source, reason in found.skipped.listed if source.endswith("link.png")]
    assert str(folder) in listed
    inside = {"in.png", "inner.png"}
    assert {path.name for path in picture_files(CaptionSection(), str(folder / "a.csv"))} == inside
    assert len(collected(folder, images=str(folder.parent)).pictures) == 2, "both lie below that folder"


def test_where_all_pictures_lie_elsewhere_the_remedy_is_told(folder: Path, secret: Path) -> None:
    (secret.parent / "out.png").write_bytes(encoded(plain("blue")))
    (folder / "a.csv").write_text(f"image,caption\n{secret.parent / 'out.png'},a picture\n")
    with pytest.raises(UserError, match=r"leads out of the pictures' folder \(.*data\)\. Name .* data\.images"):
        collected(folder)
    assert len(collected(folder, images=str(secret.parent)).pictures) == 1


def test_pictures_to_ask_about_are_looked_for_in_their_folder_alone(folder: Path, secret: Path) -> None:
    (folder / "in.png").write_bytes(encoded(plain("red")))
    os.mkfifo(folder / "fifo.png")
    assert image._files([str(folder)]) == [folder / "in.png"]
    (folder / "link.png").symlink_to(secret)
    for given in (str(folder), f"{folder}/*.png"):
        with pytest.raises(UserError, match=rf"--input {folder}/link.png: leads out of {folder}, to {secret}"):
            image._files([given])
    assert image._files([str(folder / "link.png")]) == [folder / "link.png"]


def test_a_fifo_of_series_to_ask_about_is_refused(folder: Path) -> None:
    os.mkfifo(folder / "b.csv")
    description = {"data": {"time": "date"}, "targets": ["load"], "horizon": 1, "lookback": 1}

    class Model:
        model = "load"

    with pytest.raises(UserError, match=r"--input .*/b\.csv: no such file"):
        series.ask(Model(), description, [str(folder / "b.csv")])  # type: ignore[arg-type]
