"""Which of a backtest's windows the reference profile is made of."""

import zlib

import numpy as np

from unroll.pipelines.task import Arrays

_MAX_BYTES = 64 << 20
_MAX_WINDOWS = 2000


class ReferenceWindows:
    """Windows for the reference profile: of too many, fewer series, and of one series its newest windows.

    Live requests of a series follow one another, so windows of the reference must do so too.
    """

    def __init__(self) -> None:
        self._rows: list[tuple[bytes, dict[str, np.ndarray], dict[str, np.ndarray]]] = []
        self._share = 1

    def add(self, windows: Arrays, answer: Arrays) -> None:
        """Keeps some of a batch.

        Args:
            windows: `history`, `timestamp`, `target` and `series`, the bytes of a name.
            answer: `forecast` and `quantiles`.
        """
        inputs = {"history": windows["history"], "timestamp": windows["timestamp"], "actual": windows["target"]}
        outputs = {"forecast": answer["forecast"], "quantiles": answer["quantiles"]}
        for row, series in enumerate(windows["series"]):
            if _chosen(series, self._share):
                self._rows.append((series, _row(inputs, row), _row(outputs, row)))
        if not self._rows:
            return
        size = sum(array.nbytes for part in self._rows[0][1:] for array in part.values())
        limit = min(_MAX_WINDOWS, max(100, _MAX_BYTES // size))
        while len(self._rows) > 2 * limit:
            kept = [one for one in self._rows if _chosen(one[0], 2 * self._share)]
            if 0 < len(kept) < len(self._rows):
                self._rows, self._share = kept, 2 * self._share
            else:
                self._rows = self._rows[-limit:]

    @property
    def inputs(self) -> dict[str, np.ndarray]:
        return {key: np.stack([inputs[key] for _, inputs, _ in self._rows]) for key in self._rows[0][1]}

    @property
    def outputs(self) -> dict[str, np.ndarray]:
        return {key: np.stack([outputs[key] for _, _, outputs in self._rows]) for key in self._rows[0][2]}


def _chosen(series: bytes, share: int) -> bool:
    """Whether the series is among one in `share`, the same ones every time."""
    return zlib.crc32(series) % share == 0


def _row(arrays: Arrays, row: int) -> dict[str, np.ndarray]:
    return {name: array[row].copy() for name, array in arrays.items()}  # a view would keep the whole batch
