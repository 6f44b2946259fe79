"""What was found out about tables by looking at them, for the run's output."""

from collections.abc import Iterator


class Notes:
    """Lines, each once, in the order in which they come.

    Example:
        >>> notes = Notes()
        >>> notes.add("The last row is left out.")
        >>> notes.add("The last row is left out.")
        >>> list(notes)
        ['The last row is left out.']
    """

    def __init__(self) -> None:
        self._lines: dict[str, None] = {}

    def add(self, line: str) -> None:
        self._lines.setdefault(line)

    def __iter__(self) -> Iterator[str]:
        return iter(self._lines)
