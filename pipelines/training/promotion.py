"""Which registered version is served."""

import contextlib
import fcntl
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unroll import serving
from unroll.errors import UserError
from unroll.pipelines.training.tracking import CHAMPION, Registered, Tracking
from unroll.serving.versions.store import SIGNATURE
from unroll.serving.versions.verification import Verifier, how_to_sign
from unroll.workspace import Workspace, write_atomically


@dataclass(frozen=True)
class Withdrawn:
    """A version that is no longer served.

    Args:
        version: its number.
        path: where it is kept.
        registered: whether the registry has it, so that `unroll promote` brings it back.
    """

    version: int
    path: Path
    registered: bool


@dataclass(frozen=True)
class Moved:
    """What a promotion, or the way back, did.

    Args:
        registered: the version that an alias points to now.
        alias: the alias.
        path: the version's SavedModel directory: in the store for the champion, else in the registry.
        withdrawn: versions that left the store for it.
        unsigned: whether it has no signature though a version below it has one, which servers may go on to serve.
        mended: what an earlier command that was killed had left to do, and was done first; empty if none.
    """

    registered: Registered
    alias: str
    path: Path
    withdrawn: Sequence[Withdrawn]
    unsigned: bool
    mended: str

    def document(self) -> dict[str, Any]:
        """What `--json` prints."""
        withdrawn = [
            {"version": one.version, "path": str(one.path), "registered": one.registered} for one in self.withdrawn
        ]
        return {
            "name": self.registered.name,
            "version": self.registered.version,
            "alias": self.alias,
            "path": str(self.path),
            "withdrawn": withdrawn,
            "unsigned": self.unsigned,
            "mended": self.mended,
        }

    def remarks(self) -> Iterator[str]:
        """What a person should know of it, a line each."""
        name = self.registered.name
        if self.mended:
            yield self.mended
        for one in self.withdrawn:
            back = f"`unroll promote {name} {one.version}` serves it again"
            if not one.registered:
                place = self.path.parent / str(one.version)
                back = f"the registry does not have it; to serve it again, move it to {place}"
            yield f"withdrawn: version {one.version}, kept in {one.path} ({back})"
        if self.unsigned:
            yield (
                f"version {self.registered.version} is not signed, as others are: a server that asks for signatures "
                f"serves it once it is. Sign it: {how_to_sign(self.path)}"
            )


class Promotion:
    """Moves aliases, and has the store follow the champion. One command at a time; the others wait.

    The version is put in the store before the alias moves, so that a failed copy changes nothing. What is under way is
    noted in the store: if a command is killed in between, the next one moves the alias after the store.

    Args:
        tracking: the registry.
        workspace: where the store is.
        unsigned: whether an unsigned version may replace a signed one.
        verify: what servers ask of a version, see `unroll.serving.versions.store.Store.serve`.
    """

    def __init__(
        self,
        tracking: Tracking,
        workspace: Workspace,
        *,
        unsigned: bool = False,
        verify: Callable[[Path], None] | None = None,
    ) -> None:
        self._tracking = tracking
        self._workspace = workspace
        self._store = serving.Store(workspace.store)
        self._unsigned = unsigned
        self._verify = verify
        self._note = workspace.store / ".promotion.json"

    def promote(self, name: str, version: int, alias: str = CHAMPION) -> Moved:
        """Moves an alias to a version; the champion also becomes the version that servers serve.

        Raises:
            UserError: no such version, or one that servers would refuse. Nothing is changed.
        """
        with self._turn() as mended:
            registered = self._tracking.version(name, version)
            return self._move(registered, alias, self._history(registered, alias), mended)

    def promote_first(self, registered: Registered) -> Moved | None:
        """Promotes a version if its model has no champion and the store no version above it; else does nothing."""
        with self._turn() as mended:
            champions = [one for one in self._tracking.versions(registered.name) if CHAMPION in one.aliases]
            if champions or max(self._store.versions(registered.name), default=0) > registered.version:
                return None
            return self._move(registered, CHAMPION, self._history(registered, CHAMPION), mended)

    def rollback(self, name: str) -> Moved:
        """Makes the previous champion the champion again; called twice, the one before that.

        Raises:
            UserError: there was no champion before, or servers would refuse it. Nothing is changed.
        """
        with self._turn() as mended:
            current = self._tracking.version(name)
            history = self._tracking.history(name)
            if not history:
                raise UserError(
                    f"model {name!r} had no champion before version {current.version}, so there is nothing to go back "
                    f"to. Choose a version with `unroll promote {name} VERSION`"
                )
            return self._move(self._tracking.version(name, history[-1]), CHAMPION, history[:-1], mended)

    def _history(self, registered: Registered, alias: str) -> list[int]:
        before = [one.version for one in self._tracking.versions(registered.name) if alias in one.aliases]
        history = self._tracking.history(registered.name, alias)
        return [*history, *(one for one in before if one != registered.version)]

    def _move(self, registered: Registered, alias: str, history: Sequence[int], mended: str) -> Moved:
        path = self._tracking.saved_model(registered)
        if alias != CHAMPION:
            self._tracking.point(registered, alias, history)
            return Moved(registered, alias, path, (), False, mended)
        name, version = registered.name, registered.version
        note = {"registry": self._workspace.tracking_uri, "name": name, "version": version, "history": list(history)}
        write_atomically(self._note, json.dumps(note).encode())
        try:
            served = self._store.serve(name, version, path, unsigned=self._unsigned, verify=self._verify)
        except BaseException:
            if not self._is_served(name, version):
                self._note.unlink()
            raise
        self._tracking.point(registered, alias, history)
        self._note.unlink()
        known = {one.version for one in self._tracking.versions(name)}
        withdrawn = [Withdrawn(number, at, number in known) for number, at in served.withdrawn.items()]
        signed = [one for one in self._store.versions(name) if (self._store.path(name, one) / SIGNATURE).is_file()]
        return Moved(registered, alias, served.path, withdrawn, bool(signed) and version not in signed, mended)

    @contextlib.contextmanager
    def _turn(self) -> Iterator[str]:
        self._workspace.store.mkdir(parents=True, exist_ok=True)
        with (self._workspace.store / ".promotion.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield self._mend()

    def _mend(self) -> str:
        """Has the alias follow the store, where a command was killed between the two."""
        if not self._note.exists():
            return ""
        note = json.loads(self._note.read_bytes())
        if note["registry"] != self._workspace.tracking_uri:
            return ""
        name, version = note["name"], note["version"]
        registered = [one for one in self._tracking.versions(name) if one.version == version]
        done = ""
        if registered and self._is_served(name, version):
            self._tracking.point(registered[0], CHAMPION, note["history"])
            done = f"a command was killed while it made version {version} of {name} the champion: that is done now"
        self._note.unlink()
        return done

    def _is_served(self, name: str, version: int) -> bool:
        return self._store.versions(name)[-1:] == [version]


def disagreements(versions: Sequence[Registered], store: Path) -> Iterator[str]:
    """A line for each model of which the store serves another version than its champion.

    Args:
        versions: of all models.
        store: the store's directory.
    """
    for one in versions:
        served = serving.Store(store).versions(one.name)[-1:]
        if CHAMPION in one.aliases and served and served != [one.version]:
            yield (
                f"{one.name}: version {one.version} is the champion, but the store serves version {served[0]}. "
                f"To have the champion served: unroll promote {one.name} {one.version}"
            )


def promotion(workspace: Workspace, verify_public_key: Path | None, unsigned: bool) -> Promotion:
    """The promotions of a workspace.

    Args:
        workspace: with its registry and its store.
        verify_public_key: PEM file of the keys that servers ask for; None: they ask for none.
        unsigned: whether an unsigned version may replace a signed one.
    """
    verify = Verifier(verify_public_key) if verify_public_key else None
    return Promotion(Tracking(workspace), workspace, unsigned=unsigned, verify=verify)
