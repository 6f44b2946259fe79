"""The examples in the docstrings of `models` say what is so."""

import doctest
import importlib
import pkgutil

import keras
import numpy as np
import pytest
import tensorflow as tf

from unroll import models

MODULES = [module.name for module in pkgutil.iter_modules(models.__path__)]
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.mark.parametrize("name", MODULES)
def test_examples(name):
    module = importlib.import_module(f"{models.__name__}.{name}")
    failed, _ = doctest.testmod(module, extraglobs={"keras": keras, "np": np, "tf": tf}, optionflags=OPTIONS)
    assert not failed


def test_most_modules_have_an_example():
    finder = doctest.DocTestFinder(exclude_empty=True)
    tested = [
        name
        for name in MODULES
        if any(one.examples for one in finder.find(importlib.import_module(f"{models.__name__}.{name}")))
    ]
    assert len(tested) > 15, tested
