"""Losses of windows of time, summed by series and block, in memory that does not grow with the windows of a block."""

from collections.abc import Mapping, Sequence

import numpy as np

from unroll.pipelines.scoring.comparison import Losses


class BlockLosses:
    """Gathers what systems lose in windows, by metric.

    Example:
        >>> gathered = BlockLosses(["model", "naive"])
        >>> sums = np.array([[1.0, 3.0], [2.0, 2.0]])  # [systems, windows]
        >>> gathered.add("mase", [b"a", b"a"], np.array([0, 0]), sums, weights=np.ones(2), negligible=np.zeros(2))
        >>> gathered.losses(["mase"]).model
        array([4.])
    """

    def __init__(self, systems: Sequence[str]):
        self._systems = list(systems)
        self._sums: dict[str, dict[tuple[bytes, int], np.ndarray]] = {}

    def add(
        self,
        metric: str,
        series: Sequence[bytes] | np.ndarray,
        blocks: np.ndarray,
        sums: np.ndarray,
        *,
        weights: np.ndarray,
        negligible: np.ndarray,
    ) -> None:
        """Adds windows.

        Args:
            metric: whose losses these are.
            series: names `[windows]`.
            blocks: int `[windows]`, the block of time of each.
            sums: float `[systems, windows]`, losses summed over a window.
            weights: float `[windows]`, how many losses each sum is of.
            negligible: float `[windows]`, the sum up to which they are none.
        """
        numbers: dict[tuple[bytes, int], int] = {}
        rows = [numbers.setdefault(key, len(numbers)) for key in zip(series, blocks.tolist(), strict=True)]
        parts = np.stack([np.bincount(rows, one) for one in (*sums, weights, negligible)], axis=1)
        found = self._sums.setdefault(metric, {})
        for key, part in zip(numbers, parts, strict=True):
            found[key] = found[key] + part if key in found else part

    def losses(self, metrics: Sequence[str]) -> Losses | None:
        """Those by the first of these metrics of which there are any."""
        chosen = next((metric for metric in metrics if self._total(metric)), None)
        if chosen is None:
            return None
        found: Mapping[tuple[bytes, int], np.ndarray] = self._sums[chosen]
        table = np.stack(list(found.values()), axis=1)  # [systems + 2, N]
        numbers = {name: number for number, name in enumerate(dict.fromkeys(name for name, _ in found))}
        by_system = dict(zip(self._systems, table, strict=False))
        return Losses(
            chosen,
            by_system.pop("model"),
            by_system,
            weights=table[-2],
            groups=np.array([numbers[name] for name, _ in found]),
            blocks=np.array([block for _, block in found]),
            negligible=float(table[-1].sum() / table[-2].sum()),
        )

    def _total(self, metric: str) -> float:
        return sum(float(one[-2]) for one in self._sums.get(metric, {}).values())
