"""Which registered version is served."""

from collections.abc import Sequence
from pathlib import Path

import serving
from errors import UserError
from pipelines.tracking import CHAMPION, Registered, Tracking
from workspace import Workspace


def promote(tracking: Tracking, workspace: Workspace, registered: Registered, alias: str = CHAMPION) -> Path:
    """Moves an alias to a version; the champion also becomes the version that servers serve.

    The version is put in the store before the alias moves, so that a failed copy changes nothing.

    Returns:
        The version's SavedModel directory: in the store for the champion, else in the registry.
    """
    before = [one.version for one in tracking.versions(registered.name) if alias in one.aliases]
    history = [*tracking.history(registered.name, alias), *(one for one in before if one != registered.version)]
    return _move(tracking, workspace, registered, alias, history)


def rollback(tracking: Tracking, workspace: Workspace, name: str) -> Registered:
    """Makes the previous champion the champion again; called twice, the one before that.

    Raises:
        UserError: there was no champion before.
    """
    current = tracking.version(name)
    history = tracking.history(name)
    if not history:
        raise UserError(
            f"model {name!r} had no champion before version {current.version}, so there is nothing to go back "
            f"to. Choose a version with `unroll promote {name} VERSION`"
        )
    registered = tracking.version(name, history[-1])
    _move(tracking, workspace, registered, CHAMPION, history[:-1])
    return registered


def _move(tracking: Tracking, workspace: Workspace, registered: Registered, alias: str, history: Sequence[int]) -> Path:
    path = tracking.saved_model(registered)
    if alias == CHAMPION:
        path = serving.Store(workspace.store).serve(registered.name, registered.version, path)
    tracking.point(registered, alias, history)
    return path
