"""How well `unroll tune` draws settings, on made-up losses over a task's search space: nothing is trained.

    python benchmarks/searches/draws.py                     # a minute or two
    python benchmarks/searches/draws.py --trials 10 30 --searches 200

Each search has a loss of its own: a weighted sum of squared distances to an optimum, of lists an amount for each value,
and noise of a fiftieth of the weights. The optimum lies `away` from the defaults in standard deviations of each key's
range. `beats` is how often the best of so many trials, the defaults first, is better than the best of 50 random ones.
What real losses look like is for benchmarks/tuning.py to say.
"""

import argparse
import json
import math
import statistics
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[0] = str(ROOT)  # else benchmarks/serving.py hides the package
import numpy as np  # noqa: E402
import optuna  # noqa: E402
import pandas as pd  # noqa: E402

from unroll.pipelines.configurations import config_schema  # noqa: E402
from unroll.pipelines.tuning.search import sampler  # noqa: E402
from unroll.pipelines.tuning.search_space import Choice, near_own, search_space  # noqa: E402

TASK = "sentiment"
AWAY = (0.15, 0.3, 0.6)
_RANDOM = 50
_RATE = "train.learning_rate"  # which matters most, as a rule


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[10])
    parser.add_argument("--searches", type=int, default=100)
    parser.add_argument("--json", action="store_true", help="print rows, one object each")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    rows = []
    for trials in arguments.trials:
        for away in AWAY:
            for system in ("unroll tune", "random"):
                beats = [_beats(system, trials, away, seed) for seed in range(arguments.searches)]
                rows.append({"system": system, "trials": trials, "away": away, "beats": statistics.fmean(beats)})
    print(json.dumps(rows) if arguments.json else pd.DataFrame(rows).to_string(index=False))


def _beats(system: str, trials: int, away: float, seed: int) -> bool:
    loss = _Loss(away, seed)
    drawing = optuna.samplers.RandomSampler(seed=seed) if system == "random" else sampler(seed)
    reference = optuna.samplers.RandomSampler(seed=10_000 + seed)
    return _best(drawing, loss, trials, loss.own) < _best(reference, loss, _RANDOM, None)


def _best(drawing: optuna.samplers.BaseSampler, loss: "_Loss", trials: int, first: dict[str, Any] | None) -> float:
    study = optuna.create_study(sampler=drawing)
    if first:
        study.enqueue_trial(first)
    for _ in range(trials):
        trial = study.ask()
        study.tell(trial, loss({key: one.suggest(trial, key) for key, one in loss.space.items()}))
    return study.best_value


class _Loss:
    """Of settings of the task."""

    def __init__(self, away: float, seed: int) -> None:
        config = config_schema(TASK)()
        settings = config.model_dump(mode="json")
        settings["model"]["min_count"] = 1  # what few data decide on
        self.space, self.own = near_own(search_space(TASK, config, []), settings)
        self._random = random = np.random.default_rng(seed)
        self._weights = {key: random.gamma(0.5) * (3 if key == _RATE else 1) for key in self.space}
        self._optimum = {key: self._place(key, self.own[key]) + random.normal(0, away) for key in self.space}
        self._values = {
            key: {value: random.normal(0, 0.15) * math.sqrt(self._weights[key]) for value in one.values}
            for key, one in self.space.items()
            if isinstance(one, Choice)
        }
        self._noise = sum(self._weights.values()) / 50

    def __call__(self, values: dict[str, Any]) -> float:
        total = self._random.normal(0, self._noise)
        for key, value in values.items():
            if key in self._values:
                total += self._values[key][value]
            else:
                optimum = min(1.0, max(0.0, self._optimum[key]))
                total += self._weights[key] * (self._place(key, value) - optimum) ** 2
        return total

    def _place(self, key: str, value: Any) -> float:
        """In the key's range, from 0 to 1."""
        one = self.space[key]
        if isinstance(one, Choice):
            return 0.0
        low, high, at = (math.log(end) if one.log else end for end in (one.low, one.high, value))
        return (at - low) / (high - low)


if __name__ == "__main__":
    main()
