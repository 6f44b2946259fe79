"""What `unroll tune language` searches."""

from unroll.pipelines.tuning import Choice, Floats, Integers, Sizes

SPACE = {
    "model.cell": Choice(("lstm", "gru", "mingru", "transformer", "tcn")),
    "model.units": Integers(64, 768, log=True),
    "model.layers": Integers(1, 6),
    "model.embedding": Integers(16, 128, log=True),
    "model.dropout": Floats(0.0, 0.5),
    "train.chunk": Sizes((32, 64, 100, 128, 200, 256)),
    "train.learning_rate": Floats(3e-4, 1e-2, log=True),
    "train.batch_size": Choice((12, 25, 50)),
}
