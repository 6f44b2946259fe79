"""Which registered version is served."""

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
    path = tracking.saved_model(registered)
    if alias == CHAMPION:
        path = serving.Store(workspace.store).serve(registered.name, registered.version, path)
    tracking.point(registered, alias)
    return path


def rollback(tracking: Tracking, workspace: Workspace, name: str) -> Registered:
    """Makes the previous champion the champion again.

    Raises:
        UserError: there was no other champion.
    """
    current = tracking.version(name)
    previous = tracking.previous(name)
    if previous is None:
        raise UserError(
            f"model {name!r} has had no champion but version {current.version}, so there is nothing to go back "
            f"to. Choose a version with `unroll promote {name} VERSION`"
        )
    registered = tracking.version(name, previous)
    promote(tracking, workspace, registered)
    return registered
