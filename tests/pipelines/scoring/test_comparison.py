"""When a baseline is told to be better than a model, and when it cannot be told."""

import json

import numpy as np
import pytest
from scipy.stats import binomtest

from unroll.pipelines.scoring.block_losses import BlockLosses
from unroll.pipelines.scoring.comparison import Comparison, Losses, compare


def answers(wrong_by_model: int, wrong_by_baseline: int, wrong_by_both: int, records: int) -> Losses:
    """Of right and wrong answers."""
    model, baseline = np.zeros(records), np.zeros(records)
    model[:wrong_by_model] = 1
    baseline[wrong_by_model : wrong_by_model + wrong_by_baseline] = 1
    model[records - wrong_by_both :] = baseline[records - wrong_by_both :] = 1
    return Losses("accuracy", model, {"tfidf": baseline}, figure="complement")


def compared(losses: Losses) -> Comparison:
    found = compare(losses)
    assert found is not None
    return found


@pytest.mark.parametrize(("records", "both"), [(30, 3), (200, 0), (5000, 800)])
def test_right_and_wrong_answers_tell_what_an_exact_mcnemar_test_tells(records: int, both: int) -> None:
    for model in range(1, 20):
        for baseline in range(min(model, records - both - model)):
            p = binomtest(model, model + baseline).pvalue
            below = compared(answers(model, baseline, both, records)).below
            if not 0.05 < p < 0.07:  # where the two may differ
                assert below == (p < 0.05), f"{model} and {baseline} of {records}: p = {p:.3f}"


@pytest.mark.parametrize(("wrong", "word"), [(160, "Below"), (120, "Level"), (110, "Level"), (60, "")])
def test_the_sentence_names_the_baseline_both_figures_and_the_interval(wrong: int, word: str) -> None:
    rng = np.random.default_rng(0)
    baseline = (rng.permutation(400) < 116).astype(float)
    model = (rng.permutation(400) < wrong).astype(float)
    found = compared(Losses("accuracy", model, {"tfidf": baseline}, figure="complement"))
    said = found.sentence()
    assert said.startswith(word)
    if word:
        assert f"its baseline: on the test split tfidf has accuracy 0.71, the model {1 - wrong / 400:.4g} (" in said
        assert f"{found.low:.3g} to {found.high:.3g}" in said
        assert found.low < 0.71 - (1 - wrong / 400) < found.high
    else:
        assert said == ""


def test_a_model_without_errors_is_never_below_and_a_baseline_without_errors_is_not_level() -> None:
    assert compared(answers(0, 0, 0, 50)).sentence() == "", "both perfect"
    assert compared(answers(0, 5, 0, 50)).sentence() == ""
    assert compared(answers(1, 0, 0, 50)).sentence() == "", "none could be above it, and one error tells nothing"
    assert compared(answers(20, 0, 0, 50)).below, "but twenty do"
    nearly = Losses("mase", np.full(40, 0.008), {"naive": np.zeros(40)}, negligible=0.01)
    assert compared(nearly).sentence() == "", "a rounding error"
    assert compared(Losses("mase", np.full(40, 0.02), {"naive": np.zeros(40)}, negligible=0.01)).below


def test_all_baselines_are_looked_at_on_the_records_that_they_were_scored_on() -> None:
    rng = np.random.default_rng(0)
    errors = rng.gamma(2, 1, 300)
    part = np.where(np.arange(300) < 100, errors - 0.02, np.nan)
    losses = Losses("mae", errors, {"last": errors + 1}).beside({"ridge": errors - 0.1, "nearest": part})
    found = compared(losses)
    assert (found.baseline, found.others) == ("ridge", ("nearest",))
    assert found.sentence().endswith("Better beyond their intervals, too: nearest.")
    assert compared(Losses("mae", errors, {"nearest": part})).model_score == pytest.approx(errors[:100].mean())
    assert compare(Losses("mae", errors)) is None
    assert compare(Losses("mae", errors, {"nearest": np.full(300, np.nan)})) is None


def test_who_was_asked_for_fewer_records_is_compared_on_those_and_ranked_by_what_it_gains() -> None:
    rng = np.random.default_rng(0)
    errors = rng.gamma(2, 1, 300)
    few = Losses("mae", 3 * errors[:60], {"ets": 2.5 * errors[:60]}, asked={"ets": "60 of 300 windows"})
    losses = Losses("mae", errors, {"ridge": errors - 0.02 * rng.random(300)}).and_on(few)
    found = compared(losses)
    assert (found.baseline, found.others) == ("ets", ("ridge",)), "though ridge has the lower figure, on easier records"
    assert found.model_score == pytest.approx(3 * errors[:60].mean())
    assert found.sentence().startswith("Below its baseline: on 60 of 300 windows of the test split ets has mae ")
    assert "on 60 of 300 windows of these data ets" in found.sentence("these data")
    assert Comparison.from_document(json.loads(json.dumps(found.document()))) == found
    alone = compared(few)
    assert (alone.low, alone.high) == (found.low, found.high), "other records change nothing of it"


def test_a_root_has_the_interval_in_its_own_units() -> None:
    rng = np.random.default_rng(0)
    model, mean = rng.normal(0, 30, 500) ** 2, rng.normal(0, 20, 500) ** 2
    found = compared(Losses("rmse", model, {"mean": mean}, figure="root"))
    assert found.below
    assert (found.low + found.high) / 2 == pytest.approx(found.model_score - found.baseline_score)
    assert 5 < found.low < 10 < found.high < 15


def test_a_model_whose_loss_is_no_number_is_below() -> None:
    found = compared(Losses("mase", np.array([1, np.nan, 1]), {"naive": np.ones(3)}))
    assert found.below
    assert "the model nan" in found.sentence()
    assert Comparison.from_document(json.loads(json.dumps(found.document()))).sentence() == found.sentence()


def windows(rng: np.random.Generator, series: int, steps: int, horizon: int, worse: float) -> BlockLosses:
    """Errors of overlapping windows: what a step brings is in all windows that forecast it, and alike in all series."""
    gathered = BlockLosses(["model", "ridge"])
    common = rng.normal(0, 1, steps + horizon)
    for name in range(series):
        shocks = common + 0.5 * rng.normal(0, 1, steps + horizon)
        summed = np.convolve(shocks, np.ones(horizon), "valid")[:steps]  # of the difference
        ridge = np.full(steps, 8.0 * horizon)
        gathered.add(
            "mase",
            [str(name).encode()] * steps,
            np.arange(steps) // horizon,
            np.stack([ridge + summed + worse * horizon, ridge]),
            weights=np.full(steps, horizon),
            negligible=np.zeros(steps),
        )
    return gathered


@pytest.mark.parametrize("series", [1, 4])
def test_overlapping_windows_of_series_that_go_together_are_not_taken_for_independent(series: int) -> None:
    rng = np.random.default_rng(0)
    runs = 100

    def told(worse: float, independent: bool) -> float:
        found = 0
        for _ in range(runs):
            losses = windows(rng, series, 480, 24, worse).losses(["mase"])
            assert losses is not None
            if independent:
                losses = Losses(losses.metric, losses.model, losses.baselines, weights=losses.weights)
            found += compared(losses).below
        return found / runs

    assert told(0.0, independent=False) < 0.05, "2.5 % of equal systems are told apart"
    if series > 1:
        assert told(0.0, independent=True) > 0.15, "which without the blocks would be many more"
    assert told(0.3, independent=False) > 0.9


def test_one_block_of_one_series_tells_nothing_and_many_series_do() -> None:
    rng = np.random.default_rng(0)
    short = windows(rng, 1, 20, 24, -1.0).losses(["mase"])
    assert short is not None
    assert compared(short).sentence() == "", "nothing is said against a model that looks better"
    short = windows(rng, 1, 20, 24, 1.0).losses(["mase"])
    assert short is not None
    assert "the test split is too short to tell the two apart" in compared(short).sentence()
    gathered = BlockLosses(["model", "ridge"])
    sums = np.stack([8 + rng.normal(1, 1, 60), np.full(60, 8.0)])
    names = [str(number).encode() for number in range(60)]
    gathered.add("mae", names, np.zeros(60, int), sums, weights=np.ones(60), negligible=np.zeros(60))
    by_series = gathered.losses(["mase", "mae"])
    assert by_series is not None
    assert compared(by_series).below
