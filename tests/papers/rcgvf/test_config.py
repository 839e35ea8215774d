"""Configurations of the lock: what is refused, and sizes that follow."""

from dataclasses import replace

import pytest

from tutorlib.lab import UsageError
from tutorlib.papers.rcgvf.config import Config


def test_sizes_of_a_separate_actor_and_critic_are_those_of_the_released_code():
    assert replace(Config(), shared=False).actor_critic.parameters == 2 * (128 * 256 + 256 + 256 * 257) + 257 * 11


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"evaluation": "sample"}, "evaluation='sample'.*did you mean 'sampled'"),
        ({"prize": float("inf")}, "prize=inf: expected a finite number"),
        ({"heads": 1, "bonus": "std"}, "heads=1"),
        ({"method": "rdn"}, "method='rdn'.*did you mean 'rnd'"),
        ({"bonus": "var"}, "bonus='var'"),
        ({"num_envs": 0}, "num_envs=0: expected a whole number from 1"),
        ({"layers": 0}, "layers=0"),
        ({"lr": 0.0}, "lr=0.0: expected a positive number"),
        ({"predictor_lr": float("inf")}, "predictor_lr=inf"),
        ({"beta": float("nan")}, "beta=nan: expected a number that is not negative"),
        ({"ent_coef": -1.0}, "ent_coef=-1.0"),
        ({"gamma_z": 1.1}, "gamma_z=1.1: expected a number from 0 to 1"),
        ({"lambda_z": -0.1}, "lambda_z=-0.1"),
        ({"anneal": 0.0}, "anneal=0.0"),
        ({"minibatch_size": 300}, "minibatch_size=300: expected a divisor of the 1600 frames"),
        ({"num_evals": 7}, "num_evals=7: expected a divisor of updates=12500"),
        ({"heads": 1}, "heads=1: expected at least 2 for bonus='product'"),
        ({"horizon": 1}, "horizon=1"),
    ],
)
def test_bad_input_is_named(own, message):
    with pytest.raises(UsageError, match=message):
        Config(**own)


def test_one_head_is_enough_where_nothing_is_compared():
    assert Config(heads=1, bonus="error").ensemble == 1
    assert Config(heads=1, method="rnd").ensemble == 1
    assert Config(heads=5, method="rnd").ensemble == 1
