"""Layers and models that take one frozen configuration instead of a row of arguments."""

import dataclasses
from typing import Any, ClassVar


class Configured:
    """Mixin, before the Keras class: saves and loads `self.config`, an instance of the dataclass `Config`.

    Example:
        >>> import keras
        >>> @dataclasses.dataclass(frozen=True)
        ... class ScaleConfig:
        ...     factor: float = 1.0
        >>> class Scale(Configured, keras.layers.Layer):
        ...     Config = ScaleConfig
        ...     def __init__(self, config, **kwargs):
        ...         super().__init__(**kwargs)
        ...         self.config = config
        >>> Scale.from_config(Scale(ScaleConfig(2.0)).get_config()).config
        ScaleConfig(factor=2.0)
    """

    Config: ClassVar[type]
    config: Any

    def get_config(self) -> dict[str, Any]:
        # Keras marks tuples when it saves, but does not turn nested ones back
        values = {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in dataclasses.asdict(self.config).items()
        }
        return {**super().get_config(), "config": values}  # type: ignore[misc]

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        config = dict(config)
        return cls(cls.Config(**config.pop("config")), **config)  # type: ignore[call-arg]
