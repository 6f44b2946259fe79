"""What a search may try: the task's keys, or those that a person names."""

import pytest

from tests.conftest import unroll
from unroll.errors import UserError
from unroll.pipelines.configurations import config_schema
from unroll.pipelines.training.config import TaskConfig, load_config
from unroll.pipelines.tuning.search_space import Choice, Floats, Integers, check_space, search_space

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
