"""What can be set of `unroll train translation`."""

from pydantic import Field

from unroll.pipelines.data.sections import GroupColumn, Name, SplitColumn, TableSection
from unroll.pipelines.training.config import Section, TaskConfig, TrainSection
from unroll.pipelines.training.keys import Cell, KernelSize, LearningRate, Members, MixedPrecision, Share


class PairSection(TableSection):
    """Where the pairs are; of aligned files, tables' keys other than `encoding` say nothing."""

    source: Name = Field(
        "source",
        description="column of the texts that are translated; of aligned files what their names end in, such as en",
    )
    target: Name = Field("target", description="column of their translations; or what the other files' names end in")
    split: SplitColumn = None
    group: GroupColumn = None
    max_tokens: int = Field(
        128, ge=1, le=4096, description="subwords of a text at most: longer pairs are not learnt, longer texts cut"
    )
    vocabulary_size: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="subwords of both sides together, at most; null: the number of pairs decides, 500 to 8,000",
    )


class TranslatorModelSection(Section):
    """The model; see `unroll.models.encoder_decoder.translator.Translator`."""

    cell: Cell = "lstm"
    units: int | None = Field(
        None,
        ge=2,
        le=4096,
        description="features of every layer, of which each direction of the encoder has half; null: the number of "
        "pairs decides",
    )
    layers: int | None = Field(
        None, ge=1, le=16, description="layers of the encoder, and of the decoder; null: 2, or 4 of a Transformer"
    )
    embedding: int | None = Field(
        None, ge=1, le=4096, description="features of a subword; null: 256, or of a Transformer as of its layers"
    )
    tied: bool = Field(True, description="whether subwords are read and written by the same weights")
    dropout: Share | None = Field(
        None,
        description="share dropped of what each layer reads, of the encoded source and of the decoder's outputs; "
        "null: the number of pairs decides",
    )
    kernel_size: KernelSize = 3
    members: Members = 1
    beams: int = Field(5, ge=2, le=64, description="hypotheses of the beam search, the answer among them")
    length_penalty: float | None = Field(
        None,
        ge=0,
        le=5,
        description="how far long hypotheses are favoured; 0 ranks them by probability alone; null: the validation "
        "split decides",
    )
    coverage_penalty: float = Field(
        0.0, ge=0, le=5, description="how far hypotheses are favoured that look at all of the source"
    )


class TranslatorTrainSection(TrainSection):
    """How the translator is trained."""

    batch_size: int = Field(
        96, ge=1, le=65536, description="pairs of average length in a step; of longer ones fewer, of shorter ones more"
    )
    learning_rate: LearningRate = 2e-3
    mixed_precision: MixedPrecision = None
    label_smoothing: Share = Field(0.1, description="share of the target spread evenly over all subwords")


class TranslationConfig(TaskConfig):
    """A text to what it is in another language."""

    data: PairSection = PairSection()
    model: TranslatorModelSection = TranslatorModelSection()
    train: TranslatorTrainSection = TranslatorTrainSection()
