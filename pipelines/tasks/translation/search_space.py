"""What `unroll tune translation` searches."""

from unroll.pipelines.tuning import Choice, Floats, Integers, Sizes

SPACE = {
    "data.vocabulary_size": Sizes((500, 1000, 2000, 4000, 6000, 8000)),
    "model.cell": Choice(("lstm", "gru", "mingru", "transformer")),
    "model.units": Integers(128, 768, log=True),
    "model.layers": Integers(1, 4),
    "model.dropout": Floats(0.1, 0.5),
    "train.label_smoothing": Floats(0.0, 0.2),
    "train.learning_rate": Floats(3e-4, 5e-3, log=True),
    "train.batch_size": Choice((32, 64, 96, 128, 192)),
}
