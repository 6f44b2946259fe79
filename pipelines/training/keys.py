"""Keys that configurations of several tasks have in common: their ranges, and what they are for."""

from typing import Annotated, Literal

from pydantic import Field

Cell = Annotated[
    Literal["rnn", "lstm", "gru", "mingru", "tcn", "transformer"],
    Field(
        description="what reads a sequence: a recurrent cell (mingru: a GRU whose gates do not see its state, "
        "which is faster), a temporal convolutional network (tcn), or self-attention (transformer)"
    ),
]
Units = Annotated[int, Field(ge=1, le=4096, description="features of every layer, per direction")]
Layers = Annotated[int, Field(ge=1, le=16, description="recurrent layers, or blocks of a TCN or Transformer")]
Members = Annotated[
    int, Field(ge=1, le=32, description="models, alike but for their initial weights, whose answers are averaged")
]
Embedding = Annotated[int, Field(ge=1, le=4096, description="features of a token")]
KernelSize = Annotated[int, Field(ge=2, le=64, description="taps of a TCN's convolutions")]
Share = Annotated[float, Field(ge=0, lt=1)]
"""Of what is dropped, say; its key says of what."""

Epochs = Annotated[
    int | None,
    Field(ge=1, description="passes over the train split at most; null: train.minutes decides, else the data's size"),
]
LearningRate = Annotated[
    float, Field(gt=0, le=10, description="learning rate after the warm-up; it decays to 0 along a cosine")
]
Patience = Annotated[
    int | None,
    Field(
        ge=1,
        description="epochs without a better validation score before training stops; null: a third of the training",
    ),
]
MixedPrecision = Annotated[
    bool | None,
    Field(
        description="computes in float16 on a GPU, or products of matrices in bfloat16 on a CPU with units for them "
        "(AMX); null: the latter alone"
    ),
]
