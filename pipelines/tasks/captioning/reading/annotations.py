"""Captioned pictures of JSON files, in the forms that data sets are handed around in.

- COCO (cocodataset.org/#format-data): `images` of `id` and `file_name`, `annotations` of `image_id` and `caption`.
- Karpathy's splits: `images` of `filename`, perhaps `filepath`, `split`, and `sentences` of `raw`. What the split
  `restval` holds is for training, as in his paper (Karpathy and Fei-Fei 2015).
- A list of records with the keys of a table's columns.
- Pictures' paths to their captions: `{"a.jpg": ["a dog", "a brown dog"]}`.
"""

import gzip
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from unroll.errors import UserError
from unroll.pipelines.data.sections import column_advice
from unroll.pipelines.tasks.captioning.config import CaptionSection
from unroll.pipelines.tasks.captioning.reading.picture_paths import PicturePaths
from unroll.pipelines.tasks.captioning.reading.record import CaptionRecord, captions_of, picture_of

_SPLITS = {"restval": "train"}


def annotated_pictures(
    section: CaptionSection, file: Path, paths: PicturePaths, optional: Sequence[str | None] = ()
) -> Iterator[CaptionRecord]:
    """The records of a JSON file.

    Args:
        section: names keys of the pictures; those of image and captions count in lists of records only.
        file: JSON; a name ending in `.gz` is unpacked on the way.
        paths: finds the pictures' files.
        optional: keys that pictures may lack.

    Raises:
        UserError: a file that cannot be read, of another form, or without a key that is named.
    """
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as stream:
            content = json.load(stream)
    except (OSError, EOFError, ValueError) as error:
        raise UserError(f"{file}: cannot be read as JSON ({error})") from None
    try:
        if isinstance(content, list):
            found = _listed(section, file, content)
        elif "images" not in content and content and all(isinstance(one, str | list) for one in content.values()):
            found = [({}, name, captions_of(captions), None) for name, captions in content.items()]
        elif any("sentences" in image for image in content["images"]):
            found = [_of_karpathy(image, paths) for image in content["images"]]
        else:
            found = _of_coco(content, paths)
    except (AttributeError, KeyError, TypeError) as error:
        wrong = f"Missing: {error}" if isinstance(error, KeyError) else f"Something else stands there ({error})"
        raise UserError(
            f"{file}: is not COCO's captions JSON, which has images of id and file_name, and annotations of image_id "
            f"and caption. {wrong}. Karpathy's JSON, a list of records and captions by picture are read too; write "
            "other data as .jsonl, .csv or .parquet"
        ) from None
    for number, (keys, cell, captions, split) in enumerate(found, start=1):
        image = picture_of(cell, paths)
        renamed = isinstance(image, Path) and isinstance(cell, str) and image != paths.folder / cell.strip()
        yield CaptionRecord(
            image,
            captions,
            split if section.split is None else _key(keys, section.split, file) or "",
            _key(keys, section.group, file, optional) or "",
            _key(keys, section.cluster, file, optional) or "",
            str(image) if isinstance(image, Path) else f"{file.name}, record {number}",
            paths.folder,
            cell if renamed else "",
        )


_Found = tuple[Mapping[str, Any], Any, list[str], str | None]
"""The keys of a picture, what names it, its captions and its split."""


def _of_coco(content: Mapping[str, Any], paths: PicturePaths) -> list[_Found]:
    captions: dict[Any, list[str]] = {}
    for annotation in content["annotations"]:
        captions.setdefault(annotation["image_id"], []).extend(captions_of(annotation["caption"]))
    found: list[_Found] = []
    for image in content["images"]:
        name, url = image["file_name"], str(image.get("coco_url") or "").split("/")
        if len(url) > 1 and not os.path.lexists(paths.folder / name) and os.path.lexists(paths.folder / url[-2] / name):
            name = f"{url[-2]}/{name}"  # train2017 or val2017, as the archives unpack
        found.append((image, name, captions.get(image["id"], []), None))
    return found


def _of_karpathy(image: Mapping[str, Any], paths: PicturePaths) -> _Found:
    name, folder = image["filename"], image.get("filepath")
    if folder and not os.path.lexists(paths.folder / name):
        name = f"{folder}/{name}"
    sentences = image["sentences"]
    captions = [str(one["raw"]) if "raw" in one else " ".join(one["tokens"]) for one in sentences]
    split = image.get("split")
    return image, name, captions, split if split is None else _SPLITS.get(split, split)


def _listed(section: CaptionSection, file: Path, records: list[dict[str, Any]]) -> list[_Found]:
    found: list[_Found] = []
    for number, record in enumerate(records, start=1):
        if not isinstance(record, dict):
            raise TypeError(f"a list of {type(record).__name__}")
        for name in (section.image, *section.caption):
            if name not in record:
                raise UserError(
                    f"{file}, record {number}: has no {name!r}. It has: {', '.join(record)}. Name the right key: "
                    f"{column_advice(section)[name]}"
                )
        captions = [caption for name in section.caption for caption in captions_of(record[name])]
        found.append((record, record[section.image], captions, None))
    return found


def _key(keys: Mapping[str, Any], name: str | None, file: Path, optional: Sequence[str | None] = ()) -> str | None:
    if name is None or (name in optional and name not in keys):
        return None
    if name not in keys:
        which = f"image {keys['id']}" if "id" in keys else "a picture"
        raise UserError(
            f"{file}: {which} has no {name!r}. It has: {', '.join(keys)}. Name the right key with "
            "--set data.split=..., data.group=... or data.cluster=..., or null for none"
        )
    value = keys[name]
    return None if value is None else _SPLITS.get(str(value), str(value))
