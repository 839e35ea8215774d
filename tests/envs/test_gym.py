"""One MiniGrid through Gymnasium: its checker, the package's own episodes, seeds, ends, pictures, refusals."""

import itertools
import os
import re
import signal
import subprocess
import sys

import gymnasium
import minigrid  # noqa: F401  registers the package's environments
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env
from minigrid.envs import MultiRoomEnv

from tutorlib.envs.gym import KNOWN, SingleMiniGrid, register
from tutorlib.envs.minigrid import DONE, DROP, FORWARD, LEFT, PICKUP, RIGHT, TOGGLE, Levels, MiniGrid
from tutorlib.envs.minigrid_levels import EMPTY, GOAL, GREEN, NOTHING, WALL, import_levels
from tutorlib.envs.minigrid_picture import LIGHT, picture
from tutorlib.envs.minigrid_rooms import FAMILIES, key_corridor
from tutorlib.lab import UsageError
from tutorlib.lab.errors import TutorlibError

NAMES = register()


OTHER = {"MultiRoom-N6-S10-v0": "-N6-v0"}


def packages(name, **options):
    """Return the package's environment of the same name, which may have another one."""
    short = name.removeprefix("tutorlib/")
    if made := re.fullmatch(r"MultiRoom-N(3|7|10)-S(\d+)-v0", short):  # not in the package's list
        rooms, size = map(int, made.groups())
        return MultiRoomEnv(rooms, rooms, maxRoomSize=size, **options)
    theirs = short.split("-")[0] + OTHER[short] if short in OTHER else short
    return gymnasium.make(f"MiniGrid-{theirs}", **options).unwrapped


def corridor(length=5, at=1, goal=3):
    """Return a level of one row, with a goal in it."""
    row = [list(NOTHING) for _ in range(length)]
    row[0] = row[-1] = [WALL, 5, 0, EMPTY, 0]
    row[goal] = [GOAL, GREEN, 0, EMPTY, 0]
    wall = [[WALL, 5, 0, EMPTY, 0]] * length
    cells = torch.tensor([[wall, row, wall]], dtype=torch.uint8)
    return Levels(cells, torch.tensor([[at, 1]]), torch.tensor([0]), torch.zeros(1, 2, dtype=torch.uint8))


@pytest.mark.parametrize("name", NAMES)
def test_gymnasiums_checker_has_nothing_to_say(name, monkeypatch):
    said = []
    monkeypatch.setattr(gymnasium.logger, "warn", lambda *words, **_: said.append(words))
    monkeypatch.setattr(gymnasium.logger, "error", lambda *words, **_: said.append(words))
    env = gymnasium.make(name, render_mode="rgb_array")
    check_env(env.unwrapped)
    env.close()
    assert said == []


@pytest.mark.parametrize("name", NAMES)
def test_sizes_and_limits_are_the_packages(name):
    ours, theirs = gymnasium.make(name).unwrapped, packages(name)
    ours.reset(seed=0)
    theirs.reset(seed=0)
    height, width = ours._env.packed.shape[1:]
    assert (width, height) == (theirs.grid.width, theirs.grid.height)
    assert KNOWN[name]["max_steps"] == theirs.max_steps
    assert ours.action_space == theirs.action_space


@pytest.mark.parametrize("name", ["tutorlib/KeyCorridorS3R2-v0", "tutorlib/MultiRoom-N2-S4-v0"])
def test_an_episode_is_the_packages_and_the_batched_one(name):
    limit, rng = 60, np.random.default_rng(0)
    theirs = packages(name, max_steps=limit)
    levels = import_levels(theirs, [3])  # it has just been reset to this level
    ours, batched = SingleMiniGrid(levels, limit), MiniGrid(levels, limit)
    state, (seen, info) = batched.start(torch.tensor([0.5])), ours.reset(seed=0)
    assert np.array_equal(seen, theirs.gen_obs()["image"].astype(np.float32).ravel())
    assert info == {}
    for _ in range(limit):
        action = int(rng.choice([LEFT, RIGHT, FORWARD, PICKUP, DROP, TOGGLE], p=[0.1, 0.1, 0.5, 0.1, 0.05, 0.15]))
        seen, reward, terminated, truncated, info = ours.step(action)
        expected = theirs.step(action)
        assert np.array_equal(seen, expected[0]["image"].astype(np.float32).ravel())
        assert (reward, terminated, truncated) == (np.float32(expected[1]), *expected[2:4])
        state, paid, ended = batched.step(state, torch.tensor(action), torch.tensor([0.5]))
        assert (reward, terminated or truncated) == (float(paid), bool(ended))
        assert info == {}
        if terminated or truncated:
            break
        assert np.array_equal(seen, batched.observe(state).numpy())
    assert terminated or truncated


@pytest.mark.parametrize(
    ("limit", "actions", "end"),
    [
        (9, [FORWARD, FORWARD], (True, False)),
        (3, [DONE, LEFT, RIGHT], (False, True)),
        (2, [FORWARD, FORWARD], (True, True)),
        (9, [FORWARD, DONE], (False, False)),
    ],
)
def test_ends_are_told_apart(limit, actions, end):
    env = SingleMiniGrid(corridor(), limit)
    env.reset(seed=0)
    for action in actions:
        _, reward, *ends, _ = env.step(action)
    assert tuple(ends) == end
    assert reward == (pytest.approx(1 - 0.9 * 2 / limit) if end[0] else 0)
    if any(end):
        with pytest.raises(UsageError, match="action=6: expected a call of reset first: no episode is running"):
            env.step(DONE)
        env.reset()
    assert env.step(DONE)[2:4] == (False, False)


def test_a_seed_gives_the_same_levels_again():
    def levels(seed, n=3):
        env = gymnasium.make("tutorlib/MultiRoom-N2-S4-v0", render_mode="rgb_array")
        env.reset(seed=seed)
        found = [env.render()]
        for _ in range(n - 1):
            env.reset()
            found.append(env.render())
        return found

    one, same, other = levels(7), levels(7), levels(8)
    assert all(np.array_equal(a, b) for a, b in zip(one, same, strict=True))
    assert not any(np.array_equal(a, b) for a, b in itertools.combinations([*one, *other], 2))
    fresh = levels(None)
    assert not np.array_equal(fresh[0], levels(None)[0]), "without a seed, another level each time"


def test_levels_of_a_bank_are_drawn_alike():
    bank = Levels(*(torch.cat(parts) for parts in zip(*(corridor(7, goal=goal) for goal in (3, 4, 5)), strict=True)))
    env = SingleMiniGrid(bank, 9)
    env.reset(seed=0)
    found = []
    for _ in range(90):
        env.reset()
        found.append(int(env._state.level))
    assert min(found.count(level) for level in range(3)) > 15


def test_a_vector_of_gymnasiums_can_be_made():
    envs = gymnasium.make_vec("tutorlib/KeyCorridorS3R1-v0", num_envs=3, vectorization_mode="sync")
    seen, _ = envs.reset(seed=1)
    assert seen.shape == (3, 147)
    assert seen.dtype == np.float32
    assert envs.step(np.array([FORWARD, LEFT, DONE]))[0].shape == (3, 147)
    envs.close()


def test_names_can_be_registered_twice_and_their_options_changed():
    assert register() == NAMES == tuple(KNOWN)
    env = gymnasium.make("tutorlib/KeyCorridorS3R1-v0", max_steps=2, pixels=8, render_mode="rgb_array")
    env.reset(seed=0)
    assert env.render().shape == (24, 56, 3)
    assert env.step(LEFT)[2:4] == (False, False)
    assert env.step(LEFT)[2:4] == (False, True)


# Pictures.


def test_the_cells_that_are_seen_are_light():
    """The package's own mask, put into the world by its formula."""
    theirs, rng, hidden = packages("tutorlib/KeyCorridorS4R3-v0"), np.random.default_rng(1), 0
    env = SingleMiniGrid(import_levels(theirs, [2]), 500, render_mode="rgb_array", pixels=8)
    env.reset(seed=0)
    for _ in range(40):
        _, mask = theirs.gen_obs_grid()
        expected = np.zeros((theirs.grid.height, theirs.grid.width), dtype=bool)
        corner = theirs.agent_pos + theirs.dir_vec * 6 - theirs.right_vec * 3
        for i, j in itertools.product(range(7), range(7)):
            x, y = corner - theirs.dir_vec * j + theirs.right_vec * i
            if 0 <= x < theirs.grid.width and 0 <= y < theirs.grid.height:
                expected[y, x] = mask[i, j]
        state = env._state
        position, direction = tuple(int(part) for part in theirs.agent_pos), int(theirs.agent_dir)
        assert np.array_equal(env.render(), picture(state.grid.numpy(), expected, position, direction, 8))
        dark = picture(state.grid.numpy(), np.zeros_like(expected), position, direction, 8)
        lit = (env.render() != dark).any(axis=-1).reshape(*expected.shape[:1], 8, -1, 8).any(axis=(1, 3))
        assert np.array_equal(lit, expected)
        hidden += int((~expected).sum())
        action = int(rng.choice([LEFT, RIGHT, FORWARD, TOGGLE], p=[0.15, 0.15, 0.5, 0.2]))
        theirs.step(action)
        env.step(action)
    assert hidden > 1000
    assert LIGHT > 0


def test_a_picture_needs_a_mode_and_an_episode():
    env = SingleMiniGrid(corridor(), 9, render_mode="rgb_array")
    with pytest.raises(TutorlibError, match="none has begun: call reset first"):
        env.render()
    env.reset(seed=0)
    before = env.render()
    assert (before.shape, before.dtype) == ((3 * 24, 5 * 24, 3), np.uint8)
    env.step(FORWARD)
    assert not np.array_equal(env.render(), before)
    env.step(FORWARD)
    assert env.render() is not None, "the last state of an episode can be looked at"
    without = SingleMiniGrid(corridor(), 9)
    without.reset(seed=0)
    assert without.render() is None


def test_closing_ends_the_episode_and_may_be_done_twice():
    env = SingleMiniGrid(corridor(), 9)
    env.reset(seed=0)
    env.close()
    env.close()
    with pytest.raises(UsageError, match="no episode is running"):
        env.step(DONE)
    env.reset()
    env.step(DONE)


# Refusals.


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"levels": "key_coridor"}, "levels='key_coridor': expected one of .* .did you mean 'key_corridor'"),
        ({"levels": "key_corridor", "rooms": 3}, "option='rooms': expected one of size, rows"),
        ({"levels": "key_corridor", "number": 3}, "option='number': expected one of size, rows"),
        ({"levels": "key_corridor", "size": 2}, "size=2: expected a whole number from 3"),
        ({"levels": corridor(), "size": 3}, "option='size': expected no options beside a bank of levels"),
        ({"levels": corridor(), "max_steps": 0}, "max_steps=0: expected a whole number from 1"),
        ({"levels": corridor(), "render_mode": "human"}, "render_mode='human': expected None or 'rgb_array'"),
        ({"levels": corridor(), "pixels": 4}, "pixels=4: expected a whole number from 8"),
    ],
)
def test_what_cannot_be_used_is_refused(own, message):
    with pytest.raises(UsageError, match=message):
        SingleMiniGrid(**{"max_steps": 9, **own})


def test_steps_that_cannot_be_are_refused():
    env = SingleMiniGrid(corridor(), 9)
    with pytest.raises(UsageError, match="action=2: expected a call of reset first"):
        env.step(FORWARD)
    with pytest.raises(UsageError, match="options={'level': 1}: expected none"):
        env.reset(options={"level": 1})
    env.reset(seed=0, options={})
    for wrong in (-1, 7):
        with pytest.raises(UsageError, match=f"action={wrong}: expected a whole number from 0 to 6"):
            env.step(wrong)
    env.step(np.int64(FORWARD))


WITHOUT = """
import sys
sys.modules["gymnasium"] = None  # as if it were not installed
import tutorlib.envs.gym as gym
from tutorlib.lab.errors import TutorlibError
for call in (gym.register, lambda: gym.SingleMiniGrid("key_corridor", 9)):
    try:
        call()
    except TutorlibError as error:
        print(error)
"""


def test_without_gymnasium_it_can_be_imported_and_says_what_is_missing():
    found = subprocess.run([sys.executable, "-c", WITHOUT], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines() == 2 * ["tutorlib.envs.gym needs Gymnasium: pip install gymnasium"]


def test_every_family_can_be_named():
    assert set(FAMILIES) == {options["levels"] for options in KNOWN.values()}
    env = SingleMiniGrid("key_corridor", 9, size=3, rows=1)
    env.reset(seed=0)
    assert env._env.packed.shape == (1, *key_corridor(1, torch.Generator(), 3, 1).cells.shape[1:3])


FORKED = """
import multiprocessing, sys, warnings
import gymnasium, torch
from tutorlib.envs.gym import SingleMiniGrid, register

warnings.simplefilter("ignore")  # newer versions of Python warn of every fork beside threads
torch.set_num_threads(2)
torch.ones(2_000_000).exp()  # now there is a pool of threads, which a forked process has not
if sys.argv[1] == "workers":
    (name, *_) = register()
    context = dict(context="fork", shared_memory=False)
    envs = gymnasium.make_vec(name, num_envs=2, vectorization_mode="async", vector_kwargs=context)
    seen = [envs.reset(seed=0)[0].shape, envs.step(envs.action_space.sample())[0].shape]
    envs.close()
else:
    env = SingleMiniGrid("key_corridor", 9, size=3, rows=1, render_mode="rgb_array")
    env.reset(seed=0)
    def play(pipe):
        pipe.send([env.step(2)[0].shape, env.render().shape, env.reset(seed=1)[0].shape])
    here, there = multiprocessing.Pipe()
    child = multiprocessing.get_context("fork").Process(target=play, args=(there,))
    child.start()
    assert here.poll(60)
    seen = here.recv()
    child.join()
print(seen, torch.get_num_threads())
"""


@pytest.mark.parametrize(
    ("how", "seen"),
    [("workers", [(2, 147), (2, 147)]), ("handed over", [(147,), (72, 168, 3), (147,)])],
)
def test_forked_processes_do_not_wait_for_threads_that_they_lack(how, seen):
    call = [sys.executable, "-c", FORKED, how]
    with subprocess.Popen(
        call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as run:
        try:
            out, error = run.communicate(timeout=100)
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            raise
    assert out == f"{seen} 2\n", error
