"""Captioned pictures of data files: tables, or COCO's JSON."""

import base64
import binascii
import gzip
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Any

from unroll.errors import UserError
from unroll.pipelines.data.records import SUFFIXES, file_format, find_files, read_records
from unroll.pipelines.data.sections import column_advice
from unroll.pipelines.tasks.captioning.config import CaptionSection
from unroll.serving.files.regular_files import leads_out

_COCO = ".json"
_MIN_BASE64 = 64  # characters; no picture is smaller, and few paths hold only letters, digits and slashes
_DATA_URL = re.compile(r"^data:[\w/+.-]*;base64,")


@dataclass(frozen=True)
class CaptionRecord:
    """A picture with captions, of which other records may hold more.

    Args:
        image: the picture's bytes, or its file, which may be missing; None where the cell is empty.
        captions: as the data has them.
        split: the split column's value, if one is named.
        group: the group column's value, or empty.
        cluster: the cluster column's value, or empty: the picture is a cluster of its own.
        source: where a person finds the picture: its path, or data file and row.
        folder: where paths start from, and what they may not lead out of.
    """

    image: bytes | Path | None
    captions: list[str]
    split: str | None
    group: str
    cluster: str
    source: str
    folder: Path = field(default=Path(), compare=False)


def caption_files(data: str) -> list[Path]:
    """The data files that a path names.

    Raises:
        UserError: there are none.
    """
    return find_files(data, (*SUFFIXES, _COCO))


def picture_files(section: CaptionSection, data: str) -> list[Path]:
    """The files of pictures that the records name, each once; those that are not read are left out.

    Args:
        section, data: see `caption_records`.

    Raises:
        UserError: see `caption_records`.
    """
    folders = {one.image: one.folder for one in caption_records(section, data) if isinstance(one.image, Path)}
    return [
        path
        for path, folder in folders.items()
        if os.path.isfile(path) and os.access(path, os.R_OK) and not leads_out(path, folder)
    ]


def caption_records(section: CaptionSection, data: str) -> Iterator[CaptionRecord]:
    """Streams the records of all data files.

    Args:
        section: names the columns; COCO's JSON has `images` of `id` and `file_name`, and `annotations` of `image_id`
            and `caption` (cocodataset.org/#format-data), and split, group and cluster are keys of an image.
        data: file, folder or glob.

    Raises:
        UserError: no such file or column, or a file that cannot be read.
    """
    for file in caption_files(data):
        folder = Path(section.images) if section.images else file.parent
        yield from _table(section, file, folder) if file_format(file) else _coco(section, file, folder)


def _table(section: CaptionSection, file: Path, folder: Path) -> Iterator[CaptionRecord]:
    stored = [section.image, *section.caption]
    columns = list(dict.fromkeys(name for name in (*stored, section.split, section.group, section.cluster) if name))
    row = 0
    batches = read_records(
        [file],
        columns,
        table_format=section.table_format,
        as_stored=stored,
        advice=column_advice(section),
    )
    for batch in batches:
        for index, cell in enumerate(batch[section.image]):
            row += 1
            image = picture_of(cell, folder)
            yield CaptionRecord(
                image,
                [caption for name in section.caption for caption in _captions(batch[name][index])],
                batch[section.split][index] if section.split else None,
                (batch[section.group][index] or "") if section.group else "",
                (batch[section.cluster][index] or "") if section.cluster else "",
                str(image) if isinstance(image, Path) else f"{file.name}, row {row}",
                folder,
            )


def picture_of(cell: Any, folder: Path) -> bytes | Path | None:
    """A picture's bytes, or its file; None of an empty cell.

    Args:
        cell: bytes, base64, a path, or a dictionary of `bytes` and `path`.
        folder: where a relative path starts.
    """
    if isinstance(cell, dict):  # of a datasets library that keeps bytes and path together
        cell = cell.get("bytes") or cell.get("path")
    if isinstance(cell, bytes):
        return cell or None
    text = "" if cell is None else str(cell).strip()
    digits = "".join(_DATA_URL.sub("", text).split())  # many encoders begin a new line every 76 characters
    if len(digits) >= _MIN_BASE64:
        try:
            return base64.b64decode(digits, validate=True)
        except binascii.Error:
            pass
    return folder / text if text else None


def read_picture(cell: Any, folder: Path) -> bytes | None:
    """The picture of a DataFrame's cell; None of an empty one.

    Raises:
        OSError: its file cannot be read.
    """
    image = picture_of(str(cell) if isinstance(cell, PurePath) else cell, folder)
    return image.read_bytes() if isinstance(image, Path) else image


def _captions(cell: Any) -> list[str]:
    if cell is None:
        return []
    return [str(one) for one in cell if one is not None] if isinstance(cell, list) else [str(cell)]


def _coco(section: CaptionSection, file: Path, folder: Path) -> Iterator[CaptionRecord]:
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
            content = json.load(stream)
        captions: dict[Any, list[str]] = {}
        for annotation in content["annotations"]:
            captions.setdefault(annotation["image_id"], []).extend(_captions(annotation["caption"]))
        images = [(image["id"], folder / image["file_name"], image) for image in content["images"]]
    except (OSError, EOFError, ValueError) as error:
        raise UserError(f"{file}: cannot be read as JSON ({error})") from None
    except (KeyError, TypeError) as error:
        wrong = f"Missing: {error}" if isinstance(error, KeyError) else f"Something else stands there ({error})"
        raise UserError(
            f"{file}: is not COCO's captions JSON, which has images of id and file_name, and annotations of image_id "
            f"and caption. {wrong}. Write other data as .jsonl, .csv or .parquet"
        ) from None
    for identity, path, image in images:
        yield CaptionRecord(
            path,
            captions.get(identity, []),
            _key(image, section.split, file),
            _key(image, section.group, file) or "",
            _key(image, section.cluster, file) or "",
            str(path),
            folder,
        )


def _key(image: dict[str, Any], name: str | None, file: Path) -> str | None:
    if name is None:
        return None
    if name not in image:
        raise UserError(
            f"{file}: image {image['id']} has no {name!r}. It has: {', '.join(image)}. Name the right key with "
            "--set data.split=..., data.group=... or data.cluster=..., or null for none"
        )
    return None if image[name] is None else str(image[name])
