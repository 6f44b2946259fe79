"""The one exception that a person caused and a person can mend."""


class UserError(Exception):
    """A mistake in what the user gave: a file, a column, an option, a store.

    The front door prints it as one line and exits with code 2, without a traceback. The message names
    the thing, the value received and the remedy.

    Example:
        >>> raise UserError("data.label: reviews.csv has no column 'lable'. It has: text, label. "
        ...                 "Name one of these with --set data.label=...")
        Traceback (most recent call last):
        errors.UserError: data.label: reviews.csv has no column 'lable'. It has: text, label. Name one of \
these with --set data.label=...
    """
