"""The examples in docstrings say what is so. Those that need a server or somebody's files are skipped there."""

import doctest
import importlib
import os
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

import unroll

PACKAGE = Path(unroll.__file__).parent
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def _modules_with_examples() -> list[str]:
    found = []
    for folder, _, files in os.walk(PACKAGE, followlinks=True):
        for file in (Path(folder, name) for name in files if name.endswith(".py")):
            if ">>> " in file.read_text(encoding="utf-8"):
                name = ".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts)
                found.append(name.removesuffix(".__init__"))
    return sorted(found)


MODULES = _modules_with_examples()


@pytest.mark.parametrize("name", MODULES)
def test_examples(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # some write files
    module = importlib.import_module(name)
    failed, _ = doctest.testmod(module, extraglobs={"keras": keras, "np": np, "tf": tf}, optionflags=OPTIONS)
    assert not failed


def test_most_models_have_an_example():
    tested = [name for name in MODULES if name.startswith("unroll.models.")]
    assert len(tested) > 15, tested
