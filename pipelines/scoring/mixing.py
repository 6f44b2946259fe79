"""How much of a network goes into an answer beside a simple path: as much as surely helps on held-out records."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax

from unroll.pipelines.scoring.calibration import fit_temperatures

_FOLDS = 5
_SHARES = np.linspace(0, 1, 21)
_MIN_RECORDS = 20  # held-out ones, with fewer of which the simple path answers alone


@dataclass(frozen=True)
class Mix:
    """Weights of logits that are added up.

    Args:
        simple: of the simple path.
        network: of the network's paths.
        share: of the network that counts, from 0 to 1; all weights are shrunk by it towards the simple path alone.
    """

    simple: float
    network: list[float]
    share: float


def mix(simple: np.ndarray, network: Sequence[np.ndarray], labels: np.ndarray, alone: float) -> Mix:
    """Fits weights on held-out records, and shrinks them towards the simple path as far as their gain is unsure.

    What a share of the network's weights gains is measured record by record, each with the weights that the other folds
    give. The share is taken whose mean gain less its standard error is the largest. Near 0 both are in proportion to
    the share: of a gain within its error nothing counts, of a larger one ever more, without a jump.

    Args:
        simple: logits of the simple path, float `[records, classes]`.
        network: those of the network's paths, likewise.
        labels: int `[records]`.
        alone: the simple path's weight where it answers alone.

    Returns:
        The weights.

    Example:
        >>> right = np.eye(2)[[0, 1] * 50]
        >>> mix(np.zeros([100, 2]), [right], np.array([0, 1] * 50), alone=1.0).share > 0.9
        True
    """
    if len(labels) < _MIN_RECORDS:
        return Mix(alone, [0.0] * len(network), 0.0)
    fold = np.random.default_rng(0).permutation(len(labels)) % _FOLDS
    paths, gains = [simple, *network], np.zeros((len(_SHARES), len(labels)))
    for number in range(_FOLDS):
        others, own = fold != number, fold == number
        weights = fit_temperatures([path[others] for path in paths], labels[others])
        both, without = np.tensordot(weights, [path[own] for path in paths], axes=1), alone * simple[own]
        of_without = _log_loss(without, labels[own])
        gains[:, own] = [of_without - _log_loss(share * both + (1 - share) * without, labels[own]) for share in _SHARES]
    error = gains.std(axis=1, ddof=1) / np.sqrt(len(labels))
    share = float(_SHARES[np.argmax(gains.mean(axis=1) - error)])
    first, *rest = fit_temperatures(paths, labels)
    return Mix(share * first + (1 - share) * alone, [share * weight for weight in rest], share)


def _log_loss(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return -log_softmax(logits, axis=1)[np.arange(len(labels)), labels]
