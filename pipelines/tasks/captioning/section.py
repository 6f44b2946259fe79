"""Where pictures and captions are found in data files, and how they are prepared."""

from typing import Literal

from pydantic import Field, model_validator

from unroll.pipelines.data.sections import Delimiter, Encoding, GroupColumn, Names, SplitColumn
from unroll.pipelines.training.config import Section

Kind = Literal["word", "subword", "character"]
_MAX_TOKENS: dict[Kind, int] = {"word": 40, "subword": 60, "character": 200}


class CaptionSection(Section):
    """Columns of tables of captioned pictures; of COCO's JSON only `images` and the keys of an image are used."""

    image: str = Field("image", description="column of the picture: a path, or its bytes (in JSONL as base64)")
    images: str | None = Field(None, description="folder that paths start from; null: the data file's own")
    caption: Names = Field(["caption"], min_length=1, description="one or several columns of captions")
    split: SplitColumn = None
    group: GroupColumn = None
    cluster: str | None = Field(
        None,
        description="column of what belongs together (a patient, a video, a figure in all its variants); "
        "the hash that decides the split is then the cluster's",
    )
    lowercase: bool = True
    vocabulary: Kind = Field("word", description="what captions are made of")
    vocabulary_size: int = Field(10_000, ge=1, le=1_000_000, description="pieces kept at most")
    min_count: int = Field(1, ge=1, description="occurrences of a kept piece in the train split; not of subwords")
    max_tokens: int | None = Field(None, ge=1, le=4096, description="pieces kept of a caption; null: by vocabulary")
    size: int = Field(128, ge=16, le=1024, description="pixels of a side that pictures are scaled to")
    most_pixels: int = Field(50_000_000, ge=1, le=120_000_000, description="of a picture that is not refused")
    cache_gigabytes: float = Field(8, ge=0, description="decoded pictures are kept on disk where that is enough")
    delimiter: Delimiter = None
    encoding: Encoding = "utf-8"

    @property
    def most_tokens(self) -> int:
        """Pieces kept of a caption, without start and end."""
        return self.max_tokens or _MAX_TOKENS[self.vocabulary]

    @model_validator(mode="after")
    def _check_columns(self) -> "CaptionSection":
        names = [self.image, *self.caption]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ValueError(f"column {twice!r} is named twice by data.image and data.caption. Leave one out")
        return self
