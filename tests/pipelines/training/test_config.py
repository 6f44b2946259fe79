import pytest

from unroll.errors import UserError
from unroll.pipelines.tasks.sentiment.task import SentimentConfig
from unroll.pipelines.training.config import load_config


def test_options_win_over_the_file_and_the_file_over_the_defaults(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("train: {epochs: 7, seed: 3}\nmodel: {cell: lstm}\n")
    config = load_config(SentimentConfig, file, ["train.epochs=2", "model.pooling=[last, max]"])
    assert (config.train.epochs, config.train.seed, config.model.cell) == (2, 3, "lstm")
    assert config.model.pooling == ["last", "max"]
    assert config.train.batch_size == SentimentConfig().train.batch_size


@pytest.mark.parametrize("delimiter", ["|", ",", ";", "'\t'", " ", "\t"])
def test_delimiters_need_no_quotes(delimiter):
    config = load_config(SentimentConfig, None, [f"data.delimiter={delimiter}"])
    assert config.data.delimiter == delimiter.strip("'")


def test_keys_to_start_from_are_merged_with_the_file(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("data: {text: body}")
    config = load_config(SentimentConfig, file, base={"data": {"group": "source", "text": "x"}})
    assert (config.data.text, config.data.group) == ("body", "source")


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["train.epoch=2"], "configuration key train.epoch: unknown. Did you mean train.epochs?"),
        (["trian.epochs=2"], "configuration key trian: unknown. Did you mean"),
        (["zzz=2"], "configuration key zzz: unknown. Known keys: "),
        (
            ["train.epochs=0"],
            "configuration key train.epochs: Input should be greater than or equal to 1. Received: 0",
        ),
        (
            ["model.cell=gur"],
            "configuration key model.cell: Input should be 'rnn', 'lstm', 'gru', 'mingru', 'tcn' or 'transformer'. "
            "Received: 'gur'",
        ),
        (["train.epochs"], "--set takes key.sub=value. Received: 'train.epochs'"),
        (["train=3", "train.epochs=2"], "--set train.epochs: train holds 3, not keys of its own"),
    ],
)
def test_a_bad_key_is_named_with_value_and_remedy(overrides, words):
    with pytest.raises(UserError) as caught:
        load_config(SentimentConfig, None, overrides)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("- a\n", "must hold keys such as"),
        ("a: [\n", "cannot be read as YAML"),
        ("train: {x: 1}", "train.x: unknown"),
    ],
)
def test_a_bad_file_is_named(tmp_path, content, words):
    file = tmp_path / "config.yaml"
    file.write_text(content)
    with pytest.raises(UserError, match=words):
        load_config(SentimentConfig, file)
    with pytest.raises(UserError, match=r"none.yaml: no such file"):
        load_config(SentimentConfig, tmp_path / "none.yaml")
