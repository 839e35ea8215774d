"""Replay gives back what was stored, and nothing that was not."""

import pytest
import torch

from tutorlib.lab import UsageError
from tutorlib.papers.mbrl.problem import ButtonGrid
from tutorlib.rl import Experience, add, empty_replay, num_stored, sample


def drawn(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)).clamp(min=1e-7)


def test_replay_is_a_ring_that_gives_back_what_was_stored():
    env = ButtonGrid(2, 1)
    state = env.start(drawn(2, 1, 2))
    replay = empty_replay(env.observations, state, 2, 3, torch.device("cpu"))
    written = []
    for t in range(8):
        o = (drawn(2, 1, 12, seed=t) < 0.5).float()
        state = env.start(drawn(2, 1, 2, seed=t))
        b = Experience(
            o, torch.full((2, 1), t + 1), torch.full((2, 1), t / 2), 1 - o, torch.full((2, 1), t == 4), state
        )
        add(replay, t, b)
        written.append(b)
        found = sample(replay, t + 1, drawn(2, 200, seed=t))
        assert sorted(found.action.unique().tolist()) == list(range(max(0, t - 2) + 1, t + 2)), (
            "the last three, no others"
        )
    for s in range(2):
        for i in range(0, 200, 20):
            source = written[int(found.action[s, i]) - 1]
            for part, own in zip((*found[:-1], *found.state), (*source[:-1], *source.state), strict=True):
                assert torch.equal(part[s, i], own[s, 0])
    assert not torch.equal(found.action[0], found.action[1]), "each seed draws its own"


@pytest.mark.parametrize(("added", "minimum"), [(0, 0), (0, 1), (0, 3), (2, 3), (9, 4)])
def test_nothing_is_sampled_before_replay_holds_what_it_must(added, minimum):
    replay = empty_replay(4, (), 2, 3, torch.device("cpu"))
    with pytest.raises(UsageError, match=f"added={added}: expected at least {minimum or 1} transitions in replay"):
        sample(replay, added, drawn(2, 5), minimum)


def test_a_batch_is_enough():
    replay = empty_replay(4, (), 2, 3, torch.device("cpu"))
    assert sample(replay, 3, drawn(2, 5), 3).reward.shape == (2, 5)


@pytest.mark.parametrize("own", [(0, 2, 3), (4, 0, 3), (4, 2, 0)])
def test_sizes_that_cannot_be_are_named(own):
    observations, seeds, capacity = own
    name = ("observations", "seeds", "capacity")[own.index(0)]
    with pytest.raises(UsageError, match=f"{name}=0: expected a whole number from 1"):
        empty_replay(observations, (), seeds, capacity, torch.device("cpu"))


def one(replay, state=()):
    """Return a transition of each of two seeds that ``replay`` can keep."""
    o = torch.zeros(2, 1, replay.o.shape[-1])
    return Experience(o, torch.zeros(2, 1).long(), torch.zeros(2, 1), o, torch.zeros(2, 1) > 0, state)


@pytest.mark.parametrize("state", [[torch.zeros(2, 1)], (1, 2), (torch.zeros(2, 1), 3), torch.zeros(2, 1), None])
def test_a_state_is_a_tuple_of_tensors_or_empty(state):
    with pytest.raises(UsageError, match=r"(?s)state=.*: expected a tuple of tensors, or \(\)"):
        empty_replay(4, state, 2, 3, torch.device("cpu"))


def test_where_states_are_kept_each_transition_has_one():
    env = ButtonGrid(2, 1)
    replay = empty_replay(env.observations, env.start(drawn(2, 1, 2)), 2, 3, torch.device("cpu"))
    with pytest.raises(ValueError, match="argument 2 is shorter"):
        add(replay, 0, one(replay))


def test_one_transition_is_enough_where_no_more_are_asked_for():
    replay = empty_replay(4, (), 2, 3, torch.device("cpu"))
    add(replay, 0, one(replay))
    assert num_stored(replay, 1) == 1
    assert sample(replay, 1, drawn(2, 5)).reward.shape == (2, 5)


@pytest.mark.parametrize("rows", [1, 3])
def test_each_seed_needs_uniforms_of_its_own(rows):
    replay = empty_replay(4, (), 2, 3, torch.device("cpu"))
    with pytest.raises(UsageError, match="u=.*: expected one row for each of 2 seeds"):
        sample(replay, 3, drawn(rows, 5))


def test_numbers_of_transitions_that_cannot_be_are_named():
    replay = empty_replay(4, (), 2, 3, torch.device("cpu"))
    with pytest.raises(UsageError, match="t=-1: expected a whole number from 0"):
        add(replay, -1, one(replay))
    for call in (lambda: num_stored(replay, -1, 1), lambda: sample(replay, -1, drawn(2, 5))):
        with pytest.raises(UsageError, match="added=-1: expected a whole number from 0"):
            call()
