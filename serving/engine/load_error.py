"""Why a version is not loaded, and what is to be done about it."""

import re

from unroll.errors import UserError

_AGAIN = "Copy the version there again, whole, or export it again"
_READ = "Let the user that runs the server read it"
_WITHOUT_OP = (
    "Export it without that op, or serve it by a tensorflow_model_server that has it, behind this one: --engine=remote"
)
_ANYWHERE = "Export it without that op, on whichever machine (an LSTM or GRU of Keras: use_cudnn=False)"
_REMEDIES = (
    (re.compile(r"does not have the op"), _WITHOUT_OP),
    (re.compile(r"No OpKernel was registered"), _ANYWHERE),
    (re.compile(r"[Pp]ermission denied"), _READ),
)
_UNKNOWN_OP = re.compile(r"Op type not registered '([^']*)'.*", re.DOTALL)  # with advice for who imports contrib


class LoadError(Exception):
    """A version directory that cannot be served.

    Args:
        problem: what is wrong with it.
        remedy: what to do, without the full stop; empty where the problem says it. None: what helps against such a one.
    """

    def __init__(self, problem: str, remedy: str | None = None) -> None:
        problem = _UNKNOWN_OP.sub(r"this TensorFlow does not have the op '\1', which the graph needs", problem)
        super().__init__(problem)
        if remedy is None:
            remedy = next((one for words, one in _REMEDIES if words.search(problem)), _AGAIN)
        self.remedy = remedy


def as_load_error(error: Exception) -> LoadError:
    """What any exception of a load tells. Damage raises whatever the code that meets it raises."""
    if isinstance(error, LoadError):
        return error
    if isinstance(error, UserError):
        return LoadError(str(error).rstrip("."), "")
    if isinstance(error, OSError):
        return LoadError(str(error))
    return LoadError(f"{type(error).__name__}: {error}")
