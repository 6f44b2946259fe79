"""Labels as people write them: what is the same label to a reader is the same class."""

import ast
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from unroll.models.text.alike import IGNORED
from unroll.monitoring.features.normal_form import normal_form

_FORM = {"fold": [[f"[{IGNORED}]", ""]], "form": "NFC"}
_WHOLE = re.compile(r"([+-]?\d+)\.0*")  # 1.0, as pandas writes the whole numbers of a column with a blank
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?")
_TRUTH = {"0": "false", "1": "true", "false": "false", "true": "true"}
_DIGITS = re.compile(r"[\d.,/+-]+")  # 1,5 and 3/4 are numbers
_BETWEEN = re.compile(r"\s*[|;,/&+]\s*")
_MAX_SHOWN = 3


def tidy_label(label: str) -> str:
    """A label without what is not drawn: Unicode's composed form, single blanks, none at the ends.

    Example:
        >>> tidy_label(" tre\u0300s  bon\u00a0") == "tr\u00e8s bon"
        True
    """
    return " ".join(normal_form(label, _FORM).split())


@lru_cache(4096)
def label_key(label: str) -> str:
    """What labels have in common that differ in capitals only, in how wide they are drawn, or in the `.0` of a number.

    Example:
        >>> label_key("POSITIVE") == label_key("Positive"), label_key("1.0")
        (True, '1')
    """
    return _without_point(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", label).casefold()))


def _without_point(label: str) -> str:
    return found[1] if (found := _WHOLE.fullmatch(label)) else label


def class_names(counts: Mapping[str, int], merge: bool) -> tuple[dict[str, str], list[str]]:
    """Which labels are one class, and what it is called: one name, whatever kind of file the labels come from.

    In a column of numbers 1.0 is 1, in one of truth values `True` is `true`, and so is 1 beside them; of labels that
    differ in capitals only the most frequent names the class.

    Args:
        counts: records by label.
        merge: False: each label is a class of its own.

    Returns:
        The classes of labels that are not called as their class, and what to say of it, a line each.

    Example:
        >>> class_names({"1": 3, "1.0": 9, "2.0": 8}, merge=True)[0]
        {'1.0': '1', '2.0': '2'}
    """
    truth = _are_truth_values(counts)
    numbers = all(_NUMBER.fullmatch(label) for label in counts)
    groups: dict[str, list[str]] = {}
    for label in sorted(counts, key=lambda label: (-counts[label], label)):
        key = label_key(label)
        groups.setdefault(_TRUTH[key] if truth else key, []).append(label)
    names: dict[str, str] = {}
    said, renamed = [], []
    for key, group in groups.items():
        differ = f"Labels {', '.join(f'{label!r} ({counts[label]:,})' for label in group)} {_difference(group)}"
        if not merge:
            if len(group) > 1:
                differ = differ.replace("Labels", "Warning: labels", 1)
                said.append(f"{differ} and are classes of their own. To make them one: --set data.merge_case=true")
            continue
        name = key if truth else next((label for label in group if _NUMBER.fullmatch(label)), group[0])
        name = _without_point(name) if numbers or len(group) > 1 else name
        names.update({label: name for label in group if label != name})
        if len(group) > 1:
            said.append(f"{differ} and are one class, {name!r}. To keep them apart: --set data.merge_case=false")
        elif name != group[0]:
            renamed.append(f"{group[0]!r} is {name!r}")
    if renamed:
        listed = ", ".join(sorted(renamed)[:_MAX_SHOWN]) + ", ..." * (len(renamed) > _MAX_SHOWN)
        said.append(f"Labels are named alike whatever kind of file has them: {listed}.")
    return names, said


def _difference(group: Sequence[str]) -> str:
    if len({label_key(label) for label in group}) > 1:
        return "are the same truth value"
    return "are the same number" if any(_WHOLE.fullmatch(label) for label in group) else "differ in capitals only"


def _are_truth_values(labels: Iterable[str]) -> bool:
    """Whether these are true and false, perhaps with 1 and 0 beside them."""
    keys = {label_key(label) for label in labels}
    return keys <= _TRUTH.keys() and not keys <= {"0", "1"}


def joined_lists(labels: Iterable[str]) -> tuple[list[str], list[str]]:
    """Labels that are lists in one cell, such as `good|urgent`.

    Returns:
        Two that have the same parts in another order, or none; and those whose parts are all labels themselves.

    Example:
        >>> joined_lists(["good", "urgent", "good|urgent", "urgent|good"])
        (['good|urgent', 'urgent|good'], ['good|urgent', 'urgent|good'])
    """
    known = set(labels)
    texts = (label for label in sorted(known) if not _DIGITS.fullmatch(label))
    parts = {label: several for label in texts if len(several := _BETWEEN.split(label)) > 1 and all(several)}
    same: dict[tuple[str, ...], list[str]] = {}
    for label, several in parts.items():
        same.setdefault(tuple(sorted(several)), []).append(label)
    pair = next((group[:2] for group in same.values() if len(group) > 1 and len(set(parts[group[0]])) > 1), [])
    return pair, [label for label, several in parts.items() if known.issuperset(several)]


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
    """The class that a label of further data names: itself, else the only one that differs from it in capitals, in the
    `.0` of a number, or as 1 differs from true; else the label.

    Example:
        >>> class_of(" Positive", ["negative", "positive"])
        'positive'
    """
    label = tidy_label(label)
    if label in classes:
        return label
    alike = [one for one in classes if label_key(one) == label_key(label)]
    if not alike and _are_truth_values([label, *classes]):
        alike = [one for one in classes if _TRUTH[label_key(one)] == _TRUTH[label_key(label)]]
    return alike[0] if len(alike) == 1 else label
