"""Labels that are the same to a reader are one class, and it is said."""

import pytest

from unroll.pipelines.data.labels import class_of, tidy_label, twins


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


def test_labels_that_differ_in_capitals_or_width_are_found_the_most_frequent_first():
    counts = {"yes": 5, "Yes": 5, "YES": 9, "no": 3, "\uff11": 2, "1": 4, "Stra\u00dfe": 1, "STRASSE": 2}
    assert twins(counts) == [["YES", "Yes", "yes"], ["1", "\uff11"], ["STRASSE", "Stra\u00dfe"]]


def test_a_label_of_further_data_finds_its_class():
    assert class_of("Positive ", ["negative", "positive"]) == "positive"
    assert class_of("yes", ["Yes", "YES"]) == "yes", "it may be either"
    assert class_of("neutral", ["negative", "positive"]) == "neutral"
