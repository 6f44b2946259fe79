"""What can be set of `unroll train language`."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from unroll.pipelines.data.sections import Name, SplitColumn, TableSection
from unroll.pipelines.training.config import Section, TaskConfig, TrainSection
from unroll.pipelines.training.keys import Cell, Embedding, KernelSize, Members, MixedPrecision, Share, Units

_SUM = 1e-6  # by which shares may differ from 1 in sum


def _check_fractions(shares: list[float]) -> list[float]:
    if min(shares) <= 0 or abs(sum(shares) - 1) > _SUM:
        raise ValueError("must be three shares above 0 that add up to 1, such as [0.8, 0.1, 0.1]")
    return shares


Fractions = Annotated[list[float], Field(min_length=3, max_length=3), AfterValidator(_check_fractions)]


class CorpusSection(TableSection):
    """Where the text is; of text files, tables' keys other than `encoding` say nothing."""

    text: Name = Field("text", description="column of the text, where the data are tables; each row is a document")
    document: Literal["file", "line", "paragraph"] = Field(
        "file",
        description="what a document of text files is: a file, a line, or what stands between empty lines; a single "
        "one is a running text",
    )
    split: SplitColumn = None
    split_fractions: Fractions | None = Field(
        None,
        description="shares of train, validation and test, from the beginning to the end of the data; null: "
        "[0.8, 0.1, 0.1] of a running text, and of documents a hash of each decides",
    )
    unit: Literal["character", "subword", "word"] = Field(
        "character",
        description="what the model reads and writes at a time; a word that it does not know is spelled",
    )
    min_count: int = Field(1, ge=1, description="occurrences of a unit in the train split to be known")
    vocabulary_size: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="characters that are known at most, and words beside them, or subwords, characters included; null: "
        "10,000, of subwords one for each 400 training characters, but 500 at least and 10,000 at most",
    )

    @model_validator(mode="after")
    def _one_split(self) -> Self:
        if self.split and self.split_fractions:
            raise ValueError("split and split_fractions both say where the splits are. Leave one of them out")
        return self


class WriterModelSection(Section):
    """The model; see `unroll.models.autoregressive.Autoregressive`."""

    cell: Cell = "lstm"
    units: Units | None = Field(
        None,
        description="features of every layer; null: 512, or 256 of several layers, for little text, or for less than 5 "
        "minutes",
    )
    layers: int | None = Field(
        None,
        ge=1,
        le=16,
        description="recurrent layers, or blocks of a TCN or Transformer; null: 1, of mingru 3, tcn 6, transformer 4",
    )
    members: Members = 1
    ngrams: bool = Field(
        True,
        description="mixes n-grams of what was learnt into the answer, where the validation split gains by that",
    )
    embedding: Embedding = 64
    dropout: Share | None = Field(
        None,
        description="share of the last layer's features dropped in training; null: 0.3, or 0.1 where the text is read "
        "less than 5 times",
    )
    layer_dropout: Share = Field(0.0, description="share of the features dropped that each layer reads")
    recurrent_dropout: Share = Field(0.0, description="share of a recurrent layer's carried state dropped")
    residual: bool = Field(
        False, description="adds each recurrent layer's input to its output; a TCN and a Transformer always do"
    )
    kernel_size: KernelSize = 3
    window: int = Field(
        256, ge=1, le=65536, description="units that a Transformer looks back at, in training as when it writes"
    )


class WriterTrainSection(TrainSection):
    """How the model is trained."""

    batch_size: int | None = Field(  # type: ignore[assignment]
        None,
        ge=1,
        le=65536,
        description="streams that are read side by side; null: 25, or fewer so that each is 20,000 characters long",
    )
    chunk: int | None = Field(
        None,
        ge=1,
        le=65536,
        description="units that a stream goes on at a step, and gradients reach back; its state is carried further; "
        "null: 100, or 50 in less than 5 minutes",
    )
    learning_rate: float | None = Field(  # type: ignore[assignment]
        None,
        gt=0,
        le=10,
        description="learning rate after the warm-up; it decays to 0 along a cosine; null: 0.003, of a "
        "transformer 0.001, and twice that in less than 5 minutes or epochs",
    )
    mixed_precision: MixedPrecision = None
    dynamic_evaluation: bool = Field(
        False,
        description="also scores the test split while the model learns from what it has read of it, which takes "
        "minutes and changes nothing that is served",
    )
    weight_decay: float = Field(
        0.004, ge=0, lt=1, description="share of every weight, times the learning rate, taken off at each step (AdamW)"
    )


class LanguageConfig(TaskConfig):
    """A text to how it goes on: a language model of characters or words."""

    data: CorpusSection = CorpusSection()
    model: WriterModelSection = WriterModelSection()
    train: WriterTrainSection = WriterTrainSection()
