"""The settings of docs/data.md are what configurations take."""

import re
import shlex

import pytest

from tests.conftest import ROOT
from unroll.errors import UserError
from unroll.pipelines.tasks.captioning.config import CaptionConfig
from unroll.pipelines.tasks.forecasting.config import ForecastConfig
from unroll.pipelines.tasks.sentiment.config import SentimentConfig
from unroll.pipelines.training.config import load_config

PAGE = (ROOT / "docs" / "data.md").read_text()
SCHEMAS = (SentimentConfig, ForecastConfig, CaptionConfig)
SETTINGS = sorted(set(re.findall(r"`((?:data|model|train)\.\w+=[^`]+)`", PAGE)))
COMMANDS = re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_setting_is_taken_by_a_task(setting):
    if setting.endswith("=..."):
        setting = setting.replace("...", "[name]")
    refusals = []
    for schema in SCHEMAS:
        try:
            load_config(schema, None, [setting])
        except UserError as error:
            if not str(error).startswith("configuration key data: "):  # which wants another key beside it
                refusals.append(str(error))
    assert len(refusals) < len(SCHEMAS), refusals


def test_the_settings_of_a_command_are_taken_as_a_shell_hands_them_on():
    (first, *_) = COMMANDS
    _, text, _, targets = shlex.split(first)
    assert load_config(SentimentConfig, None, [text]).data.text == "Review Text"
    assert load_config(ForecastConfig, None, [targets]).data.targets == ["Global active power", "Power, reactive"]
