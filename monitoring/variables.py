"""What is tested for drift: three kinds of variable, each an indicator vector a record.

A number is the indicator of its bin, a name of its category, a text of the tokens it holds. A window is then
summarised by the mean of its records' vectors, and a statistic compares two such means. That makes any number
of clean windows one matrix product (see `unroll.monitoring.drift`).

A number that is the same throughout the reference will one day be another: `floor / n` is what one of n records can
make of the statistic, and tells nothing. The other kinds have no floor: a name that the reference lacks is news.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from unroll.monitoring.features import Values
from unroll.monitoring.features.tokens import TokenSets

MAX_BINS = 256
MAX_CATEGORIES = 100
MAX_TOKENS = 1000
HISTOGRAM_BINS = 30
SUMMARY_TOKENS = 20
_LADDER = 0.02 * 1.5 ** np.arange(17)  # of the reference's range, beyond it on both sides


@dataclass(frozen=True)
class Numeric:
    """A number a record, in bins frozen from the reference.

    Args:
        edges: increasing; bin i holds the values in `[edges[i - 1], edges[i])`, the first and the last are
            open, and NaN falls into the last.
        histogram_edges: equal-width bins for people to look at; values beyond them count in the outer ones.
    """

    kind: ClassVar[str] = "numeric"
    floor: ClassVar[float] = 1.0
    edges: tuple[float, ...]
    histogram_edges: tuple[float, ...]

    @classmethod
    def fit(cls, values: np.ndarray) -> "Numeric":
        finite = values[np.isfinite(values)].astype(np.float64)
        finite = finite if finite.size else np.zeros(1)
        quantiles = np.quantile(finite, np.linspace(0, 1, MAX_BINS), method="inverted_cdf")
        low, high = np.quantile(finite, [0, 0.99])
        histogram = np.linspace(low, high if high > low else low + 1, HISTOGRAM_BINS + 1)
        # Past the maximum nothing was seen: one more edge keeps what lies there apart.
        edges = np.unique([*quantiles, np.nextafter(finite.max(), np.inf)])
        return cls(tuple(edges.tolist()), tuple(histogram.tolist()))

    @property
    def width(self) -> int:
        return len(self.edges) + 1

    def encode(self, values: np.ndarray) -> np.ndarray:
        return np.searchsorted(self.edges, values.astype(np.float64), side="right").astype(np.uint16)

    def indicators(self, codes: np.ndarray) -> np.ndarray:
        return codes[:, None] == np.arange(self.width)

    @staticmethod
    def statistic(window: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Kolmogorov and Smirnov's: the largest gap between the cumulative distributions."""
        return np.abs(np.cumsum(window - reference, axis=-1)).max(axis=-1)

    def summary(self, values: np.ndarray) -> dict[str, Any]:
        finite = values[np.isfinite(values)].astype(np.float64)
        finite = finite if finite.size else np.full(1, np.nan)
        inside = np.clip(finite, self.histogram_edges[0], self.histogram_edges[-1])
        p05, median, p95 = (_rounded(v) for v in np.quantile(finite, [0.05, 0.5, 0.95]))
        return {
            "mean": _rounded(finite.mean()),
            "p05": p05,
            "median": median,
            "p95": p95,
            "histogram": {
                "edges": [_rounded(edge) for edge in self.histogram_edges],
                "counts": np.histogram(inside, self.histogram_edges)[0].tolist(),
            },
        }


@dataclass(frozen=True)
class Magnitude(Numeric):
    """A number a record of a series, where how far it went counts, not only how many records did.

    Healthy runs of a series often lie wholly on one side of the reference. Kolmogorov and Smirnov's statistic
    is then at its largest already, and a run ten times as far off would look no worse. So bins go on beyond
    what was seen, ever wider; NaN counts as farthest off.
    """

    kind: ClassVar[str] = "magnitude"
    floor: ClassVar[float] = 0.0

    @classmethod
    def fit(cls, values: np.ndarray) -> "Magnitude":
        inner = super().fit(values)
        span = inner.edges[-1] - inner.edges[0]
        beyond = _LADDER * (span if span > 1e-9 * abs(inner.edges[0]) + 1e-30 else max(abs(inner.edges[0]), 1))
        edges = np.unique([*(inner.edges[0] - beyond), *inner.edges, *(inner.edges[-1] + beyond)])
        return cls(tuple(edges.tolist()), inner.histogram_edges)

    def statistic(self, window: np.ndarray, reference: np.ndarray) -> np.ndarray:  # type: ignore[override]
        """The earth mover's (Wasserstein's first) distance, in the number's own units."""
        gap = np.cumsum(window - reference, axis=-1)[..., :-1]  # of the cumulative distributions, at each edge
        return np.abs(gap[..., :-1] + gap[..., 1:]) / 2 @ np.diff(self.edges)


@dataclass(frozen=True)
class Categorical:
    """A name a record; names not in the reference are one category of their own.

    Args:
        categories: the reference's most frequent names, most frequent first.
    """

    kind: ClassVar[str] = "categorical"
    floor: ClassVar[float] = 0.0
    categories: tuple[str, ...]

    @classmethod
    def fit(cls, values: np.ndarray) -> "Categorical":
        names, counts = np.unique(values, return_counts=True)
        order = np.argsort(-counts, kind="stable")[:MAX_CATEGORIES]
        return cls(tuple(names[order].tolist()))

    @property
    def width(self) -> int:
        return len(self.categories) + 1

    def encode(self, values: np.ndarray) -> np.ndarray:
        code = {name: i for i, name in enumerate(self.categories)}
        return np.array([code.get(name, len(code)) for name in values.tolist()], np.uint16)

    def indicators(self, codes: np.ndarray) -> np.ndarray:
        return codes[:, None] == np.arange(self.width)

    @staticmethod
    def statistic(window: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Jensen and Shannon's distance (base 2): 0 for equal, 1 for disjoint distributions."""
        middle = (window + reference) / 2
        divergence = (_relative_entropy(window, middle) + _relative_entropy(reference, middle)) / 2
        return np.sqrt(np.maximum(divergence, 0))

    def summary(self, values: np.ndarray) -> dict[str, Any]:
        shares = self.indicators(self.encode(values)).mean(axis=0)
        return {"shares": dict(zip([*self.categories, "(other)"], map(_rounded, shares), strict=True))}


@dataclass(frozen=True)
class Tokens:
    """The tokens in a text, each counted once a text.

    Words come in bursts: a text that says a word once says it again, so a test on counts of words takes one
    long text for a drift. Whether a text holds a word is one observation a text.

    Args:
        tokens: the reference's most frequent tokens by number of texts, most frequent first.
        ids: their vocabulary ids.
    """

    kind: ClassVar[str] = "tokens"
    floor: ClassVar[float] = 0.0
    tokens: tuple[str, ...]
    ids: tuple[int, ...]

    @classmethod
    def fit(cls, values: TokenSets, vocabulary: Mapping[str, int]) -> "Tokens":
        texts = np.bincount(values.ids, minlength=len(vocabulary))
        ids = np.argsort(-texts, kind="stable")[:MAX_TOKENS]
        ids = ids[texts[ids] > 0]
        name = {i: token for token, i in vocabulary.items()}
        return cls(tuple(name[i] for i in ids.tolist()), tuple(ids.tolist()))

    @property
    def width(self) -> int:
        return len(self.tokens)

    def encode(self, values: TokenSets) -> np.ndarray:
        """Bits, uint8 `(n, ceil(width / 8))`: which of the tokens each text holds."""
        column = np.full(max(max(self.ids, default=0), values.ids.max(initial=0)) + 1, -1)
        column[list(self.ids)] = np.arange(self.width)
        columns = column[values.ids]
        rows = np.repeat(np.arange(len(values)), values.sizes)
        held = np.zeros((len(values), self.width), bool)
        held[rows[columns >= 0], columns[columns >= 0]] = True
        return np.packbits(held, axis=1)

    def indicators(self, codes: np.ndarray) -> np.ndarray:
        return np.unpackbits(codes, axis=1, count=self.width).astype(bool)

    @staticmethod
    def statistic(window: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Root of the mean squared Hellinger distance between the shares of texts that hold each token.

        The square root stabilises the variance: on a clean window rare and frequent tokens add alike noise.
        """
        held = np.sqrt(window * reference) + np.sqrt((1 - window) * (1 - reference))
        return np.sqrt(np.maximum(1 - held, 0).mean(axis=-1))

    def summary(self, values: TokenSets) -> dict[str, Any]:
        shares = self.indicators(self.encode(values)).mean(axis=0)[:SUMMARY_TOKENS]
        return {"texts_with": dict(zip(self.tokens[:SUMMARY_TOKENS], map(_rounded, shares), strict=True))}


Variable = Numeric | Magnitude | Categorical | Tokens


def fit(values: Values, vocabulary: Mapping[str, int], number: type[Numeric] = Numeric) -> Variable:
    """The variable that suits the values, its bins, categories or tokens frozen from them."""
    if isinstance(values, TokenSets):
        return Tokens.fit(values, vocabulary)
    return number.fit(values) if values.dtype.kind == "f" else Categorical.fit(values)


def take(values: Values, rows: np.ndarray) -> Values:
    return values.take(rows) if isinstance(values, TokenSets) else values[rows]


def concatenate(parts: Sequence[Mapping[str, Values]]) -> dict[str, Values]:
    """Values of several batches of records, by variable, as those of one."""
    return {
        name: TokenSets.concatenate([part[name] for part in parts])  # type: ignore[misc]
        if isinstance(parts[0][name], TokenSets)
        else np.concatenate([part[name] for part in parts])  # type: ignore[misc]
        for name in parts[0]
    }


def _relative_entropy(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Kullback and Leibler's divergence of p from q in bits, along the last axis; 0 log 0 is 0."""
    ratio = np.divide(p, q, out=np.ones_like(p), where=p > 0)
    return (p * np.log2(ratio)).sum(axis=-1)


def _rounded(value: float) -> float | None:
    """Six significant digits are enough for a table; JSON has no NaN."""
    return float(f"{value:.6g}") if np.isfinite(value) else None
