"""Labels as people write them: what is the same label to a reader is the same class."""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache

from unroll.errors import UserError
from unroll.models.text.alike import IGNORED
from unroll.monitoring.features.normal_form import normal_form
from unroll.monitoring.tables.notes import Notes
from unroll.monitoring.tables.written_lists import written_list

_FORM = {"fold": [[f"[{IGNORED}]", ""]], "form": "NFC"}
_WHOLE = re.compile(r"([+-]?\d+)\.0*")  # 1.0, as pandas writes the whole numbers of a column with a blank
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?")
_COMMA = re.compile(r"([+-]?\d+),(\d{1,2})")  # three digits may be thousands
_FRACTION = re.compile(r"[+-]?\d*[.,]\d*[1-9]\d*")
_TRUTH = {"0": "false", "1": "true", "false": "false", "true": "true"}
_DIGITS = re.compile(r"[\d.,/+-]+")  # 1,5 and 3/4 are numbers
_BETWEEN = re.compile(r"\s*[|;,/&+]\s*")
_MAX_SHOWN = 3
_LABELS = "Labels", "class", "classes"
_CATEGORIES = "Categories", "category", "categories"
_FEW = 10  # classes of which a small file may have a record each
_ONE_LABEL = "A record has one label: keep one of each list, or train a model for every label"
_YES_NO = "on a column that says yes or no"


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


def _with_point(label: str, labels: Collection[str]) -> str:
    """A number with a comma before its fraction as one with a point, unless it may be a list of two labels."""
    found = _COMMA.fullmatch(label)
    return f"{found[1]}.{found[2]}" if found and not (found[1] in labels and found[2] in labels) else label


def tidy_labels(cells: Iterable[str | None], where: str) -> list[str]:
    """The labels of a column's cells, empty where there is none.

    Args:
        cells: as the file has them.
        where: the column, for the message.

    Raises:
        UserError: a cell is a list of labels.
    """
    labels = [tidy_label(cell) if cell else "" for cell in cells]
    if several := next((label for label in labels if label and is_list(label)), None):
        raise UserError(
            f"{where} holds lists of labels, such as {several}. {_ONE_LABEL}, on a column that says yes or no"
        )
    return labels


def find_classes(counts: Mapping[str, int], where: str, *, merge: bool, notes: Notes) -> dict[str, str]:
    """The classes of labels that are not called as their class.

    Args:
        counts: records by tidy label.
        where: the column, for the message.
        merge: False: each label is a class of its own.
        notes: where to say which labels are one class, or look like it.

    Raises:
        UserError: labels that are the same list in another order.
    """
    pair, joined = joined_lists(counts)
    if pair:
        raise UserError(
            f"{where}: labels {pair[0]!r} and {pair[1]!r} are the same list in another order. {_ONE_LABEL}, {_YES_NO}. "
            "If the order counts, write the labels with another sign between, such as -"
        )
    if joined:
        notes.add(
            f"Warning: {joined[0]!r} is a class of its own beside those of its parts"
            f"{f', and so are {len(joined) - 1:,} others' if len(joined) > 1 else ''}. If it is a list, "
            f"{_ONE_LABEL[0].lower()}{_ONE_LABEL[1:]}"
        )
    fractions = [label for label in counts if _FRACTION.fullmatch(label)]
    if len(fractions) > _FEW and 2 * len(fractions) > len(counts):
        notes.add(
            f"Warning: {len(fractions):,} of {len(counts):,} classes are numbers with a fraction, such as "
            f"{fractions[0]!r}, and classes have no order. If they are scores, train a task of your own with a `Value` "
            "(docs/tasks.md), or write few classes instead"
        )
    names, said = class_names(counts, merge)
    for line in said:
        notes.add(line)
    return names


def are_record_names(counts: Mapping[str, int]) -> bool:
    """Whether most labels occur once, as those of a column that numbers or names its records do.

    Example:
        >>> are_record_names({f"review {number}": 1 for number in range(20)}), are_record_names({"pos": 1, "neg": 1})
        (True, False)
    """
    return len(counts) >= _FEW and 2 * len(counts) > sum(counts.values())


def find_categories(counts: Mapping[str, int], column: str, *, merge: bool, notes: Notes) -> dict[str, str]:
    """The same of categories, which go into a model: one line says what becomes of them.

    Args:
        counts: records by tidy category.
        column: of the categories.
        merge: False: each is a category of its own.
        notes: where to say which are one.
    """
    names, said = class_names(counts, merge, _CATEGORIES)
    for line in said[:_MAX_SHOWN]:
        notes.add(f"Column {column!r}: {line[0].lower()}{line[1:]}")
    if len(said) > _MAX_SHOWN:
        notes.add(f"Column {column!r}: {len(said) - _MAX_SHOWN:,} more categories that differ so.")
    return names


def spellings(name: str) -> set[str]:
    """What clients may send for a category, beside its name: another Unicode form, 1.0 for 1, True for true.

    Example:
        >>> sorted(spellings("1")), sorted(spellings("true"))
        (['1', '1.0'], ['TRUE', 'True', 'true'])
    """
    alike = {name, unicodedata.normalize("NFD", name)}
    if re.fullmatch(r"[+-]?\d+", name):
        alike.add(f"{name}.0")
    return alike | ({name.capitalize(), name.upper()} if name in ("true", "false") else set())


def class_names(
    counts: Mapping[str, int], merge: bool, words: tuple[str, str, str] = _LABELS
) -> tuple[dict[str, str], list[str]]:
    """Which labels are one class, and what it is called: one name, whatever kind of file the labels come from.

    In a column of numbers 1.0 is 1, in one of truth values `True` is `true`, and so is 1 beside them; of labels that
    differ in capitals only the most frequent names the class.

    Args:
        counts: records by label.
        merge: False: each label is a class of its own.
        words: for labels, a class and classes.

    Returns:
        The classes of labels that are not called as their class, and what to say of it, a line each.

    Example:
        >>> class_names({"1": 3, "1.0": 9, "2.0": 8}, merge=True)[0]
        {'1.0': '1', '2.0': '2'}
    """
    labels, one, several = words
    truth = _are_truth_values(counts)
    numbers = all(_NUMBER.fullmatch(label) for label in counts)
    groups: dict[str, list[str]] = {}
    for label in sorted(counts, key=lambda label: (-counts[label], label)):
        key = label_key(_with_point(label, counts))
        groups.setdefault(_TRUTH[key] if truth else key, []).append(label)
    names: dict[str, str] = {}
    said, renamed = [], []
    for key, group in groups.items():
        differ = f"{labels} {', '.join(f'{label!r} ({counts[label]:,})' for label in group)} {_difference(group)}"
        if not merge:
            if len(group) > 1:
                differ = f"Warning: {differ[0].lower()}{differ[1:]}"
                said.append(f"{differ} and are {several} of their own. To make them one: --set data.merge_case=true")
            continue
        name = key if truth else next((label for label in group if _NUMBER.fullmatch(label)), group[0])
        name = _without_point(name) if numbers or len(group) > 1 else name
        names.update({label: name for label in group if label != name})
        if len(group) > 1:
            said.append(f"{differ} and are one {one}, {name!r}. To keep them apart: --set data.merge_case=false")
        elif name != group[0]:
            renamed.append(f"{group[0]!r} is {name!r}")
    if renamed:
        listed = ", ".join(sorted(renamed)[:_MAX_SHOWN]) + ", ..." * (len(renamed) > _MAX_SHOWN)
        said.append(f"{labels} are named alike whatever kind of file has them: {listed}.")
    return names, said


def _difference(group: Sequence[str]) -> str:
    if any(_COMMA.fullmatch(label) for label in group):
        return "are the same number"
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
    return written_list(label) is not None


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
    key = label_key(_with_point(label, classes))
    alike = [one for one in classes if label_key(_with_point(one, classes)) == key]
    if not alike and _are_truth_values([label, *classes]):
        alike = [one for one in classes if _TRUTH[label_key(one)] == _TRUTH[label_key(label)]]
    return alike[0] if len(alike) == 1 else label
