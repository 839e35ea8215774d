"""New levels in every update: which ones episodes draw, and that none is replaced under an agent's feet."""

from dataclasses import replace

import pytest
import torch

from tutorlib.envs.minigrid_rooms import TASKS
from tutorlib.lab import Checkpoint, Context, Trial
from tutorlib.papers.rcgvf import recurrent, recurrent_config
from tutorlib.papers.rcgvf.levels import offered, places, ring

CPU = torch.device("cpu")
C = recurrent.Config(
    task="KeyCorridorS3R1", renew=3, num_envs=4, num_steps=16, updates=6, minibatch_size=64, d=4, update_epochs=1,
    num_evals=2, method="ppo"
)  # fmt: skip


@pytest.fixture(autouse=True)
def short_lives(monkeypatch):
    """Let episodes last 40 steps, two and a half updates."""
    monkeypatch.setattr(recurrent_config, "TASKS", {C.task: TASKS[C.task]._replace(max_steps=40)})


def made(number):
    return TASKS[C.task].levels(3, torch.Generator().manual_seed(number + 1))


def test_a_ring_holds_the_levels_of_the_last_updates_where_they_were():
    for number, held in ((0, [0, 0, 0, 0]), (2, [0, 1, 2, 0]), (5, [4, 5, 2, 3])):
        found = ring(C.task, 3, number, 4, CPU)
        for place, own in enumerate(held):
            for part, expected in zip(found, made(own), strict=True):
                assert torch.equal(part[3 * place : 3 * place + 3], expected)
    assert not torch.equal(made(0).cells, made(1).cells)


def test_uniforms_give_the_new_levels_alone():
    u = torch.cat([torch.linspace(1e-7, 1 - 1e-7, 1000), torch.tensor([1 - 2**-24])]).unsqueeze(-1)
    for number in range(9):
        index = (offered(u, number, 4) * 12).long().squeeze(-1)
        assert index.unique().tolist() == [3 * (number % 4) + i for i in range(3)]


def test_the_longest_episode_ends_before_its_level_goes():
    # An episode of 270 steps that begins with the last of 128 steps of an update goes on in the third after it.
    assert places(270, 128) == 4
    assert places(128, 128) == 2
    assert places(129, 128) == 3
    for begun in range(128):
        last = (begun + 270 - 1) // 128
        assert last < places(270, 128)


def test_agents_meet_new_levels_and_keep_theirs_to_the_end():
    h, state = recurrent.hyper([Trial(C, 0)], CPU), recurrent.initial_state(C, C.env(CPU), [0], CPU)
    seen, done = set(), 0
    for number in range(6):
        env = C.env(CPU, number)
        target = env.levels.target[state.e.level]
        assert torch.equal(target, C.env(CPU, max(number - 1, 0)).levels.target[state.e.level])
        state, log = recurrent.update(C, env, h, state, recurrent.draw_noise(C, [0], number, CPU), number)
        seen |= set((state.e.level // C.renew).flatten().tolist())
        done += int(log.episodes)
    assert done >= 8, "96 steps, 40 an episode"
    assert seen >= {0, 2}, "those of the first and the third update, in which the first episodes end at the latest"
    one = recurrent.train([Trial(C, 0)], Context())
    assert torch.equal(one.state.theta, state.theta)


def test_a_run_with_new_levels_goes_on_where_it_was_cut(tmp_path, monkeypatch):
    whole = recurrent.train([Trial(C, 0)], Context())
    context = Context(checkpoint=Checkpoint(tmp_path / "run", "one"), save_every=0.0)
    calls, update = [], recurrent.update

    def dying(c, env, h, state, noise, number, steps):
        calls.append(number)
        if number == 4 and calls.count(4) == 1:
            raise KeyboardInterrupt
        return update(c, env, h, state, noise, number, steps)

    monkeypatch.setattr(recurrent, "update", dying)
    with pytest.raises(KeyboardInterrupt):
        recurrent.train([Trial(C, 0)], context)
    again = recurrent.train([Trial(C, 0)], context)
    assert calls == [0, 1, 2, 3, 4, 4, 5]
    assert torch.equal(again.state.theta, whole.state.theta)
    assert not torch.equal(
        recurrent.train([Trial(replace(C, renew=0, levels=3), 0)], Context()).state.theta, whole.state.theta
    )
