"""How long is trained, and which words count, follows from the number of records unless it is said."""

import pytest

from unroll.pipelines.tasks.sentiment.config import SentimentConfig
from unroll.pipelines.tasks.sentiment.plan import default_epochs, planned


@pytest.mark.parametrize(("records", "epochs", "min_count"), [(26_740, 2, 2), (1_000_000, 2, 2), (1600, 10, 1)])
def test_the_number_of_records_decides(records, epochs, min_count):
    config, said = planned(SentimentConfig(), records)
    assert (default_epochs(records).count, config.model.min_count) == (epochs, min_count)
    assert said == f"For {records:,} training records: model.min_count={min_count}."
    assert str(default_epochs(records)) == f"train.epochs={epochs}, for {records:,} training records"


def test_small_sets_are_read_more_often_and_never_less_than_twice():
    epochs = [default_epochs(records).count for records in (1, 100, 2000, 5000, 10_000, 100_000)]
    assert epochs == sorted(epochs, reverse=True)
    assert epochs[-1] == 2


def test_what_is_configured_wins():
    given = SentimentConfig.model_validate({"train": {"epochs": 7}, "model": {"min_count": 3}})
    assert planned(given, 1600) == (given, "")
    config, said = planned(SentimentConfig.model_validate({"train": {"epochs": 7}}), 1600)
    assert (config.train.epochs, config.model.min_count) == (7, 1)
    assert said == "For 1,600 training records: model.min_count=1."
