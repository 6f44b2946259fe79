"""What a window without drift looks like: how clean windows are drawn from the reference, and how rare one is.

Independent records are drawn at random. Records that belong together, scans of a patient, frames of a video, are more
alike than those of others, so live traffic, whose patients are others, differs from the reference by more than records
drawn from it do. There, a clean window is drawn from one half of the reference's clusters and compared with the other
half.

A series asks for yet more: requests that follow one another in time share most of their history, so a window of them
differs from the reference however healthy it is. There, clean windows are runs of consecutive reference records. A
reference holds only a handful that share no step, too few to count those that are farther off; their mean and standard
deviation give a prediction interval for one more.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

CLEAN_WINDOWS = 500
MIN_RECORDS = 30
MIN_CLUSTERS = 20  # alike in size; halves of fewer do not tell how unlike further ones may be
MIN_RUNS = 3  # of a series, below which nobody can tell what is usual
RUN_SHARE = 50  # a run is at most one in so many of a series' reference records
ASSUMED_RUNS = 5  # with fewer, Student's t would let nothing through; with these, large changes

Means = Iterator[tuple[str, np.ndarray, np.ndarray]]
"""A variable, mean indicator vectors of its clean windows, and of the records that each is compared with."""
Indicators = Mapping[str, Callable[[], np.ndarray]]
"""Of each variable, its reference records' indicator vectors `(records, width)`; made when they are asked for."""


@dataclass(frozen=True)
class Independent:
    """Windows of records that have nothing to do with one another.

    Args:
        records: of the reference.
    """

    records: int

    @property
    def largest(self) -> int:
        """Records of a window that can be compared."""
        return self.records // 2

    def sample(self, keys: Sequence[str], n: int) -> np.ndarray:
        """Rows of the n records that stand for a larger window, the newest of which comes first.

        Args:
            keys: of the window's records; they decide, in whatever order they come.
            n: how many.
        """
        return sample(keys, n)

    def needs(self, requests: Sequence[str]) -> np.ndarray:
        """Rows of the requests that must be read: more records cannot be compared.

        Args:
            requests: their ids, the newest first.
        """
        return sample(requests, max(self.largest, MIN_RECORDS))

    def runs(self, n: int) -> int | None:
        """How many windows of n records the reference holds that can be taken as independent; None: any number."""
        return None

    def enough(self, n: int) -> bool:
        """Whether a window of n records can be told from a clean one."""
        return n >= MIN_RECORDS

    def draw(self, indicators: Indicators, n: int) -> Means:
        """Clean windows of n records, always the same ones."""
        rng = np.random.default_rng(0)
        draws = np.zeros((CLEAN_WINDOWS, self.records), np.float32)
        for draw in draws:
            draw[rng.permutation(self.records)[:n]] = 1
        for name, of in indicators.items():
            reference = of()
            inside = _sums(draws, reference)
            yield name, inside / n, (reference.sum(axis=0) - inside) / (self.records - n)

    def p_values(self, standardised: np.ndarray, clean: np.ndarray, n: int) -> np.ndarray:
        """P-values, adjusted for the number of variables: conformal, of the largest of a clean window's statistics.

        Args:
            standardised: the window's statistics `(variables,)`.
            clean: the clean windows' `(clean windows, variables)`.
            n: records of a window.
        """
        # A tie in exact arithmetic must count as one after rounding as well.
        at_least = (clean.max(axis=1)[:, None] >= standardised - 1e-9).sum(axis=0)
        return (1 + at_least) / (1 + CLEAN_WINDOWS)

    def shortage(self, n: int) -> str:
        """What it takes for a p-value, in a sentence, where n records are not enough."""
        return (
            f"It takes at least {MIN_RECORDS} records, and twice as many in the reference, of at least "
            f"{MIN_CLUSTERS} clusters alike in size where it has any (data.cluster)."
        )

    def caution(self, n: int) -> str:
        """What must be known of a p-value, in a sentence, or nothing."""
        return ""

    def excerpt(self, n: int) -> str:
        """Which n records of a larger window were compared, in a sentence."""
        return (
            f"A window larger than half the reference is sampled by hash of the request id: {n} records were compared."
        )


@dataclass(frozen=True, eq=False)
class Clustered(Independent):
    """Windows of records that come in clusters, which are independent.

    Args:
        records: of the reference.
        clusters: the number of each record's cluster, from 0.
    """

    clusters: np.ndarray

    def enough(self, n: int) -> bool:
        return super().enough(n) and _alike(self.clusters) >= MIN_CLUSTERS

    def draw(self, indicators: Indicators, n: int) -> Means:
        """The records of a random half of the clusters against the other half; a cluster in the middle is cut."""
        rng = np.random.default_rng(0)
        half = self.records // 2
        windows = np.zeros((CLEAN_WINDOWS, self.records), np.float32)
        others = np.zeros_like(windows)
        for window, other in zip(windows, others, strict=True):
            ranks = rng.permutation(self.clusters.max() + 1).astype(np.uint16)  # 16 bits are sorted by counting
            order = ranks[self.clusters].argsort(kind="stable")
            window[rng.permutation(order[:half])[:n]] = 1
            other[order[half:]] = 1
        for name, of in indicators.items():
            reference = of()
            yield name, _sums(windows, reference) / n, _sums(others, reference) / (self.records - half)


@dataclass(frozen=True)
class Consecutive(Independent):
    """Windows of a series, whose records follow one another and share most of their history.

    Args:
        records: of the reference, in the order of time.
        lookback: timesteps of a record's history.
    """

    lookback: int

    @property
    def largest(self) -> int:
        """Records of one run, or `MIN_RECORDS`."""
        return min(super().largest, max(self.records // RUN_SHARE, MIN_RECORDS))

    def sample(self, keys: Sequence[str], n: int) -> np.ndarray:
        """The newest."""
        return np.arange(n)

    def needs(self, requests: Sequence[str]) -> np.ndarray:
        """All: which records are the newest shows when they are read."""
        return np.arange(len(requests))

    def runs(self, n: int) -> int | None:
        return self.records // (2 * (n + self.lookback)) if super().enough(n) else None

    def enough(self, n: int) -> bool:
        return (self.runs(n) or 0) >= MIN_RUNS

    def draw(self, indicators: Indicators, n: int) -> Means:
        last = self.records - n
        starts = np.linspace(0, last, min(CLEAN_WINDOWS, last + 1)).astype(int)
        for name, of in indicators.items():
            reference = of()
            before = np.zeros((self.records + 1, reference.shape[1]), np.int32)
            np.cumsum(reference, axis=0, out=before[1:])
            inside = before[starts + n] - before[starts]
            yield name, inside / n, (before[-1] - inside) / (self.records - n)

    def p_values(self, standardised: np.ndarray, clean: np.ndarray, n: int) -> np.ndarray:
        """Student's t of one more run, times the number of variables (Bonferroni)."""
        from scipy.special import stdtr  # which texts and pictures do without

        freedom = max(self.runs(n) or 0, ASSUMED_RUNS) - 1
        t = standardised * math.sqrt(freedom / (freedom + 2))
        return np.minimum(1, len(t) * stdtr(freedom, -t))

    def shortage(self, n: int) -> str:
        if self.runs(n) is None:
            return super().shortage(n)
        return (
            "Requests of a series follow one another, so the reference must be several times as long as a window and "
            "its history. Train with a longer validation split (data.split_rows) or a shorter model.lookback."
        )

    def caution(self, n: int) -> str:
        return (
            f"Requests of a series follow one another: the reference counts as {self.runs(n)} independent windows. "
            "Fewer than ten tell only large changes."
        )

    def excerpt(self, n: int) -> str:
        return f"The newest {n} records were compared."


def sample(keys: Sequence[str], n: int) -> np.ndarray:
    """Rows of at most n of the keys, ascending: those whose hash is smallest, in whatever order they come."""
    hashes = [hashlib.blake2b(key.encode(), digest_size=8).digest() for key in keys]
    return np.sort(np.argsort(hashes, kind="stable")[:n])


def _alike(clusters: np.ndarray) -> float:
    """How many clusters alike in size make a mean vary as much as these: 1 / sum of squared shares (Kish 1965)."""
    return len(clusters) ** 2 / float((np.bincount(clusters) ** 2).sum())


def _sums(draws: np.ndarray, indicators: np.ndarray) -> np.ndarray:
    # Counts below 2**24 are exact in float32, whose product is the faster one.
    return (draws @ indicators.astype(np.float32)).astype(np.float64)
