"""What the data and the time decide where the configuration leaves it open."""

import pytest

from unroll.pipelines.tasks.language.config import LanguageConfig
from unroll.pipelines.tasks.language.plan import sizes


@pytest.mark.parametrize(
    ("characters", "train", "expected"),
    [
        (948_084, {}, (512, 0.3, 25)),
        (948_084, {"minutes": 30}, (512, 0.3, 25)),
        (948_084, {"minutes": 1.5}, (256, 0.1, 25)),
        (948_084, {"epochs": 4}, (512, 0.1, 25)),
        (948_084, {"minutes": 1.5, "epochs": 20}, (256, 0.3, 25)),
        (90_000, {}, (256, 0.3, 4)),
        (10**8, {}, (512, 0.1, 25)),
    ],
)
def test_sizes_follow_the_data_and_the_time(characters: int, train: dict, expected: tuple) -> None:
    found, said = sizes(LanguageConfig.model_validate({"train": train}), characters)
    assert found == expected
    assert f"model.units={expected[0]}, model.dropout={expected[1]}, train.batch_size={expected[2]}" in said


def test_what_is_named_is_kept_and_not_told() -> None:
    named = {"model": {"units": 64, "dropout": 0.0}, "train": {"batch_size": 7, "minutes": 1}}
    found, said = sizes(LanguageConfig.model_validate(named), 10**6)
    assert found == (64, 0.0, 7)
    assert said == ""
