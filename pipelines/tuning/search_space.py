"""What is searched: configuration keys and the values that each may take."""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from unroll import plugins
from unroll.errors import UserError
from unroll.pipelines.training.config import TaskConfig, load_config

if TYPE_CHECKING:
    from optuna import Trial

_RANGE = re.compile(r"\s*(\S+?)\s*\.\.\s*(\S+?)\s*")
_LOG = 10.0  # ends of a range this many times apart are searched by magnitude


@dataclass(frozen=True)
class Choice:
    """One of several values.

    Args:
        values: as the configuration takes them: texts, numbers, true, false or null.
    """

    values: tuple[Any, ...]

    def ends(self) -> tuple[Any, ...]:
        """Values that must all be in range for the rest to be."""
        return self.values

    def holds(self, value: Any) -> bool:
        """Whether it may take a value."""
        return value in self.values

    def suggest(self, trial: "Trial", key: str) -> Any:
        return trial.suggest_categorical(key, self.values)


@dataclass(frozen=True)
class Sizes:
    """A size that the data decide where the configuration leaves it open: one of those near what they decide.

    Args:
        values: sizes, of which those from half to twice the data's own are tried, and that one.
    """

    values: tuple[int, ...]

    def ends(self) -> tuple[Any, ...]:
        """Values that must all be in range for the rest to be."""
        return self.values

    def near(self, own: int | None) -> Choice:
        """What is tried where the data decide on one.

        Example:
            >>> Sizes((16, 24, 32, 48, 64)).near(20)
            Choice(values=(16, 20, 24, 32))
        """
        if own is None:
            return Choice(self.values)
        return Choice(tuple(sorted({own, *(one for one in self.values if own <= 2 * one <= 4 * own)})))

    def suggest(self, trial: "Trial", key: str) -> Any:
        return self.near(None).suggest(trial, key)


@dataclass(frozen=True)
class _Range:
    low: float
    high: float
    log: bool = False

    def ends(self) -> tuple[Any, ...]:
        """Values that must all be in range for the rest to be."""
        return self.low, self.high

    def holds(self, value: Any) -> bool:
        """Whether it may take a value."""
        return isinstance(value, int | float) and self.low <= value <= self.high


class Integers(_Range):
    """A whole number.

    Args:
        low: the least.
        high: the greatest.
        log: whether magnitudes, not differences, are tried evenly.
    """

    def suggest(self, trial: "Trial", key: str) -> Any:
        return trial.suggest_int(key, int(self.low), int(self.high), log=self.log)


class Floats(_Range):
    """A number; arguments as of `Integers`."""

    def ends(self) -> tuple[Any, ...]:
        """Values that must all be in range for the rest to be; one is not whole, as most that are drawn."""
        return self.low, self.high, self.low + (self.high - self.low) / math.pi

    def suggest(self, trial: "Trial", key: str) -> Any:
        return trial.suggest_float(key, self.low, self.high, log=self.log)


Dimension = Choice | Sizes | Integers | Floats
SearchSpace = Mapping[str, Dimension]

_EVERY_TASK: SearchSpace = {
    "train.learning_rate": Floats(3e-4, 1e-2, log=True),
    "train.batch_size": Choice((16, 32, 64, 128, 256)),
    "train.weight_decay": Floats(1e-5, 0.1, log=True),
}


def search_space(task: str, config: TaskConfig, named: Sequence[str]) -> SearchSpace:
    """The keys to search, by dotted name.

    Args:
        task: its name; what its folder's module `search_space` lists as `SPACE` is searched, and learning rate, batch
            size and weight decay where it has none.
        config: what it sets is left as it is.
        named: `key=low..high` or `key=[a, b, c]`, searched instead of all that.

    Raises:
        UserError: a text of another form, or there is nothing left to search.

    Example:
        >>> search_space("mine", TaskConfig(), ["model.units=16..128", "model.cell=[gru, lstm]"])
        {'model.units': Integers(low=16, high=128, log=False), 'model.cell': Choice(values=('gru', 'lstm'))}
    """
    if named:
        parsed = [_parsed(one) for one in named]
        for key, count in Counter(key for key, _ in parsed).items():
            if count > 1:
                raise UserError(f"--search {key}: given {count} times. Name each key once, with all of its values")
        return dict(parsed)
    own = next((module.SPACE for module in plugins.beside("search_space", task)), _EVERY_TASK)
    fixed = set(_set_keys(config))
    space = {key: dimension for key, dimension in own.items() if key not in fixed}
    if not space:
        raise UserError(
            f"unroll tune {task}: every key that would be searched is set by --set or --config ({', '.join(own)}). "
            "Leave some out, or name others: --search train.learning_rate=0.0003..0.01"
        )
    return space


def check_space(space: SearchSpace, config: TaskConfig) -> None:
    """Refuses keys that there are not, and values out of their range.

    Args:
        space: to check.
        config: what is searched from.

    Raises:
        UserError: what is wrong with a key.
    """
    settings = config.model_dump(mode="json")
    for key, dimension in space.items():
        for value in dimension.ends():
            try:
                load_config(type(config), base=with_values(settings, {key: value}))
            except UserError as error:
                raise UserError(f"--search {key}: {error}") from None


def near_own(space: SearchSpace, own: Mapping[str, Any]) -> tuple[SearchSpace, dict[str, Any]]:
    """What is searched of the data at hand, around what is trained with where nothing is searched.

    Args:
        space: keys and the values that each may take.
        own: nested settings, in which the data decided what the configuration leaves open.

    Returns:
        The keys, their sizes near the data's own; and the values in `own` of those keys whose range holds them.

    Example:
        >>> near_own({"model.units": Sizes((8, 64, 96)), "model.cell": Choice(("gru",))}, {"model": {"units": 60}})
        ({'model.units': Choice(values=(60, 64, 96)), 'model.cell': Choice(values=('gru',))}, {'model.units': 60})
    """
    values = {key: _value(own, key) for key in space}
    near = {key: one.near(values[key]) if isinstance(one, Sizes) else one for key, one in space.items()}
    return near, {key: value for key, value in values.items() if near[key].holds(value)}


def _value(settings: Mapping[str, Any], key: str) -> Any:
    for part in key.split("."):
        settings = (settings or {}).get(part)  # type: ignore[assignment]
    return settings


def with_values(settings: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Nested settings, with the values of dotted keys.

    Example:
        >>> with_values({"train": {"seed": 0}}, {"train.batch_size": 32})
        {'train': {'seed': 0, 'batch_size': 32}}
    """
    changed = dict(settings)
    for key, value in values.items():
        section, _, rest = key.partition(".")
        changed[section] = with_values(changed.get(section) or {}, {rest: value}) if rest else value
    return changed


def _parsed(text: str) -> tuple[str, Dimension]:
    key, separator, values = text.partition("=")
    found = _RANGE.fullmatch(values)
    if separator and found:
        try:
            return key, _range(*(yaml.safe_load(end) for end in found.groups()))
        except (TypeError, ValueError, yaml.YAMLError):
            pass
    elif separator:
        try:
            listed = yaml.safe_load(values)
        except yaml.YAMLError:
            listed = None
        if isinstance(listed, list) and len(listed) > 1 and not any(isinstance(one, list | dict) for one in listed):
            return key, Choice(tuple(listed))
    raise UserError(f"--search takes key=low..high or key=[a, b, c]. Received: {text!r}")


def _range(low: Any, high: Any) -> Dimension:
    low, high = (float(end) if isinstance(end, str) else end for end in (low, high))  # YAML reads 1e-4 as a text
    if not low < high:
        raise ValueError
    log = low > 0 and high / low >= _LOG
    return Integers(low, high, log) if isinstance(low, int) and isinstance(high, int) else Floats(low, high, log)


def _set_keys(section: Any, prefix: str = "") -> list[str]:
    keys: list[str] = []
    for name in section.model_fields_set:
        value = getattr(section, name)
        keys += _set_keys(value, f"{prefix}{name}.") if hasattr(value, "model_fields_set") else [prefix + name]
    return keys
