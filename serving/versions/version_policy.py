"""Which of the versions on disk a model serves."""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Latest:
    """The highest version numbers.

    Args:
        count: how many of them.
    """

    count: int = 1

    def wanted(self, held: Collection[int]) -> set[int]:
        """The versions to serve, out of those there are."""
        return set(sorted(held)[-self.count :])


@dataclass(frozen=True)
class All:
    """Every version."""

    def wanted(self, held: Collection[int]) -> set[int]:
        """The versions to serve, out of those there are."""
        return set(held)


@dataclass(frozen=True)
class Specific:
    """Versions by number."""

    versions: frozenset[int]

    def wanted(self, held: Collection[int]) -> set[int]:
        """The versions to serve, out of those there are."""
        return set(held) & self.versions


VersionPolicy = Latest | All | Specific
