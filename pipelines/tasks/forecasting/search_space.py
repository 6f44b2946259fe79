"""What `unroll tune forecasting` searches."""

from unroll.pipelines.tuning import Choice, Floats, Integers, Sizes

SPACE = {
    "model.lookback": Sizes((8, 12, 24, 36, 48, 96, 168, 336, 512, 720)),
    "model.cell": Choice(("gru", "lstm", "mingru", "tcn", "transformer")),
    "model.units": Integers(8, 128, log=True),
    "model.segment": Sizes((4, 8, 12, 24, 48)),
    "model.dropout": Floats(0.0, 0.6),
    "train.learning_rate": Floats(2e-4, 1e-2, log=True),
    "train.batch_size": Choice((16, 32, 64, 128)),
}
