"""What `unroll tune captioning` searches."""

from unroll.pipelines.tuning import Choice, Floats, Integers, Sizes

SPACE = {
    "data.size": Sizes((16, 24, 32, 48, 64, 96, 128)),
    "model.filters": Integers(16, 64, log=True),
    "model.conditioning": Choice(("attention", "show_and_tell", "karpathy")),
    "model.cell": Choice(("lstm", "gru", "mingru", "transformer")),
    "model.units": Integers(128, 512, log=True),
    "model.dropout": Floats(0.1, 0.6),
    "model.word_dropout": Floats(0.0, 0.4),
    "train.label_smoothing": Floats(0.0, 0.2),
    "train.learning_rate": Floats(3e-4, 5e-3, log=True),
    "train.batch_size": Choice((8, 16, 32, 64)),
}
