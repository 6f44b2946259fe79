"""The statistics agree with scipy's; the codes keep what they must."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance

from unroll.monitoring.features.tokens import MAX_CHARACTERS, TokenSets, measure, split
from unroll.monitoring.variables import Categorical, Numeric, Tokens


def means(variable, values):
    return variable.indicators(variable.encode(values)).mean(axis=0)


@pytest.mark.parametrize("seed", range(5))
def test_numeric_is_kolmogorov_smirnov(seed):
    rng = np.random.default_rng(seed)
    reference = rng.poisson(30, 900).astype(np.float32)
    window = rng.poisson(30 + seed, 120).astype(np.float32)
    variable = Numeric.fit(reference)
    found = variable.statistic(means(variable, window), means(variable, reference))
    assert found == pytest.approx(stats.ks_2samp(window, reference).statistic, abs=1e-12)


def test_numeric_bins_lose_little_of_a_continuous_variable():
    rng = np.random.default_rng(0)
    reference, window = rng.normal(size=5000), rng.normal(0.3, 1.2, 300)
    variable = Numeric.fit(reference)
    found = variable.statistic(means(variable, window), means(variable, reference))
    assert found == pytest.approx(stats.ks_2samp(window, reference).statistic, abs=0.005)


@given(st.lists(st.floats(width=32), min_size=1, max_size=50))
def test_numeric_takes_any_floats(values):
    values = np.array(values, np.float32)
    variable = Numeric.fit(values)
    shares = means(variable, values)
    assert shares.sum() == pytest.approx(1)
    assert variable.statistic(shares, shares) == 0
    assert sum(variable.summary(values)["histogram"]["counts"]) == max(np.isfinite(values).sum(), 0)


def test_categorical_is_jensen_shannon():
    reference = np.array(["a"] * 70 + ["b"] * 25 + ["c"] * 5)
    window = np.array(["a"] * 10 + ["b"] * 30 + ["new"] * 2)
    variable = Categorical.fit(reference)
    p, q = means(variable, window), means(variable, reference)
    assert variable.statistic(p, q) == pytest.approx(distance.jensenshannon(p, q, base=2))
    assert p[-1] == pytest.approx(2 / 42), "a name that the reference lacks is a category of its own"


def test_tokens_are_hellinger_on_shares_of_texts():
    vocabulary = {"a": 0, "b": 1, "c": 2}
    reference = TokenSets(np.array([0, 1, 0, 1, 0], np.int32), np.array([2, 2, 1, 0]))  # a: 3/4, b: 2/4
    window = TokenSets(np.array([0, 2], np.int32), np.array([1, 1]))  # a: 1/2, b: 0
    variable = Tokens.fit(reference, vocabulary)
    assert variable.tokens == ("a", "b")
    found = variable.statistic(means(variable, window), means(variable, reference))
    # Hellinger's distance is Euclid's between the roots, over root two.
    each = [
        np.linalg.norm(np.sqrt([p, 1 - p]) - np.sqrt([q, 1 - q])) / np.sqrt(2) for p, q in ((0.5, 0.75), (0.0, 0.5))
    ]
    assert found == pytest.approx(np.sqrt(np.mean(np.square(each))))


def test_tokenising(tokenizer):
    texts = ["Don't <br/>MISS it!!", b"caf\xc3\xa9 \xff", "", " \t\n"]
    assert list(split(texts, tokenizer)) == [["don't", "miss", "it", "!", "!"], ["café", "\ufffd"], [], []]
    length, oov, held = measure(texts, tokenizer, {"!": 4, "it": 0})
    assert length.tolist() == [5, 2, 0, 0]
    assert oov == pytest.approx([2 / 5, 1, 0, 0])
    assert held.sizes.tolist() == [2, 0, 0, 0]
    assert sorted(held.ids.tolist()) == [0, 4]


def test_a_megabyte_is_measured_by_its_beginning(tokenizer):
    for text in ("a " * 500_000, b"a " * 500_000, "é " * 500_000, ("é " * 500_000).encode()):
        (tokens,) = split([text], tokenizer)
        assert len(tokens) == MAX_CHARACTERS // 2


def test_take():
    sets = TokenSets(np.array([5, 6, 7, 8], np.int32), np.array([2, 0, 1, 1]))
    taken = sets.take(np.array([3, 0, 1]))
    assert taken.ids.tolist() == [8, 5, 6]
    assert taken.sizes.tolist() == [1, 2, 0]


def test_tokens_are_those_of_the_model():
    """The monitor reads the model's own patterns with Python's `re`, the graph with RE2."""
    from unroll.models.text import tokenizer as model
    from unroll.pipelines.data.vocabulary import text_feature

    texts = [
        "Don't miss 'The Matrix' (1999)! It's <br /><b>great</b>...",
        "rock 'n' roll, o'neill’s “quoted” — dash–dash… €5 ½ naïve CAFÉ ÀÉÎ",
        "omg 😂😂 ❤️ #Fail @user_1 https://t.co/a?b=c&d 100% :-) \u2019tis the '90s",
        "日本語のテキスト 한국어 русский ЁЖ ελληνικά ß",
        "tabs\tand\nnewlines\r\n\x0b\x0cend a\u00a0b <not a tag > < 3",
        b"bad \xff\xfe utf8 \xe2\x82 end",
        "it&#39;s &amp;quot;fine&amp;quot; &eacute;t\u00e9 e\u0301te\u0301 \uff21\uff11 \ufb01ne soft\u00adly",
        "\u0e40\u0e01\u0e48\u0e07\u0e21\u0e32\u0e01 ok \u1781\u17d2\u1789\u17bb\u17c6 \u101c\u1030 \u0e9a\u0ecd\u0ec8",
        "\u0f56\u0f7c\u0f51\u0f0b\u0f66\u0f90\u0f51\u0f0d",
    ]
    spec = text_feature("text").tokenizer
    expected = model.tokenize([t if isinstance(t, bytes) else t.encode() for t in texts], 10_000).to_list()
    for text, tokens, wanted in zip(texts, split(texts, spec), expected, strict=True):
        assert tokens == [token.decode() for token in wanted], text
