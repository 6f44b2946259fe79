"""Labels that are the same to a reader are one class, and it is said."""

import pytest

from unroll.monitoring.tables.notes import Notes
from unroll.pipelines.data.labels import class_names, class_of, find_classes, joined_lists, tidy_label


@pytest.mark.parametrize(
    ("label", "tidy"),
    [
        (" good", "good"),
        ("good\u00a0", "good"),
        ("\ufeffgood", "good"),
        ("ve\u0301rite\u0301", "v\u00e9rit\u00e9"),
        ("very\t good", "very good"),
        (" \u200b ", ""),
        ("Good", "Good"),
    ],
)
def test_what_is_not_drawn_is_not_part_of_a_label(label, tidy):
    assert tidy_label(label) == tidy


@pytest.mark.parametrize(
    ("counts", "names", "words"),
    [
        ({"yes": 5, "Yes": 5, "YES": 9, "no": 3}, {"yes": "YES", "Yes": "YES"}, "are one class, 'YES'"),
        ({"1": 4, "\uff11": 2, "2": 3}, {"\uff11": "1"}, "are one class, '1'"),
        ({"Stra\u00dfe": 1, "STRASSE": 2, "Weg": 1}, {"Stra\u00dfe": "STRASSE"}, "are one class, 'STRASSE'"),
        ({"1": 2, "1.0": 9, "5.0": 8}, {"1.0": "1", "5.0": "5"}, "are the same number and are one class, '1'"),
        ({"-1.": 2, "0.0": 9, "0.5": 8}, {"-1.": "-1", "0.0": "0"}, "whatever kind of file has them: '-1.' is '-1'"),
        ({"1": 2, "1,0": 9, "5": 8}, {"1,0": "1"}, "are the same number and are one class, '1'"),
        ({"4.5": 2, "4,5": 9, "5": 8}, {"4,5": "4.5"}, "are the same number and are one class, '4.5'"),
        ({"0": 3, "1": 2, "1,0": 9}, {}, ""),
        ({"1": 3, "1,000": 2}, {}, ""),
        ({"1": 2, "1.0": 9, "none": 8}, {"1.0": "1"}, "are one class, '1'"),
        ({"1.0": 9, "none": 8}, {}, ""),
        ({"1.1": 9, "1.10": 8}, {}, ""),
        ({"False": 9, "True": 8}, {"False": "false", "True": "true"}, "'False' is 'false', 'True' is 'true'"),
        ({"TRUE": 9, "true": 9, "False": 8}, {"TRUE": "true", "False": "false"}, "capitals only and are one class"),
        ({"true": 9, "1": 4, "0.0": 3}, {"1": "true", "0.0": "false"}, "are the same truth value and are one class"),
        ({"True": 9, "False": 8, "Mixed": 4}, {}, ""),
        ({"0": 9, "1": 8}, {}, ""),
    ],
)  # fmt: skip
def test_labels_that_a_reader_takes_for_one_are_one_class_of_one_name(counts, names, words):
    found, said = class_names(counts, merge=True)
    assert found == names
    assert words in " ".join(said)
    assert bool(said) == bool(names)
    apart, warned = class_names(counts, merge=False)
    assert apart == {}
    assert all(line.startswith("Warning: labels") for line in warned)


def test_lists_in_one_cell_are_found_by_their_order_and_by_their_parts():
    assert joined_lists(["a|b", "b|a", "c"]) == (["a|b", "b|a"], [])
    assert joined_lists(["sad; bad", "bad ;sad", "bad"])[0] == ["bad ;sad", "sad; bad"]
    assert joined_lists(["bug", "ui", "bug, ui"]) == ([], ["bug, ui"])
    assert joined_lists(["1,5", "5,1", "1", "5", "n/a", "R&B", "A+", "a|a"]) == ([], [])


def test_a_label_of_further_data_finds_its_class():
    assert class_of("Positive ", ["negative", "positive"]) == "positive"
    assert class_of("yes", ["Yes", "YES"]) == "yes", "it may be either"
    assert class_of("1", ["0.0", "1.0"]) == "1.0", "as models of an earlier version name it"
    assert class_of("1.0", ["0", "1"]) == "1"
    assert class_of("TRUE", ["false", "true"]) == "true"
    assert class_of("1", ["False", "True"]) == "True"
    assert class_of("true", ["0", "1", "2"]) == "true", "stars are not truth values"
    assert class_of("neutral", ["negative", "positive"]) == "neutral"


@pytest.mark.parametrize(
    ("labels", "warned"),
    [
        ([f"0.{hundredths:02}" for hundredths in range(5, 96)], True),
        ([f"{tenths / 10}".replace(".", ",") for tenths in range(50)], True),
        ([f"{halves / 2}" for halves in range(2, 11)], False),
        ([f"{whole}.0" for whole in range(50)], False),
    ],
)
def test_scores_as_labels_are_warned_of(labels, warned):
    notes = Notes()
    find_classes(dict.fromkeys(labels, 9), "column 'label'", merge=True, notes=notes)
    assert any("If they are scores" in line and "docs/tasks.md" in line for line in notes) == warned
