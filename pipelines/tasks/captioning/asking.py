"""Pictures to a model that captions them."""

import functools
import glob
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
from rich.table import Column, Table
from rich.text import Text

from unroll.errors import UserError
from unroll.pipelines.asking import Answer
from unroll.pipelines.asking.row_question import Answered, RowQuestion, UnusableRowError, table_rows
from unroll.pipelines.asking.rows import column_of, requests, table
from unroll.pipelines.data.records import folder_of
from unroll.pipelines.tasks.captioning.reading.picture_list import names_pictures, open_pictures, picture_list_files
from unroll.pipelines.tasks.captioning.reading.picture_paths import PicturePaths
from unroll.pipelines.tasks.captioning.reading.record import picture_of, read_picture
from unroll.serving.client.client import Client, Prediction, ServingError
from unroll.serving.files.regular_files import check_inside, leads_out

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

INPUT = "image"
_SUFFIXES = (".jpg", ".jpeg", ".png")
_REQUEST_ROWS = 16
_MAX_BYTES = (32 << 20) - 4096  # of a file: a message, as Unroll's client and server take it, has little else
_DRAWN = 4  # pictures


def ask(client: Client, description: Mapping[str, Any], inputs: Sequence[str]) -> Answer:
    """Sends pictures as they are, in requests that a server with default limits takes.

    Args:
        client: of the model.
        description: what the model says of itself: whether it has the signature `attention`.
        inputs: files; folders and globs stand for the JPEG and PNG files in them; a table, a list of captions or a
            JSON file that training reads for the pictures that it names or holds.

    Returns:
        A prediction a picture: `image`, its path; `caption`, `log_probability`, and the `alternatives` likewise. The
        figure shows the first few pictures, with what the model looked at for each word where it says that.

    Raises:
        UserError: no such file, none in a folder, one that is too large or that the server refused.
        ServingError: the server did not answer.

    Example:
        >>> answer = ask(client, {"input": "image", "attention": True}, ["photo.jpg"])  # doctest: +SKIP
        >>> answer.predictions[0]["caption"]  # doctest: +SKIP
        'a dog runs along the beach'
    """
    if any(map(names_pictures, inputs)):
        return _ask_tables(client, description, inputs)
    files = _files(inputs)
    pictures = [_Picture(f"--input {file}", file.absolute()) for file in files]
    version, rows = _asked(client, pictures)
    predictions = [{"image": str(file), **_prediction(row)} for file, row in zip(files, rows, strict=True)]

    def figure() -> "Figure":
        from unroll.pipelines.tasks.captioning.plots import attention_sheet, captioned, open_picture

        shown = pictures[:_DRAWN]
        drawn = [open_picture(picture.read()) for picture in shown]
        if not description.get("attention"):
            return captioned(drawn, [prediction["caption"] for prediction in predictions[:_DRAWN]])
        _, looked = _asked(client, shown, "attention", version)
        return attention_sheet(
            [(picture, row["tokens"].tolist(), row["maps"]) for picture, row in zip(drawn, looked, strict=True)]
        )

    return Answer(version, predictions, _table(f"{client.model}, version {version}", predictions), figure)


def _ask_tables(client: Client, description: Mapping[str, Any], inputs: Sequence[str]) -> Answer:
    if not all(map(names_pictures, inputs)):
        raise UserError("--input: tables and pictures at once. Ask about each apart")
    version, rows = 0, []
    for file in picture_list_files(inputs):
        version, found = table_rows(question(client, description), str(file), description.get("data", {}), version)
        rows += found
    return Answer(version, rows, table(f"{client.model}, version {version}", rows))


def question(client: Client, description: Mapping[str, Any]) -> RowQuestion["_Picture"]:
    """How it is asked about a row of a table."""
    section = description.get("data", {})
    paths = functools.cache(PicturePaths)  # one a folder: it remembers what is there

    def read(cells: Mapping[str, Any], folder: Path) -> _Picture:
        base = Path(section.get("images") or folder)
        image = picture_of(cells["image"], paths(base))
        if image is None:
            raise UnusableRowError("it has no picture")
        if isinstance(image, Path) and not (os.path.isfile(image) and os.access(image, os.R_OK)):
            raise UnusableRowError(
                f"{image}: no picture that can be read. Name their folder with --set data.images=FOLDER"
            )
        if isinstance(image, Path) and leads_out(image, base):
            raise UnusableRowError(f"{image}: leads out of {base}")
        picture = _Picture("", image, base)
        if picture.size() > _MAX_BYTES:
            raise UnusableRowError(f"its picture has {picture.size() / 2**20:.1f} MB, too many for a request")
        return picture

    def answers(pictures: Sequence[_Picture], version: int | None) -> tuple[int, list[Answered]]:
        rows: list[Answered] = []
        for part in requests(pictures, size=_Picture.size, rows=_REQUEST_ROWS):
            for one in _answers(client, part, "serving_default", version):
                if isinstance(one, Prediction):
                    version = one.version
                    rows += [_prediction({name: values[row] for name, values in one.items()}) for row in _rows_of(one)]
                else:
                    rows.append(one)
        return version or 0, rows

    return RowQuestion(
        {"image": section.get("image", "image")},
        read,
        answers,
        stored=["image"],
        files=picture_list_files,
        open=open_pictures,
    )


def ask_frame(
    client: Client, description: Mapping[str, Any], section: Mapping[str, Any], frame: "pd.DataFrame"
) -> list[dict[str, Any]]:
    """Sends the pictures that a DataFrame's column names or holds.

    Args:
        client, description: as in `ask`.
        section: the keys `data.*` of the model, which name the column.
        frame: a picture a row: a path, bytes, or base64.

    Raises:
        UserError: it has no such column, or a row no picture that the model takes.
    """
    base = Path(section["images"] or "")
    pictures = [
        _Picture(f"inputs: row {row}", cell, base) for row, cell in enumerate(column_of(frame, section["image"]))
    ]
    return [_prediction(row) for row in _asked(client, pictures)[1]]


@dataclass(frozen=True)
class _Picture:
    """A picture to send, and where a person finds it."""

    where: str
    cell: Any
    folder: Path = Path()

    def size(self) -> int:
        if isinstance(self.cell, bytes):
            return len(self.cell)
        return os.path.getsize(self.cell) if isinstance(self.cell, Path) else 1 << 18  # of others, about

    def read(self) -> bytes:
        try:
            content = read_picture(self.cell, self.folder)
        except OSError as error:
            raise UserError(f"{self.where}: cannot be read ({error.strerror}). Leave it out") from None
        if content is None:
            raise UserError(f"{self.where}: holds no picture. Leave it out")
        return content


def _files(inputs: Sequence[str]) -> list[Path]:
    files: list[Path] = []
    for given in inputs:
        if Path(given).is_dir():
            files += _pictures(sorted(Path(given).iterdir()), Path(given), f"--input {given}: the folder")
        elif Path(given).is_file():
            files.append(Path(given))
        elif found := sorted(glob.glob(given, recursive=True)):
            files += _pictures([Path(one) for one in found], folder_of(given), f"--input {given}: the pattern")
        else:
            raise UserError(f"--input {given}: no such file, folder or pattern. Give JPEG or PNG files")
    if not files:
        raise UserError("Nothing to ask. Give pictures with --input photo.jpg; a folder or a glob will do.")
    for file in files:
        if (size := file.stat().st_size) > _MAX_BYTES:
            raise UserError(
                f"--input {file}: {size / 2**20:.1f} MB, and a request takes {_MAX_BYTES / 2**20:.1f} MB at most. "
                "Send a smaller copy"
            )
    return files


def _pictures(found: Sequence[Path], folder: Path, where: str) -> list[Path]:
    files = [file for file in found if file.suffix.lower() in _SUFFIXES and file.is_file()]
    if not files:
        raise UserError(f"{where} holds no {', '.join(_SUFFIXES)} file. Name another")
    for file in files:
        check_inside(file, folder, "--input")
    return files


def _asked(
    client: Client, pictures: Sequence[_Picture], signature: str = "serving_default", version: int | None = None
) -> tuple[int, list[dict[str, Any]]]:
    """The version that answered all, and the outputs of each picture."""
    rows: list[dict[str, Any]] = []
    for part in requests(pictures, size=_Picture.size, rows=_REQUEST_ROWS):
        before = len(rows)
        for answer in _answers(client, part, signature, version):
            if isinstance(answer, UnusableRowError):
                raise UserError(f"{part[len(rows) - before].where}: {answer}. Leave it out")
            version = answer.version  # of every answer, as it is printed once
            rows += [{name: values[row] for name, values in answer.items()} for row in _rows_of(answer)]
    return version or 0, rows


def _rows_of(answer: Prediction) -> range:
    return range(len(answer["caption"]))


def _answers(
    client: Client, pictures: Sequence[_Picture], signature: str, version: int | None
) -> list[Prediction | UnusableRowError]:
    """Answers to one request, or to one a picture where that was refused, to find the one that the server means."""
    try:
        return [client.predict({"image": [picture.read() for picture in pictures]}, signature, version)]
    except ServingError as error:
        if error.code is not grpc.StatusCode.INVALID_ARGUMENT and "larger than max" not in error.message:
            raise
        if len(pictures) == 1:
            reason = error.message.partition("\n")[0].rstrip(". ")  # what follows names operations of the graph
            return [UnusableRowError(f"{client.model} refused it: {reason}")]
    return [answer for picture in pictures for answer in _answers(client, [picture], signature, version)]


def _prediction(row: Mapping[str, Any]) -> dict[str, Any]:
    others = zip(row["alternatives"].tolist(), row["alternative_log_probabilities"].tolist(), strict=True)
    return {
        "caption": row["caption"],
        "log_probability": float(row["log_probability"]),
        "alternatives": [
            {"caption": caption, "log_probability": value} for caption, value in others if np.isfinite(value)
        ],
    }


def _table(title: str, predictions: Sequence[Mapping[str, Any]]) -> Table:
    headings = ("image", "caption", "log-probability", "alternatives")
    shown = Table(*(Column(heading, overflow="fold") for heading in headings), title=Text(title))
    for prediction in predictions:
        others = [f"{other['caption']} ({other['log_probability']:.2f})" for other in prediction["alternatives"]]
        cells = (prediction["image"], prediction["caption"], f"{prediction['log_probability']:.2f}", "\n".join(others))
        shown.add_row(*map(Text, cells))
    return shown
