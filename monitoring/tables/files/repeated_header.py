"""Headers further down in a table, as they stand there where files were joined to one."""

REPEATED = "A row repeats the header, as in joined files: left out."


class RepeatedHeader:
    """Finds the lines of a table that are its header once more.

    Args:
        header: its text without the last line end; empty: there is none.

    Attributes:
        places: of their first bytes, in the text of the records.

    Example:
        >>> repeated = RepeatedHeader(b"day,load")
        >>> sum(map(repeated.feed, [b"1,7\\nday,", b"load\\n2,8\\n"]))
        17
        >>> repeated.places
        [4]
    """

    def __init__(self, header: bytes):
        self.places: list[int] = []
        self._line = b"\n" + header if header else b""
        self._end = b"\n"  # of what was fed: what begins there may go on
        self._fed = 0

    def feed(self, part: bytes) -> int:
        """Takes further text of the records, and gives its length."""
        if self._line:
            width = len(self._line)
            self._find(self._end + part[: width + 1], self._fed - len(self._end), len(self._end))
            self._find(part, self._fed, len(part))
            self._end = part[-width:] if len(part) >= width else (self._end + part)[-width:]
        self._fed += len(part)
        return len(part)

    def finish(self) -> None:
        """Takes note that there is no more."""
        if self._line and self._end == self._line:
            self.places.append(self._fed - len(self._line) + 1)

    @property
    def told(self) -> str:
        """For the run's output."""
        count = len(self.places)
        return REPEATED if count == 1 else f"{count:,} rows repeat the header, as in joined files: left out."

    def _find(self, text: bytes, first: int, stop: int) -> None:
        """Lines that begin behind the line ends before `stop`; `first` is the place of the text."""
        at = text.find(self._line, 0, stop + len(self._line))
        while 0 <= at < stop:
            end = at + len(self._line)
            if text[end : end + 1] in (b"\n", b"\r"):
                self.places.append(first + at + 1)
            at = text.find(self._line, end)
