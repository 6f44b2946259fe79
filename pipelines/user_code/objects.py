"""Finding what `module:name` names, and telling in a line what is wrong with it. Imports no TensorFlow of its own."""

import difflib
import hashlib
import importlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from unroll.errors import UserError

_MAX_MESSAGE = 500  # characters of an exception's text; Keras adds every argument of a call


class UserObject:
    """An object of the user's own, imported from an installed package or the current folder, as `python -m` does.

    Args:
        key: the configuration key that names it, for errors.
        name: `module:name`; the name may have dots.

    Raises:
        UserError: no such module, one that cannot be imported, or no such name in it.

    Example:
        >>> UserObject("train.loss", "operator:add").call(2, 3)
        5
    """

    def __init__(self, key: str, name: str):
        self.key = key
        self.name = name
        module_name, _, attributes = name.partition(":")
        self._module = self._import(module_name)
        self.value: Any = self._module
        for attribute in attributes.split("."):
            if not hasattr(self.value, attribute):
                known = [one for one in vars(self.value) if not one.startswith("_")]
                close = difflib.get_close_matches(attribute, known, n=1)
                hint = f". Did you mean {close[0]}?" if close else ". Define it there, or name another"
                raise self.error(f"{_place(self._module)} has no {attribute!r}{hint}")
            self.value = getattr(self.value, attribute)

    def call(self, *arguments: Any, **options: Any) -> Any:
        """Calls it.

        Raises:
            UserError: it cannot be called, or raises.
        """
        if not callable(self.value):
            raise self.error(f"is a {type(self.value).__name__}. Name a function or a class")
        with self.told():
            return self.value(*arguments, **options)

    @contextmanager
    def told(self, remedy: str = "") -> Iterator[None]:
        """Makes a UserError of what the user's code raises in a block."""
        try:
            yield
        except UserError:
            raise
        except Exception as error:
            raise self.error(f"raised {self._raised(error)}{remedy and '. '}{remedy}") from error

    def error(self, problem: str) -> UserError:
        """A UserError that names key and object."""
        return UserError(f"configuration key {self.key}: {self.name} {problem}")

    def digest(self) -> str:
        """SHA-256 of the module's source, or of the object's where there is no file, as in a notebook."""
        file = _file(self._module)
        try:
            source = Path(file).read_bytes() if file else inspect.getsource(self.value).encode()
        except (OSError, TypeError):  # a built-in module; cells that are gone
            source = b""
        return hashlib.sha256(source).hexdigest()

    def _import(self, name: str) -> ModuleType:
        _look_here()
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise self.error(f"cannot be imported: {self._raised(error)}") from error
            raise _no_module(self.key, self.name) from None
        except (Exception, SystemExit) as error:
            raise self.error(f"cannot be imported: {self._raised(error)}") from error

    def _raised(self, error: BaseException) -> str:
        message = " ".join(str(error).split())
        if len(message) > _MAX_MESSAGE:
            message = f"{message[:_MAX_MESSAGE]} ..."
        frames = [one for one in traceback.extract_tb(error.__traceback__) if one.filename != __file__]
        module = getattr(self, "_module", None)  # None while it is imported
        own = [
            one
            for one in frames
            if not one.filename.startswith("<") and (module is None or one.filename == _file(module))
        ]
        where = f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
        return f"{type(error).__name__}: {message}{where}"


def user_objects(config: Mapping[str, Any]) -> list[UserObject]:
    """All that a configuration names, imported, so that a mistake is told before the data is read.

    Args:
        config: sections by name, as the configuration's `model_dump` gives them.

    Raises:
        UserError: as `UserObject`.
    """
    return [UserObject(key, name) for key, name in _named(config)]


def check_modules(config: Mapping[str, Any]) -> None:
    """Refuses a configuration that names a module which is not there. Imports none, so that this is told at once.

    Args:
        config: as `user_objects` takes it.

    Raises:
        UserError: there is no such module.
    """
    for key, name in _named(config):
        package = name.partition(":")[0].partition(".")[0]
        _look_here()
        if package not in sys.modules and importlib.util.find_spec(package) is None:
            raise _no_module(key, name)


def _named(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Key and `module:name` of each object that a configuration names."""
    model, train = config.get("model", {}), config["train"]
    named = {f"model.{key}": model.get(key) for key in ("build", "encoder")}
    named |= {f"train.{key}": train.get(key) for key in ("loss", "optimizer")}
    yield from ((key, name) for key, name in named.items() if name)
    yield from (("train.callbacks", name) for name in train.get("callbacks", ()))


def _look_here() -> None:
    """Has modules found in the working directory, last: nothing in it can stand for an installed package."""
    if not {"", os.getcwd()} & set(sys.path):
        sys.path.append(os.getcwd())
    importlib.invalidate_caches()  # the module may have been written a moment ago


def _no_module(key: str, name: str) -> UserError:
    return UserError(
        f"configuration key {key}: there is no module {name.partition(':')[0]!r}, neither in {os.getcwd()} nor "
        f"installed. Received: {name!r}"
    )


def _place(module: ModuleType) -> str:
    return f"names a module ({_file(module) or module.__name__}) that"


def _file(module: ModuleType) -> str | None:
    return getattr(module, "__file__", None)
