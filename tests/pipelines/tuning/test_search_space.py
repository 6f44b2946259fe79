"""What a search may try: the task's keys, or those that a person names."""

import pytest

from tests.conftest import unroll
from unroll.errors import UserError
from unroll.pipelines.configurations import config_schema
from unroll.pipelines.training.config import TaskConfig, load_config
from unroll.pipelines.tuning.search_space import Choice, Floats, Integers, Sizes, check_space, near_own, search_space

TASKS = ("captioning", "forecasting", "sentiment")


@pytest.mark.parametrize("task", TASKS)
def test_the_keys_of_every_task_exist_and_their_values_are_in_range(task: str) -> None:
    schema = config_schema(task)
    space = search_space(task, schema(), [])
    assert len(space) > 4
    check_space(space, schema())


def test_a_task_without_keys_of_its_own_has_those_of_training() -> None:
    assert set(search_space("mine", TaskConfig(), [])) == {
        "train.learning_rate",
        "train.batch_size",
        "train.weight_decay",
    }


def test_what_a_person_sets_is_not_searched() -> None:
    schema = config_schema("sentiment")
    config = load_config(schema, overrides=["model.cell=gru", "train.learning_rate=0.001"])
    space = search_space("sentiment", config, [])
    assert not {"model.cell", "train.learning_rate"} & set(space)
    assert "model.units" in space


@pytest.mark.parametrize(
    ("named", "dimension"),
    [
        ("model.units=16..128", Integers(16, 128)),
        ("model.units=8..128", Integers(8, 128, log=True)),
        ("train.learning_rate=1e-4..1e-2", Floats(1e-4, 1e-2, log=True)),
        ("model.dropout=0.0..0.5", Floats(0.0, 0.5)),
        ("model.cell=[gru, lstm]", Choice(("gru", "lstm"))),
        ("model.bidirectional=[true, false]", Choice((True, False))),
        ("model.pooling_size=[null, 3]", Choice((None, 3))),
    ],
)
def test_ranges_and_lists_are_read(named: str, dimension: object) -> None:
    assert search_space("mine", TaskConfig(), [named]) == {named.partition("=")[0]: dimension}


@pytest.mark.parametrize("named", ["model.units", "model.units=16", "model.units=9..3", "model.units=[8]", "a=x..y"])
def test_another_form_is_refused_with_the_two_that_are_read(named: str) -> None:
    with pytest.raises(UserError, match=r"--search takes key=low\.\.high or key=\[a, b, c\]\. Received: ") as refused:
        search_space("mine", TaskConfig(), [named])
    assert repr(named) in str(refused.value)


def test_the_command_refuses_what_cannot_be_searched_before_anything_is_read(tmp_path) -> None:
    wrong = [
        ("model.unit=8..16", "unknown. Did you mean model.units?"),
        ("model.dropout=0.1..1.5", "less than 1. Received: 1.5"),
    ]
    for named, said in wrong:
        done = unroll("tune", "sentiment", "--data", __file__, "--search", named, "--home", tmp_path, check=2)
        assert said in done.stderr
        assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_configuration_that_sets_every_key_leaves_nothing_to_search() -> None:
    schema = config_schema("sentiment")
    with pytest.raises(UserError, match="every key that would be searched is set"):
        search_space("sentiment", schema.model_validate(schema().model_dump()), [])


def test_a_range_of_fractions_is_refused_for_a_whole_number() -> None:
    schema = config_schema("sentiment")
    space = search_space("sentiment", schema(), ["model.units=16.0..64.0"])
    with pytest.raises(UserError, match=r"--search model.units: .*valid integer.*Received: 31"):
        check_space(space, schema())


def test_a_key_that_is_named_twice_is_refused() -> None:
    with pytest.raises(UserError, match=r"--search model.units: given 2 times"):
        search_space("mine", TaskConfig(), ["model.units=8..16", "model.units=32..64"])


def test_sizes_are_searched_near_those_that_the_data_decided() -> None:
    space = search_space("forecasting", config_schema("forecasting")(), [])
    monthly, own = near_own(space, {"model": {"lookback": 36, "segment": 12, "cell": "gru", "units": 8}})
    assert monthly["model.lookback"] == Choice((24, 36, 48))
    assert monthly["model.segment"] == Choice((8, 12, 24))
    assert own == {"model.lookback": 36, "model.segment": 12, "model.cell": "gru", "model.units": 8}
    yearly, _ = near_own(space, {"model": {"lookback": 365}})
    assert yearly["model.lookback"] == Choice((336, 365, 512, 720))
    tiny, _ = near_own(search_space("captioning", config_schema("captioning")(), []), {"data": {"size": 16}})
    assert tiny["data.size"] == Choice((16, 24, 32))


def test_values_out_of_a_range_that_a_person_names_are_not_told_to_the_study() -> None:
    space = search_space("mine", TaskConfig(), ["train.batch_size=[16, 32]", "train.learning_rate=0.001..0.002"])
    near, own = near_own(space, {"train": {"batch_size": 64, "learning_rate": 0.0015}})
    assert near == space
    assert own == {"train.learning_rate": 0.0015}
    assert near_own({"data.size": Sizes((16, 32))}, {})[0] == {"data.size": Choice((16, 32))}
