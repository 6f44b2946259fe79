"""The alarm rings at the stated rate on clean windows, and always on other texts."""

import numpy as np
import pytest
from scipy import stats

from unroll.monitoring import NumericFeature, ReferenceProfile, compare
from unroll.monitoring.drift import LEVEL
from unroll.monitoring.variables import concatenate, take
from unroll.monitoring.windows import CLEAN_WINDOWS, MIN_CLUSTERS, MIN_RECORDS


def keys(n):
    return [f"request-{i}" for i in range(n)]


@pytest.mark.parametrize("n", [MIN_RECORDS, 120])
def test_clean_windows_alarm_at_the_stated_rate(source, build_profile, n):
    # A fresh reference every 40 windows: the guarantee is over references and windows.
    p_values, table = [], 0
    for seed in range(10):
        profile = build_profile(source(100 + seed), 600)
        clean = source(200 + seed)
        for _ in range(40):
            result = compare(profile, clean.values(profile, n), keys(n))
            p_values.append(result.p_value)
            table += any(feature.drift for feature in result.features)
    alarms = sum(p <= LEVEL for p in p_values)
    assert alarms <= stats.binom(len(p_values), LEVEL).ppf(0.9999), f"{alarms} of {len(p_values)} clean windows"
    assert table == alarms, "the table of features cries wolf more often than the alarm"
    # A window meets the whole reference, a clean one the rest of it: p may be too large, not too small.
    assert stats.kstest(p_values, "uniform", alternative="greater").pvalue > 1e-3
    assert np.mean(np.array(p_values) <= 0.2) > 0.08, "the alarm sleeps"


@pytest.mark.parametrize("n", [50, 1000])
def test_windows_drawn_from_the_reference_hardly_alarm(profile, source, n):
    drawn = source(1)  # as the reference's
    values = profile.measure({"text": drawn.texts(2000)}, drawn.outputs(2000))
    rng = np.random.default_rng(5)
    alarms = 0
    for _ in range(100):
        rows = rng.permutation(2000)[:n]
        window = {name: take(value, rows) for name, value in values.items()}
        alarms += compare(profile, window, keys(n)).drift
    assert alarms <= 5


@pytest.mark.parametrize("n", [50, 200])
@pytest.mark.parametrize(
    ("drifted", "feature"),
    [
        ({"shift": 150}, "text/tokens"),
        ({"prefix": "wort"}, "text/oov"),
        ({"words": (40, 400)}, "text/length"),
    ],
    ids=["another topic", "another language", "longer texts"],
)
def test_other_texts_always_alarm(profile, source, drifted, feature, n):
    strange = source(7, **drifted)
    for _ in range(10):
        result = compare(profile, strange.values(profile, n), keys(n))
        assert result.drift, f"p = {result.p_value}"
        assert feature in [found.name for found in result.features if found.drift]


@pytest.mark.parametrize("name", ["score", "label"])
def test_other_answers_alarm(profile, source, name):
    drawn = source(8)
    outputs = drawn.outputs(200)
    outputs[name] = np.resize(outputs[name][outputs["score"] > 0.5], 200)
    result = compare(profile, profile.measure({"text": drawn.texts(200)}, outputs), keys(200))
    assert result.drift
    assert [feature.name for feature in result.features if feature.drift] == [name]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -5.0])
def test_a_broken_model_alarms(profile, source, value):
    drawn = source(9)
    outputs = drawn.outputs(100) | {"score": np.full(100, value, np.float32)}
    result = compare(profile, profile.measure({"text": drawn.texts(100)}, outputs), keys(100))
    assert result.features[0].name == "score"
    assert result.features[0].drift


def test_an_unseen_label_alarms(profile, source):
    drawn = source(10)
    outputs = drawn.outputs(100) | {"label": np.array([b"\xff new"] * 100, object)}
    result = compare(profile, profile.measure({"text": drawn.texts(100)}, outputs), keys(100))
    assert result.features[0].name == "label"
    assert result.features[0].current["shares"]["(other)"] == 1


def test_movers_name_the_tokens(profile, source):
    drawn = source(11)
    texts = np.array([text + " w77 w77" for text in drawn.texts(200)], object)
    result = compare(profile, profile.measure({"text": texts}, drawn.outputs(200)), keys(200))
    (tokens,) = [feature for feature in result.features if feature.name == "text/tokens"]
    assert tokens.drift
    token, before, after = tokens.rose[0]
    assert token == "w77"
    assert before < 0.3
    assert after == 1


def test_too_few_records_never_alarm(profile, source, build_profile):
    n = MIN_RECORDS - 1
    result = compare(profile, source(7, prefix="wort").values(profile, n), keys(n))
    assert result.p_value is None
    assert not result.drift
    tiny = build_profile(source(3), 2 * MIN_RECORDS - 1)
    assert not compare(tiny, source(7, prefix="wort").values(tiny, 100), keys(100)).drift


def test_a_large_window_is_subsampled_by_its_keys(profile, source):
    drawn = source(12)
    clean, strange = drawn.values(profile, 1200), source(13, prefix="wort").values(profile, 300)
    values = concatenate([clean, strange])
    first = compare(profile, values, keys(1500))
    assert first.records == 1500
    assert first.compared == profile.records // 2
    assert first.drift
    backwards = compare(
        profile,
        {name: take(value, np.arange(1499, -1, -1)) for name, value in values.items()},
        keys(1500)[::-1],
    )
    assert [feature.statistic for feature in backwards.features] == pytest.approx(
        [feature.statistic for feature in first.features]
    ), "the choice depends on the order of the requests"


def test_a_report_repeats(profile, source, build_profile):
    values = source(14).values(profile, 100)
    again = build_profile(source(1), 2000)
    assert compare(profile, values, keys(100)) == compare(again, values, keys(100))


def test_the_level_is_attainable():
    assert 1 / (CLEAN_WINDOWS + 1) < LEVEL


NUMBERS = [f"number {i}" for i in range(6)]


def clustered(seed, clusters, size, shift=0.0):
    """Numbers of `clusters * size` records, 60 % of whose variance is between clusters; and the clusters' names."""
    rng = np.random.default_rng(seed)
    between, within = rng.normal(size=(clusters, 1, 6)), rng.normal(size=(clusters, size, 6))
    records = (0.6**0.5 * between + 0.4**0.5 * within + shift).reshape(-1, 6).astype(np.float32)
    return dict(zip(NUMBERS, records.T, strict=True)), np.repeat([f"patient {i}" for i in range(clusters)], size)


def numbers_profile(outputs, clusters=()):
    return ReferenceProfile.build([NumericFeature(name) for name in outputs], {}, outputs, model="m", clusters=clusters)


def clustered_alarms(n, *, known, shift=0.0):
    """How many of 200 windows of other clusters alarm, of five references."""
    alarms = 0
    for seed in range(5):
        outputs, names = clustered(seed, 60, 10)
        profile = numbers_profile(outputs, names if known else ())
        stream, _ = clustered(100 + seed, 60, 10, shift)
        rng = np.random.default_rng(seed)
        for _ in range(40):
            rows = rng.permutation(600)[:n]
            alarms += compare(profile, {name: value[rows] for name, value in stream.items()}, keys(n)).drift
    return alarms


@pytest.mark.parametrize("n", [50, 200])
def test_other_clusters_alarm_at_the_stated_rate(n):
    assert clustered_alarms(n, known=True) <= stats.binom(200, LEVEL).ppf(0.999)
    assert clustered_alarms(n, known=False) > 200 * 5 * LEVEL, "clusters make no difference: the test shows nothing"


def test_a_shift_of_clustered_records_alarms():
    assert clustered_alarms(200, known=True, shift=1.0) == 200


def test_few_clusters_tell_nothing():
    for sizes, told in (
        ([10] * MIN_CLUSTERS, True),
        ([12] * (MIN_CLUSTERS - 1), False),
        ([300] + [1] * 300, False),
    ):
        names = np.repeat([str(i) for i in range(len(sizes))], sizes)
        outputs, _ = clustered(0, len(names), 1)
        result = compare(
            numbers_profile(outputs, names), {name: value + 9 for name, value in outputs.items()}, keys(len(names))
        )
        assert result.drift == told
        assert (result.p_value is not None) == told


@pytest.mark.parametrize(("odd", "drift"), [(1, False), (2, False), (10, True), (200, True)])
def test_an_odd_record_of_a_constant_number_is_no_drift(odd, drift):
    def outputs(seed, n, odd=0):
        size = np.full(n, 64.0, np.float32)
        size[:odd] = 100
        return {"size": size, "score": np.random.default_rng(seed).normal(size=n).astype(np.float32)}

    result = compare(numbers_profile(outputs(0, 1000)), outputs(1, 200, odd), keys(200))
    (found,) = [feature for feature in result.features if feature.name == "size"]
    assert found.drift == drift
    assert found.statistic == pytest.approx(odd / 200)
