"""Lists that a cell holds as text, as programs write them to CSV."""

import ast
import io
import json
import tokenize

_BRACKETS = ("[]", "()")


def written_list(text: str) -> list[object] | None:
    """The parts of a list as JSON, Python or NumPy write it; None of other text.

    Example:
        >>> written_list('["good", null]'), written_list("['a dog' 'a cat']"), written_list("[sic]")
        (['good', None], ['a dog', 'a cat'], None)
    """
    text = text.strip()
    if text[:1] + text[-1:] not in _BRACKETS:
        return None
    try:
        return list(json.loads(text)) if text[0] == "[" else _of_python(text)
    except (ValueError, RecursionError):
        return _of_python(text)


def _of_python(text: str) -> list[object] | None:
    try:
        found = ast.literal_eval(text)
        if not isinstance(found, list | tuple):
            return None
        if not found or not all(isinstance(part, str) for part in found):
            return list(found)
        tokens = tokenize.generate_tokens(io.StringIO(text).readline)  # Python joins what NumPy writes without commas
        return [ast.literal_eval(token.string) for token in tokens if token.type == tokenize.STRING]
    except (ValueError, SyntaxError, MemoryError, RecursionError, tokenize.TokenError):
        return None
