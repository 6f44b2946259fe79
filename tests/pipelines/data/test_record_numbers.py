"""Columns of numbers of records as people write them."""

import json

import numpy as np
import pytest

from unroll.errors import UserError
from unroll.pipelines import Number, RecordSection, Value, Words
from unroll.pipelines.asking.records import question
from unroll.pipelines.data import record_tables
from unroll.pipelines.data.columns import columns_of
from unroll.pipelines.data.dataset_info import read_info
from unroll.pipelines.training.progress import Progress


class Flats(RecordSection):
    advert: Words = "advert"
    rooms: Number = "rooms"
    lift: Number = "lift"
    rent: Value = "rent"


COLUMNS = columns_of(Flats)
HEADER = "advert;rooms;lift;rent"
ROWS = [
    f"flat {number};{number % 4 + 1},5;{'ja' if number % 2 else 'nein'};1.{number:03},50" for number in range(100, 200)
]


@pytest.fixture
def prepared(tmp_path):
    """Prepares rows, and gives the section and what was learnt."""

    def prepare(rows, **keys):
        (tmp_path / "flats.csv").write_text("\n".join([HEADER, *rows, ""]))
        section = Flats(delimiter=";", **keys)
        (tmp_path / "prepared").mkdir()
        with Progress() as progress:
            record_tables.prepare(section, COLUMNS, str(tmp_path / "flats.csv"), tmp_path / "prepared", progress)
        return section, read_info(tmp_path / "prepared")

    return prepare


def test_formats_are_found_said_and_kept_for_further_records(prepared, tmp_path):
    section, info = prepared(ROWS)
    assert len(info["notes"]) == 3
    assert 1100 < info["columns"]["rent"]["mean"] < 1200
    (tmp_path / "one.csv").write_text(f"{HEADER}\na flat;2;ja;1.234\n")  # which alone would be a decimal point
    (table,) = record_tables.further(section, COLUMNS, info, str(tmp_path / "one.csv"), Progress())
    assert (table["rent"][0], table["lift"][0], table["rooms"][0]) == (1234, 1, 2)
    description = {
        "columns": {"rooms": "number", "lift": "number"},
        "data": section.model_dump(),
        "formats": info["formats"],
    }
    asked = question(None, json.loads(json.dumps(description)))
    assert asked.read({"rooms": "3,5", "lift": "nein"}, tmp_path) == {"rooms": 3.5, "lift": 0}


def test_a_sentinel_is_hinted_at_and_can_be_named(prepared, tmp_path):
    rows = [row.replace("1,5;", "-999;") for row in ROWS]
    section, info = prepared(rows)
    assert "'rooms' holds -999" in info["notes"][-1]
    section = section.model_copy(update={"missing": ["-999"]})
    (table,) = record_tables.further(section, COLUMNS, info, str(tmp_path / "flats.csv"), Progress())
    assert np.isnan(table["rooms"]).sum() == 25


@pytest.mark.parametrize(
    ("rent", "words"),
    [
        ("1,049", "--set 'data.thousands=,' or --set 'data.decimal=,'"),
        ("k.A.", "Received: 'k.A.'"),
        ("1.5", "two ways"),
    ],
)
def test_what_is_not_clear_is_refused(prepared, rent, words):
    with pytest.raises(UserError) as caught:
        prepared([f"flat {number};2;ja;{rent if number % 2 or rent != '1.5' else '1,25'}" for number in range(60)])
    assert words in str(caught.value)
