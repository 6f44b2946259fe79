"""Which columns of the training data an evaluation can do without."""

import json

import pytest

from tests.picture_fixtures import encoded, plain
from unroll.errors import UserError
from unroll.pipelines import Label, RecordSection, Words
from unroll.pipelines.data import record_tables
from unroll.pipelines.data.columns import columns_of
from unroll.pipelines.tasks.captioning.config import CaptionSection
from unroll.pipelines.tasks.captioning.data import read_further
from unroll.pipelines.tasks.sentiment.config import SentimentConfig
from unroll.pipelines.tasks.sentiment.task import Sentiment
from unroll.pipelines.training.config import load_config
from unroll.pipelines.training.progress import Progress

SAID = "No record has a group in column 'source' (data.group): metrics are of all records only."


class Mails(RecordSection):
    text: Words = "text"
    label: Label = "label"


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_texts_and_records_need_no_column_of_groups_and_it_is_said(tmp_path, capsys, name):
    import pandas as pd

    table = pd.DataFrame({"text": ["fine", "dull"], "label": ["pos", "neg"]})
    write = {"csv": table.to_csv, "parquet": table.to_parquet}.get(name[2:])
    if write:
        write(tmp_path / name, index=False)
    else:
        table.to_json(tmp_path / name, orient="records", lines=True)
    config = load_config(SentimentConfig, overrides=["data.group=source"])
    info = {"classes": ["neg", "pos"]}
    (batch,) = Sentiment.records(config, info, str(tmp_path / name), Progress())
    assert (list(batch["text"]), list(batch["group"])) == ([b"fine", b"dull"], ["", ""])
    assert SAID in capsys.readouterr().err
    columns = {"columns": {"label": {"names": ["neg", "pos"]}}}
    mails = Mails(group="source")
    (table,) = record_tables.further(mails, columns_of(Mails), columns, str(tmp_path / name), Progress())
    assert list(table["label"]) == [b"pos", b"neg"]
    assert SAID in capsys.readouterr().err
    with pytest.raises(UserError, match="has no column 'topic'"):
        list(record_tables.further(Mails(label="topic"), columns_of(Mails), columns, str(tmp_path / name), Progress()))


def test_pictures_need_neither_groups_nor_clusters(tmp_path, capsys):
    (tmp_path / "a.png").write_bytes(encoded(plain("red")))
    (tmp_path / "lines.txt").write_text("a.png#0\ta red square\n")
    (tmp_path / "table.csv").write_text("image,caption\na.png,a red square\n")
    (tmp_path / "pictures.json").write_text(json.dumps([{"image": "a.png", "caption": "a red square"}]))
    for name in ("lines.txt", "table.csv", "pictures.json"):
        section = CaptionSection(group="source", cluster="figure", size=16)
        (batch,) = read_further(section, str(tmp_path / name), Progress())
        assert (batch["captions"][0], batch["group"][0]) == (["a red square"], "")
        assert SAID in capsys.readouterr().err
