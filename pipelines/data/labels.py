"""Labels as people write them: what is the same label to a reader is the same class."""

import ast
import unicodedata
from collections.abc import Mapping, Sequence

from unroll.models.text.alike import IGNORED
from unroll.monitoring.features.normal_form import normal_form

_FORM = {"fold": [[f"[{IGNORED}]", ""]], "form": "NFC"}


def tidy_label(label: str) -> str:
    """A label without what is not drawn: Unicode's composed form, single blanks, none at the ends.

    Example:
        >>> tidy_label(" tre\u0300s  bon\u00a0") == "tr\u00e8s bon"
        True
    """
    return " ".join(normal_form(label, _FORM).split())


def label_key(label: str) -> str:
    """What labels have in common that differ in capitals only, or in how wide they are drawn.

    Example:
        >>> label_key("POSITIVE") == label_key("Positive")
        True
    """
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", label).casefold())


def twins(counts: Mapping[str, int]) -> list[list[str]]:
    """Labels that differ in capitals only, the most frequent of each group first.

    Args:
        counts: records by label.

    Example:
        >>> twins({"Yes": 3, "yes": 9, "no": 8})
        [['yes', 'Yes']]
    """
    groups: dict[str, list[str]] = {}
    for label in sorted(counts, key=lambda label: (-counts[label], label)):
        groups.setdefault(label_key(label), []).append(label)
    return [group for group in groups.values() if len(group) > 1]


def is_list(label: str) -> bool:
    """Whether a cell holds a list of labels, as JSON or Python write it.

    Example:
        >>> is_list('["good", "urgent"]'), is_list("[sic]")
        (True, False)
    """
    if label[0] != "[" or label[-1] != "]":
        return False
    try:
        return isinstance(ast.literal_eval(label), list)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False


def class_of(label: str, classes: Sequence[str]) -> str:
    """The class that a label of further data names: itself, else the only one that differs in capitals; else the label.

    Example:
        >>> class_of(" Positive", ["negative", "positive"])
        'positive'
    """
    label = tidy_label(label)
    if label in classes:
        return label
    alike = [one for one in classes if label_key(one) == label_key(label)]
    return alike[0] if len(alike) == 1 else label
