"""The one exception that a person caused and a person can fix, and how a command ends by it."""

import contextlib
import errno
import sys
from collections.abc import Iterator


class UserError(Exception):
    """A mistake in what the user gave: a file, a column, an option, a store.

    A command prints it as one line and exits with code 2, without a traceback. The message names
    the thing, the value received and the remedy.

    Example:
        >>> raise UserError("data.label: reviews.csv has no column 'lable'. It has: text, label. "
        ...                 "Name one of these with --set data.label=...")
        Traceback (most recent call last):
        unroll.errors.UserError: data.label: reviews.csv has no column 'lable'. It has: text, label. Name one of \
these with --set data.label=...
    """


@contextlib.contextmanager
def told_in_one_line() -> Iterator[None]:
    """Ends the process with one line, and without a traceback, for what a person can fix: code 2."""
    try:
        yield
    except UserError as error:
        print(f"error: {' '.join(str(error).splitlines())}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:
        if error.filename is None and error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        print(f"error: {error.filename or 'disk'}: {error.strerror}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
