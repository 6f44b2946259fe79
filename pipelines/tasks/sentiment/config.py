"""What can be set of `unroll train sentiment`."""

from typing import Literal

from pydantic import Field

from unroll.pipelines.data.sections import GroupColumn, MergeCase, Name, SplitColumn, TableSection
from unroll.pipelines.data.splits import Conflicts
from unroll.pipelines.training.config import ModelSection, TaskConfig, TrainSection
from unroll.pipelines.training.keys import (
    Cell,
    Embedding,
    KernelSize,
    Layers,
    LearningRate,
    Members,
    Share,
    Units,
)


class LabelledTextSection(TableSection):
    """Where texts and labels are found in the data files."""

    text: Name = Field("text", description="column of the text")
    label: Name = Field("label", description="column of the class")
    split: SplitColumn = None
    group: GroupColumn = None
    label_names: dict[str, str] = Field(
        {}, description='what clients are answered for a label of the data: {"0": negative, "1": positive}'
    )
    merge_case: MergeCase = True
    conflicts: Conflicts = Field(
        "majority",
        description="a text with different labels: kept with the one that most of its copies have, dropped if there is "
        "none (majority); always dropped (drop); kept once with each (keep)",
    )


class SentimentModelSection(ModelSection):
    """The classifier; see `unroll.models.text.classifier.TextClassifier`."""

    cell: Cell = "tcn"
    units: Units = 64
    layers: Layers = 2
    members: Members = 3
    bidirectional: bool = Field(
        False,
        description="whether the encoders also read a text from its end; in a Transformer, each word then sees all",
    )
    residual: bool = Field(
        False, description="adds each recurrent layer's input to its output; a TCN and a Transformer always do"
    )
    embedding: Embedding = 64
    vectors: str | None = Field(
        None,
        description="file of pretrained word vectors, fastText's .vec or GloVe's text, also .gz; their size is the "
        "embedding's; null: none",
    )
    dropout: Share = Field(0.5, description="share of the pooled features dropped in training")
    embedding_dropout: Share = Field(0.2, description="share of a token's features dropped, the same at every timestep")
    recurrent_dropout: Share = Field(0.0, description="share of a recurrent layer's carried state dropped")
    word_dropout: Share = Field(0.2, description="share of tokens that the encoders see as unknown in training")
    kernel_size: KernelSize = 3
    pooling: list[Literal["last", "mean", "max", "attention"]] = Field(
        ["mean", "max"],
        min_length=1,
        description="how timesteps become one vector; several are put side by side",
    )
    vocabulary_size: int = Field(50_000, ge=1, le=2_000_000, description="words that are known at most")
    min_count: int | None = Field(
        None,
        ge=1,
        description="occurrences of a word in the train split to be known; null: the number of records decides",
    )
    max_tokens: int = Field(1000, ge=1, le=100_000, description="tokens kept of a text")
    encoder_tokens: int = Field(
        256, ge=2, description="tokens that the encoders read of a longer text, half at each end"
    )
    ngram_buckets: int = Field(
        2**18, ge=0, le=2**26, description="buckets that pairs of words are hashed into; 0 leaves the linear path out"
    )
    encoder_loss: float = Field(1.0, ge=0, description="weight of the encoders' own losses beside that of the whole")


class SentimentTrainSection(TrainSection):
    """How the classifier is trained."""

    learning_rate: LearningRate = 2e-3
    class_weights: bool = Field(False, description="weighs classes by the inverse of their frequency")


class SentimentConfig(TaskConfig):
    """A text to a class: sentiment, topic, intent."""

    data: LabelledTextSection = LabelledTextSection()
    model: SentimentModelSection = SentimentModelSection()
    train: SentimentTrainSection = SentimentTrainSection()
