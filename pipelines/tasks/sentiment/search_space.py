"""What `unroll tune sentiment` searches."""

from unroll.pipelines.tuning import Choice, Floats, Integers

SPACE = {
    "model.cell": Choice(("tcn", "gru", "lstm", "mingru", "transformer")),
    "model.units": Integers(16, 128, log=True),
    "model.embedding": Integers(16, 128, log=True),
    "model.dropout": Floats(0.2, 0.7),
    "model.word_dropout": Floats(0.0, 0.4),
    "model.min_count": Choice((1, 2, 3)),
    "train.learning_rate": Floats(3e-4, 1e-2, log=True),
    "train.batch_size": Choice((16, 32, 64, 128)),
}
