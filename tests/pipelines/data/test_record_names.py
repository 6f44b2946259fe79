"""Labels and categories of a task of records are tidied by one rule, the one of texts and labels."""

import unicodedata

import pytest

from unroll.errors import UserError
from unroll.pipelines import Category, Label, RecordSection, Words
from unroll.pipelines.data import record_tables
from unroll.pipelines.data.columns import columns_of
from unroll.pipelines.data.dataset_info import read_info
from unroll.pipelines.training.progress import Progress


class Tickets(RecordSection):
    text: Words = "text"
    town: Category = "town"
    label: Label = "label"


COLUMNS = columns_of(Tickets)
TRES = unicodedata.normalize("NFD", "Tr\u00e8s bon")


@pytest.fixture
def prepared(tmp_path):
    """Prepares labels and towns in turn, and gives the section and what was learnt."""

    def prepare(labels, towns=("Ulm",), count=120, **keys):
        rows = [
            f'ticket {row},"{towns[row // len(labels) % len(towns)]}","{labels[row % len(labels)]}"'
            for row in range(count)
        ]
        (tmp_path / "tickets.csv").write_text("\n".join(["text,town,label", *rows, ""]))
        section = Tickets(**keys)
        (tmp_path / "prepared").mkdir()
        with Progress() as progress:
            record_tables.prepare(section, COLUMNS, str(tmp_path / "tickets.csv"), tmp_path / "prepared", progress)
        return section, read_info(tmp_path / "prepared")

    return prepare


@pytest.mark.parametrize(
    ("labels", "names", "words"),
    [
        (["good", " good", "Good", "bad", "bad\u00a0"], ["bad", "good"], "'good' (48), 'Good' (24) differ in capitals"),
        (["1.0", "1", "2.0"], ["1", "2"], "are the same number and are one class, '1'"),
        (["True", "true", "1", "False", "0"], ["false", "true"], "are the same truth value"),
        ([TRES, "Tr\u00e8s  bon", "mal"], ["Tr\u00e8s bon", "mal"], ""),
    ],
)
def test_labels_of_records_that_read_alike_are_one_class(prepared, tmp_path, labels, names, words):
    section, info = prepared(labels)
    assert info["columns"]["label"]["names"] == names
    assert words in "\n".join(info["notes"])
    for split in ("train", "validation", "test"):
        assert {name.decode() for name in record_tables.read_split(tmp_path / "prepared", split)["label"]} <= set(names)
    (further,) = record_tables.further(section, COLUMNS, info, str(tmp_path / "tickets.csv"), Progress())
    assert {name.decode() for name in further["label"]} == set(names), "evaluation reads alike"


def test_they_are_kept_apart_on_demand_with_a_warning(prepared):
    _, info = prepared(["good", "Good", "bad"], merge_case=False)
    assert info["columns"]["label"]["names"] == ["Good", "bad", "good"]
    assert "Warning: labels 'Good' (40), 'good' (40) differ in capitals only" in "\n".join(info["notes"])


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (["['a', 'b']", "a"], "data.label: the column holds lists of labels"),
        (["a|b", "b|a", "c"], "are the same list in another order"),
        ([f"case {number}" for number in range(120)], "it seems to name records, not classes"),
    ],
)
def test_labels_that_are_lists_or_names_of_records_are_refused(prepared, labels, words):
    with pytest.raises(UserError) as caught:
        prepared(labels)
    assert words in str(caught.value)


def test_a_rare_class_is_learnt_where_a_hash_decides(prepared, tmp_path):
    labels = [*["pos", "neg"] * 60]
    rare = next(row for row in range(120) if record_tables.hash_split(f"ticket {row}\x1fUlm") == "test")
    labels[rare] = "odd"
    _, info = prepared(labels)
    assert info["columns"]["label"]["names"] == ["neg", "odd", "pos"]
    assert b"odd" in record_tables.read_split(tmp_path / "prepared", "train")["label"]
    assert sum(info["counts"].values()) == 120
    assert "too few records to be in every split, so that scores say little of them: 'odd'" in "\n".join(info["notes"])


def test_categories_are_one_however_they_are_written_and_in_the_graph_too(prepared):
    _, info = prepared(["a", "b"], ["Ulm", " Ulm", "ULM", "M\u00fcnchen", "7.0"])
    assert info["columns"]["town"]["names"] == ["7.0", "M\u00fcnchen", "Ulm"]
    assert "Column 'town': categories 'Ulm' (48), 'ULM' (24) differ in capitals only and are one category" in "\n".join(
        info["notes"]
    )
    encode = COLUMNS["town"].encoder(info["columns"]["town"], None)
    sent = ["Ulm", "ULM", " Ulm\u00a0", unicodedata.normalize("NFD", "M\u00fcnchen"), "Rome", ""]
    assert encode(sent).numpy().tolist() == [3, 3, 3, 2, 0, 0]


def test_numbers_and_truth_values_as_categories_are_found_as_clients_write_them(prepared):
    _, info = prepared(["a", "b"], ["1.0", "2.0"])
    assert COLUMNS["town"].encoder(info["columns"]["town"], None)(["1", "1.0", "2", "3"]).numpy().tolist() == [
        1,
        1,
        2,
        0,
    ]
