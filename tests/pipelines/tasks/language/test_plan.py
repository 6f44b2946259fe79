"""What the data and the time decide where the configuration leaves it open."""

import pytest

from unroll.pipelines.tasks.language.config import LanguageConfig
from unroll.pipelines.tasks.language.plan import sized


@pytest.mark.parametrize(
    ("characters", "train", "expected"),
    [
        (948_084, {}, (512, 0.3, 25, 100, 0.003)),
        (948_084, {"minutes": 30}, (512, 0.3, 25, 100, 0.003)),
        (948_084, {"minutes": 1.5}, (256, 0.1, 25, 50, 0.006)),
        (948_084, {"epochs": 4}, (512, 0.1, 25, 100, 0.006)),
        (948_084, {"minutes": 1.5, "epochs": 20}, (256, 0.3, 25, 50, 0.003)),
        (90_000, {}, (256, 0.3, 4, 100, 0.003)),
        (10**8, {}, (512, 0.1, 25, 100, 0.006)),
    ],
)
def test_sizes_follow_the_data_and_the_time(characters: int, train: dict, expected: tuple) -> None:
    found, said = sized(LanguageConfig.model_validate({"train": train}), characters)
    assert (found.model.units, found.model.dropout) == expected[:2]
    assert (found.train.batch_size, found.train.chunk, found.train.learning_rate) == expected[2:]
    units, dropout, streams, chunk, rate = expected
    network = f"model.units={units}, model.layers=1, model.dropout={dropout}"
    assert said.endswith(f": {network}, train.batch_size={streams}, train.chunk={chunk}, train.learning_rate={rate}.")


def test_cells_that_see_little_by_one_layer_have_several() -> None:
    found, _ = sized(LanguageConfig.model_validate({"model": {"cell": "transformer"}}), 10**6)
    assert (found.model.layers, found.model.units, found.train.learning_rate) == (4, 256, 0.001)
    for cell, layers in (("lstm", 1), ("rnn", 1), ("mingru", 3), ("tcn", 6)):
        assert sized(LanguageConfig.model_validate({"model": {"cell": cell}}), 10**6)[0].model.layers == layers


def test_what_is_named_is_kept_and_not_told() -> None:
    named = {
        "model": {"units": 64, "layers": 2},
        "train": {"batch_size": 7, "chunk": 9, "learning_rate": 0.1, "minutes": 1.5},
    }
    found, said = sized(LanguageConfig.model_validate(named), 10**6)
    assert said == "For 1,000,000 training characters and 1.5 minutes: model.dropout=0.1."
    assert found == LanguageConfig.model_validate(named | {"model": {"units": 64, "layers": 2, "dropout": 0.1}})
    assert sized(found, 10**6) == (found, "")
