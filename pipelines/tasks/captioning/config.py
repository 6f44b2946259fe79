"""What can be set of `unroll train captioning`."""

import ast
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, Field, field_validator, model_validator

from unroll.pipelines.data.sections import GroupColumn, Name, Names, SplitColumn, TableSection
from unroll.pipelines.training.config import ModelSection, ObjectName, TaskConfig, TrainSection
from unroll.pipelines.training.keys import Cell, Embedding, KernelSize, Layers, LearningRate, Share, Units

Kind = Literal["word", "subword", "character"]
_MAX_TOKENS: dict[Kind, int] = {"word": 40, "subword": 60, "character": 200}


class CaptionSection(TableSection):
    """Columns of tables of captioned pictures; other forms, such as COCO's JSON, have names of their own."""

    image: Name = Field("image", description="column of the picture: a path, or its bytes (in CSV and JSONL as base64)")
    images: str | None = Field(None, description="folder that paths start from; null: the data file's own")
    max_missing: float = Field(
        0.5, ge=0, le=1, description="share of the pictures whose files may be missing; they are left out and named"
    )
    caption: Names = Field(["caption"], min_length=1, description="column of captions, or several")
    split: SplitColumn = None
    group: GroupColumn = None
    cluster: Name | None = Field(
        None,
        description="column of what belongs together (a patient, a video, a figure in all its variants); "
        "the hash that decides the split is then the cluster's",
    )
    lowercase: bool = Field(True, description="whether captions are learnt, and answered, in lower case")
    vocabulary: Kind = Field("word", description="tokens that captions are made of; subwords are sentencepiece's")
    vocabulary_size: int = Field(10_000, ge=1, le=1_000_000, description="tokens that are known at most")
    min_count: int = Field(1, ge=1, description="occurrences of a word or character in the train split to be known")
    max_tokens: int | None = Field(
        None, ge=1, le=4096, description="tokens kept of a caption; null: 40 words, 60 subwords or 200 characters"
    )
    size: int | None = Field(
        None,
        ge=16,
        le=1024,
        description="pixels of the square's side that pictures are scaled to fit into, on white; null: as they come, "
        "128 at most, and no more than train.minutes allows",
    )
    max_pixels: int = Field(
        50_000_000,
        ge=1,
        le=120_000_000,
        validation_alias=AliasChoices("max_pixels", "most_pixels"),  # as the cards of older models have it
        description="pixels of the largest picture that is not refused",
    )
    cache_gigabytes: float = Field(
        8, ge=0, description="disk space for decoded pictures; if they need more, they are decoded in every epoch"
    )

    @property
    def kept_tokens(self) -> int:
        """Tokens kept of a caption, without start and end."""
        return self.max_tokens or _MAX_TOKENS[self.vocabulary]

    @model_validator(mode="after")
    def _check_columns(self) -> "CaptionSection":
        names = [self.image, *self.caption]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ValueError(f"column {twice!r} is named twice by data.image and data.caption. Leave one out")
        return self


class CaptionModelSection(ModelSection):
    """The captioner; see `unroll.models.captioner.Captioner`."""

    encoder: ObjectName | None = Field(
        None, description="function of your own, module:name, that builds the image encoder alone; null: see backbone"
    )
    backbone: str | None = Field(
        None, description="network of keras.applications that reads pictures; null: a residual network from scratch"
    )
    weights: str | None = Field(None, description="weights of the backbone: imagenet, a file; null: a random start")
    filters: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="filters of the residual network's first stage; null: 32, or 64 for tiny pictures",
    )
    blocks: int | None = Field(
        None, ge=1, le=16, description="blocks of each stage of the residual network; null: 1, or 2 for small pictures"
    )
    conditioning: Literal["attention", "show_and_tell", "karpathy"] = Field(
        "attention",
        description="how the picture comes in: attention over its grid at every token, read once before the first "
        "(show_and_tell), or its mean added at every one (karpathy)",
    )
    cell: Cell = "lstm"
    units: Units = 256
    layers: Layers = 1
    embedding: Embedding = 128
    grid_dropout: Share | None = Field(
        None, description="share of the picture's features dropped in training; null: the epochs decide"
    )
    dropout: Share | None = Field(
        None, description="share dropped of tokens' features and of the decoder's outputs; null: the epochs decide"
    )
    word_dropout: Share | None = Field(
        None,
        description="share of tokens that training hides, so that the picture has to say what comes next; null: the "
        "epochs decide",
    )
    kernel_size: KernelSize = 3
    beams: int = Field(4, ge=2, le=64, description="hypotheses of the beam search, the answer among them")
    length_penalty: float = Field(
        0.7, ge=0, le=5, description="how far long hypotheses are favoured; 0 ranks them by probability alone"
    )

    @field_validator("backbone")
    @classmethod
    def _check_backbone(cls, value: str | None) -> str | None:
        """Before the pictures are read, which may take hours."""
        if value is not None and value not in (networks := keras_networks()):
            names = {name.lower(): name for name in networks}
            close = get_close_matches(value.lower(), names, n=1)
            known = f"Did you mean {names[close[0]]}?" if close else f"Known: {', '.join(networks)}"
            raise ValueError(f"is not a network of keras.applications. {known}")
        return value

    @property
    def attention(self) -> bool:
        """Whether the model says what it looks at."""
        return self.build is None and self.conditioning == "attention"

    @model_validator(mode="after")
    def _check_encoders(self) -> "CaptionModelSection":
        named = [f"{key}={value!r}" for key in ("build", "encoder", "backbone") if (value := getattr(self, key))]
        if len(named) > 1:
            raise ValueError(f"{' and '.join(named)} name two encoders. Leave one out")
        return self

    @model_validator(mode="after")
    def _check_weights(self) -> "CaptionModelSection":
        if self.weights is not None and self.backbone is None:
            # nothing would be loaded, and the network from scratch would be frozen as one that had learnt
            raise ValueError(
                f"weights={self.weights!r} are those of a backbone, and none is named. Add model.backbone, such as "
                "model.backbone=MobileNetV3Small, or leave model.weights out"
            )
        return self


class CaptionTrainSection(TrainSection):
    """How the captioner is trained."""

    batch_size: int = Field(16, ge=1, le=65536, description="pictures of a training step")
    learning_rate: LearningRate = 2e-3
    captions: int = Field(5, ge=1, le=100, description="captions of a picture that an epoch takes at most")
    label_smoothing: Share = Field(0.1, description="share of the target spread evenly over all tokens")
    coverage: float = Field(0.1, ge=0, description="weight of the loss for positions that attention leaves out")
    scheduled_sampling: Share = Field(
        0.0, description="share of the model's own tokens that it reads in the last epoch, rising from none"
    )
    fine_tune: int | None = Field(
        None, ge=0, description="epoch, from 0, in which a backbone with weights begins to learn; null: never"
    )
    shift: float = Field(0.06, ge=0, le=1, description="share of a side that training pictures are moved by at most")
    zoom: float = Field(0.1, ge=0, le=1, description="training pictures are scaled by 1 + this at most, or its inverse")
    colour: float | None = Field(
        None,
        ge=0,
        le=1,
        description="share of the range that brightness, contrast and each channel change by at most; null: 0.05, or 0 "
        "for pictures with areas of one colour",
    )
    flip: Literal["none", "horizontal", "all"] = Field(
        "none",
        description="how training pictures are mirrored: left to right (horizontal), or in all symmetries of a square, "
        "as for views from the air (all)",
    )


class CaptionConfig(TaskConfig):
    """A picture to a sentence about it."""

    data: CaptionSection = CaptionSection()
    model: CaptionModelSection = CaptionModelSection()
    train: CaptionTrainSection = CaptionTrainSection()


def keras_networks() -> list[str]:
    """Names of the networks in `keras.applications`, read off its source: to import Keras would take seconds.

    Example:
        >>> "MobileNetV3Small" in keras_networks()
        True
    """
    keras = find_spec("keras")
    assert keras
    assert keras.origin
    source = ast.parse((Path(keras.origin).parent / "applications/__init__.py").read_text(encoding="utf-8"))
    imported = [one.name for node in source.body if isinstance(node, ast.ImportFrom) for one in node.names]
    return sorted(name for name in imported if name[0].isupper())
