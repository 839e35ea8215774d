"""The table of methods: its entries are whole, and those that configurations know."""

import pytest

from tutorlib.papers.rcgvf import config, recurrent_config
from tutorlib.papers.rcgvf.algorithm import settings as lock_settings
from tutorlib.papers.rcgvf.methods import TABLE
from tutorlib.papers.rcgvf.recurrent import settings


def test_configurations_know_the_methods_of_the_table():
    assert set(recurrent_config.METHODS) == set(TABLE)
    assert set(config.METHODS) == {name for name, method in TABLE.items() if method.lock_settings is not None}


@pytest.mark.parametrize("name", TABLE)
def test_an_entry_is_whole(name):
    method, c = TABLE[name], settings(name)
    assert (method.network is None) == (method.objective is None)
    assert (method.memory(c) > 0) == (method.states is not None)
    assert all(getattr(c, field) == value for field, value in method.settings.items())
    if method.lock_settings is not None:
        assert all(getattr(lock_settings(name), field) == value for field, value in method.lock_settings.items())
        assert (method.curiosity is None) == (method.network is None), "who predicts in one world does in the other"
