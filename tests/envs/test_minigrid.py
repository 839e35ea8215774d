"""MiniGrid beside the package ``minigrid``, step by step in the same levels, and its view beside a plain re-write."""

import copy
import itertools
import random

import gymnasium
import numpy as np
import pytest
import torch
from lives import leaves, live, random_lives, uniform
from minigrid.core import constants
from minigrid.core.actions import Actions
from minigrid.core.world_object import Ball, Box, Door, Goal, Key, Wall

from tutorlib.envs import Environment, minigrid, minigrid_levels
from tutorlib.envs.minigrid import DONE, DROP, FORWARD, LEFT, PICKUP, RIGHT, TOGGLE, Levels, MiniGrid
from tutorlib.envs.minigrid_levels import (
    BALL,
    BLUE,
    BOX,
    CLOSED,
    DOOR,
    EMPTY,
    FLOOR,
    GOAL,
    GREEN,
    GREY,
    KEY,
    LAVA,
    LOCKED,
    NOTHING,
    OPEN,
    RED,
    WALL,
    YELLOW,
    import_level,
    import_levels,
    join_levels,
    pack,
    unpack,
)
from tutorlib.envs.minigrid_view import GREY_WALL, forward, look, row_table, visible
from tutorlib.lab import UsageError

STEPS = ((1, 0), (0, 1), (-1, 0), (0, -1))
DRAWN = {
    ".": NOTHING,
    "#": (WALL, GREY, 0, EMPTY, 0),
    "f": (FLOOR, BLUE, 0, EMPTY, 0),
    "o": (DOOR, RED, OPEN, EMPTY, 0),
    "c": (DOOR, YELLOW, CLOSED, EMPTY, 0),
    "l": (DOOR, BLUE, LOCKED, EMPTY, 0),
    "k": (KEY, BLUE, 0, EMPTY, 0),
    "y": (KEY, YELLOW, 0, EMPTY, 0),
    "b": (BALL, BLUE, 0, EMPTY, 0),
    "g": (BALL, GREEN, 0, EMPTY, 0),
    "x": (BOX, GREY, 0, KEY, BLUE),
    "e": (BOX, RED, 0, EMPTY, 0),
    "G": (GOAL, GREEN, 0, EMPTY, 0),
    "L": (LAVA, RED, 0, EMPTY, 0),
}


def drawn(*lines, at, facing=0, target=(0, 0)):
    """Return a level from its drawing."""
    cells = torch.tensor([[DRAWN[char] for char in line] for line in lines], dtype=torch.uint8)
    return Levels(
        cells.unsqueeze(0),
        torch.tensor([at]),
        torch.tensor([facing]),
        torch.tensor([target], dtype=torch.uint8),
    )


def small(max_steps=9):
    """Two levels in which much can happen in few steps."""
    first = drawn("#######", "#.kl.G#", "#x....#", "#######", at=(1, 1), target=(BALL, BLUE))
    second = drawn("#######", "#e.cL.#", "#.b...#", "#######", at=(2, 1), facing=1, target=(BALL, BLUE))
    return MiniGrid(join_levels([first, second]), max_steps)


def do(env, state, *actions):
    """Return the state after some actions, and the last reward and whether the episode terminated."""
    for action in actions:
        state, reward, terminated, _ = env.advance(state, torch.tensor(action))
    return state, float(reward), bool(terminated)


def alone(*lines, max_steps=100, **level):
    """Return an environment of one level, and its first state without batch axes."""
    env = MiniGrid(drawn(*lines, **level), max_steps)
    return env, env.begin(torch.tensor(0))


def at(state, x, y):
    return tuple(unpack(state.cells)[y, x].tolist())


# Beside the package.


def beside(env, thing):
    """Put the agent of the package's environment before ``thing``; into its doorway where nothing else is free."""
    cells = [(x, y) for x in range(env.width) for y in range(env.height)]
    (where,) = [cell for cell in cells if env.grid.get(*cell) is thing]
    spots = [(d, (where[0] - dx, where[1] - dy)) for d, (dx, dy) in enumerate(STEPS)]
    spots = [(d, spot) for d, spot in spots if 0 <= spot[0] < env.width and 0 <= spot[1] < env.height]
    for kinds in (type(None), Door):
        for direction, spot in spots:
            there = env.grid.get(*spot)
            if isinstance(there, kinds):
                if there is not None:
                    there.is_open, there.is_locked = True, False
                env.agent_pos, env.agent_dir = spot, direction
                return


def arrange(env, stage):
    """Let the agent begin where rare things are near: beside the target or a box, or at a locked door with its key.

    Return what it should do first.
    """
    things = [thing for thing in env.grid.grid if thing is not None]
    if stage == "target":
        beside(env, env.obj if hasattr(env, "obj") else next(t for t in things if isinstance(t, Goal)))
    elif stage == "box":
        beside(env, next(t for t in things if isinstance(t, Box)))
    elif stage == "door":
        door = next(t for t in things if isinstance(t, Door) and t.is_locked)
        beside(env, door)
        (x, y), ahead = env.agent_pos, env.agent_dir
        spots = [(x + dx, y + dy) for dx, dy in STEPS]
        env.agent_dir = next(d for d, spot in enumerate(spots) if env.grid.get(*spot) is None)
        env.grid.set(*spots[env.agent_dir], Key(door.color))
        return [PICKUP, *(ahead - env.agent_dir) % 4 * [RIGHT], TOGGLE]
    return []


WEIGHTS = {  # of left, right, forward, pickup, drop, toggle, done, by what is in front
    "door": (5, 5, 30, 4, 4, 50, 2),
    "thing": (10, 10, 5, 45, 3, 25, 2),
    "wall": (40, 40, 4, 4, 4, 4, 4),
    "free": (14, 14, 56, 4, 7, 4, 1),
}


def some_action(env, rng, first):
    if env.step_count < len(first) and rng.random() < 0.9:
        return first[env.step_count]
    front = env.grid.get(*env.front_pos)
    kind = "free"
    if isinstance(front, Key | Ball | Box):
        kind = "thing"
    elif isinstance(front, Door):
        kind = "door"
    elif isinstance(front, Wall):
        kind = "wall"
    return rng.choices(range(7), WEIGHTS[kind])[0]


def happened(env, action):
    """Do the action in the package's environment; return its answer, and a word for what happened."""
    front, held = env.grid.get(*env.front_pos), env.carrying
    before = (front.is_locked, front.is_open) if isinstance(front, Door) else None
    seen, reward, terminated, truncated, _ = env.step(action)
    word = ""
    if truncated:
        word = "late"
    elif terminated:
        word = "success" if reward else "lava"
    elif held is None and env.carrying is not None:
        word = f"took {env.carrying.type}"
    elif held is not None and env.carrying is None:
        word = f"put {held.type}"
    elif before is not None and (front.is_locked, front.is_open) != before:
        word = "unlocked" if before[0] else "closed" if before[1] else "opened"
    elif isinstance(front, Box) and action == TOGGLE:
        word = "unpacked" if front.contains is not None else "emptied"
    return seen["image"], reward, terminated, truncated, word


def carried(env):
    """Return the five bytes of what the package's agent holds."""
    thing = env.carrying
    if thing is None:
        return NOTHING
    hidden = (EMPTY, 0) if thing.contains is None else thing.contains.encode()[:2]
    return (*thing.encode(), *hidden)


def panorama_of(env):
    """Return the four views of a copy that is turned down first, then right before each view."""
    turned = copy.deepcopy(env)
    while turned.agent_dir != 1:
        turned.step(RIGHT)
    views = [turned.step(RIGHT)[0]["image"] for _ in range(4)]
    return np.stack(views, axis=-1).reshape(7, 7, 12)


DOORS = {"opened", "closed", "late"}
FAMILIES = {
    "KeyCorridorS3R3-v0": (
        ["door", "target", "", "", "door", "target"],
        {"unlocked", "took key", "put key", "success", *DOORS},
    ),
    "MultiRoom-N2-S4-v0": (["", "target", "", ""], {"success", *DOORS}),
    "MultiRoom-N4-S5-v1": (["", "target", "", ""], {"success", *DOORS}),
    "ObstructedMaze-2Dl-v0": (
        ["door", "target", "door", "", "", "target"],
        {"unlocked", "took key", "put key", "success", *DOORS},
    ),
    "ObstructedMaze-2Dlhb-v1": (
        ["door", "target", "box", "", "door", "box"],
        {"unlocked", "took key", "put key", "took ball", "took box", "put box", "unpacked", "success", "late"},
    ),
    "LavaGapS5-v0": (4 * [""], {"success", "lava"}),
}


@pytest.mark.parametrize("name", FAMILIES)
def test_every_step_is_the_packages(name):
    stages, expected = FAMILIES[name]
    steps, limit, n = 110, 50, len(stages)
    theirs = [gymnasium.make(f"MiniGrid-{name}", max_steps=limit).unwrapped for _ in stages]
    parts, firsts = [], []
    for seed, (env, stage) in enumerate(zip(theirs, stages, strict=True)):
        env.reset(seed=seed)
        firsts.append(arrange(env, stage))
        parts.append(import_level(env))
    fresh = [copy.deepcopy(env) for env in theirs]
    env = MiniGrid(join_levels(parts), limit)
    same_level = ((torch.arange(n) + 0.5) / n).unsqueeze(-1)  # each member begins its own level again
    state, images = env.start(same_level), [env.gen_obs()["image"] for env in theirs]
    rng, words, panoramas = random.Random(name), set(), 0
    visited = [[tuple(env.agent_pos)] for env in theirs]
    for t in range(steps):
        assert torch.equal(env.image(state), torch.from_numpy(np.stack(images)))
        assert unpack(state.hand).tolist() == [list(carried(env)) for env in theirs]
        assert env.count(state).tolist() == [been.count(been[-1]) for been in visited]
        if t % 12 == 0:
            seen = env.panorama(state)
            assert torch.equal(seen[t % n], torch.from_numpy(panorama_of(theirs[t % n])))
            grid = torch.from_numpy(theirs[t % n].grid.encode())  # [x, y, 3]
            assert torch.equal(state.grid[t % n], grid.transpose(0, 1))
            panoramas += 1
        actions = [some_action(env, rng, first) for env, first in zip(theirs, firsts, strict=True)]
        answers = [happened(env, action) for env, action in zip(theirs, actions, strict=True)]
        images, rewards, terminated, truncated, news = map(list, zip(*answers, strict=True))
        words |= set(news)
        _, reward, over, late = env.advance(state, torch.tensor(actions))
        assert over.tolist() == terminated
        assert late.tolist() == truncated
        assert reward.tolist() == [float(np.float32(r)) for r in rewards]
        state, reward, ended = env.step(state, torch.tensor(actions), same_level)
        assert reward.tolist() == [float(np.float32(r)) for r in rewards]
        assert ended.tolist() == [a or b for a, b in zip(terminated, truncated, strict=True)]
        for i in range(n):
            if ended[i]:
                theirs[i] = copy.deepcopy(fresh[i])
                images[i] = theirs[i].gen_obs()["image"]
                visited[i] = []
            visited[i].append(tuple(int(p) for p in theirs[i].agent_pos))
    assert expected <= words, "what has not happened has not been tested"


def test_levels_are_imported_in_the_order_of_their_seeds():
    env = gymnasium.make("MiniGrid-ObstructedMaze-2Dlhb-v1")
    levels = import_levels(env, [5, 3])
    assert levels.cells.shape == (2, 16, 16, 5)
    assert levels.target.tolist() == 2 * [[BALL, BLUE]]
    env.reset(seed=3)
    for part, again in zip(levels, import_level(env), strict=True):
        assert torch.equal(part[1:], again)
    assert not torch.equal(levels.cells[0], levels.cells[1])
    hidden = levels.cells[1][levels.cells[1, ..., 0] == BOX]
    doors = levels.cells[1][(levels.cells[1, ..., 0] == DOOR) & (levels.cells[1, ..., 2] == LOCKED)]
    assert hidden[:, 3].tolist() == [KEY, KEY]
    assert sorted(hidden[:, 4].tolist()) == sorted(doors[:, 1].tolist()), "keys of the locked doors' colours"
    assert import_levels(gymnasium.make("MiniGrid-MultiRoom-N2-S4-v0"), [0]).target.tolist() == [[0, 0]]


def test_levels_with_other_rules_are_refused():
    env = gymnasium.make("MiniGrid-Fetch-5x5-N2-v0")
    env.reset(seed=0)
    with pytest.raises(UsageError, match=r"env='FetchEnv.step': expected a rule of success in MiniGridEnv.step, "):
        import_level(env)
    env = gymnasium.make("MiniGrid-KeyCorridorS3R1-v0")
    with pytest.raises(UsageError, match="env=None: expected an environment that has just been reset"):
        import_level(env)
    env.reset(seed=0)
    import_level(env)
    inner = env.unwrapped
    inner.grid.set(1, 1, Box("red", contains=Box("red", contains=Key("red"))))
    with pytest.raises(UsageError, match="env='Box': expected boxes that hide a key, a ball or an empty box"):
        import_level(env)
    inner.grid.set(1, 1, Box("red", contains=Goal()))
    with pytest.raises(UsageError, match="env='Goal': expected boxes"):
        import_level(env)
    inner.grid.set(1, 1, Box("red", contains=Ball(inner.obj.color)))
    with pytest.raises(UsageError, match="env='2 like the target': expected one object"):
        import_level(env)
    env.reset(seed=0)
    env.step(LEFT)
    with pytest.raises(UsageError, match="env=1: expected an environment that has just been reset"):
        import_level(env)
    env = gymnasium.make("MiniGrid-Empty-5x5-v0")
    env.reset(seed=0)
    with pytest.raises(UsageError, match="see_through_walls True"):
        import_level(env)
    env = gymnasium.make("MiniGrid-MultiRoom-N2-S4-v0", agent_view_size=5)
    env.reset(seed=0)
    with pytest.raises(UsageError, match="agent_view_size 5"):
        import_level(env)


def test_names_are_those_of_the_package():
    names = ("unseen", "empty", "wall", "floor", "door", "key", "ball", "box", "goal", "lava")
    theirs = dict(constants.OBJECT_TO_IDX)
    assert theirs.pop("agent") == 10, "never in a cell"
    assert {name: getattr(minigrid_levels, name.upper()) for name in names} == theirs
    for group in (constants.COLOR_TO_IDX, constants.STATE_TO_IDX):
        assert {name: getattr(minigrid_levels, name.upper()) for name in group} == group
    assert [(a.name.upper(), a.value) for a in Actions] == [
        (name, getattr(minigrid, name)) for name in ("LEFT", "RIGHT", "FORWARD", "PICKUP", "DROP", "TOGGLE", "DONE")
    ]
    assert [tuple(forward(torch.tensor(d))) for d in range(4)] == [tuple(v) for v in constants.DIR_TO_VEC]


def test_a_cell_is_packed_into_one_number_without_loss():
    every = itertools.product(range(10), range(6), range(3), (EMPTY, KEY, BALL, BOX), range(6))
    cells = torch.tensor(list(every), dtype=torch.uint8)
    packed = pack(cells)
    assert torch.equal(unpack(packed), cells)
    assert (packed >= 0).all()
    assert len(packed.unique()) == len(cells) == 10 * 6 * 3 * 4 * 6
    assert int(pack(torch.tensor(NOTHING, dtype=torch.uint8))) == EMPTY
    assert int(pack(torch.tensor(DRAWN["#"], dtype=torch.uint8))) == GREY_WALL


# The view beside a plain re-write.


def plain_view(cells, x, y, direction, hand):
    """Return the view with coordinates and a set of lit cells."""
    (fx, fy), (rx, ry) = STEPS[direction], STEPS[(direction + 1) % 4]
    world = {}
    for i, j in itertools.product(range(7), range(7)):
        wx, wy = x + fx * (6 - j) + rx * (i - 3), y + fy * (6 - j) + ry * (i - 3)
        inside = 0 <= wy < len(cells) and 0 <= wx < len(cells[0])
        world[i, j] = cells[wy][wx][:3] if inside else [WALL, GREY, 0]
    lit = {(3, 6)}
    for j in range(6, -1, -1):
        for columns, side in ((range(6), 1), (range(6, 0, -1), -1)):
            for i in columns:
                thing, _, state = world[i, j]
                opaque = thing == WALL or (thing == DOOR and state != OPEN)
                if (i, j) in lit and not opaque:
                    lit |= {(i + side, j), (i + side, j - 1), (i, j - 1)}
    world[3, 6] = hand[:3]
    return [[world[i, j] if (i, j) in lit else [0, 0, 0] for j in range(7)] for i in range(7)]


@pytest.mark.parametrize("walls", [0.1, 0.3, 0.6])
def test_the_view_is_that_of_the_plain_rewrite(walls):
    rng, rows, hidden = random.Random(walls), row_table("cpu"), 0
    others = [DRAWN[char] for char in ".....foclkxG"]
    for _ in range(12):
        height, width = rng.randint(1, 9), rng.randint(1, 9)
        cells = [
            [list(DRAWN["#"] if rng.random() < walls else rng.choice(others)) for _ in range(width)]
            for _ in range(height)
        ]
        x, y, hand = rng.randrange(width), rng.randrange(height), list(rng.choice([DRAWN["."], DRAWN["x"]]))
        cells[y][x] = list(rng.choice([DRAWN["."], DRAWN["o"]]))
        views = look(
            pack(torch.tensor(cells, dtype=torch.uint8)),
            torch.tensor([x, y]),
            torch.arange(4),
            pack(torch.tensor(hand, dtype=torch.uint8)),
            rows,
        )
        assert views.dtype == torch.uint8
        expected = [plain_view(cells, x, y, direction, hand) for direction in range(4)]
        assert views.tolist() == expected
        hidden += sum(cell == [0, 0, 0] for view in expected for column in view for cell in column)
    assert hidden > 100, "walls must hide something"


def test_light_passes_as_in_the_drawings():
    rows = row_table("cpu")

    def lit(*lines):  # lines from the far end to the agent's row, "#" blocks
        clear = torch.tensor([[char != "#" for char in line] for line in lines]).T
        seen = visible(clear, rows).T
        return ["".join("*" if cell else " " for cell in line) for line in seen.tolist()]

    assert lit(*7 * [7 * "."]) == 7 * [7 * "*"]
    # A wall across: it is seen itself, and nothing behind it.
    assert lit(*4 * [7 * "."], 7 * "#", *2 * [7 * "."]) == 4 * [7 * " "] + 3 * [7 * "*"]
    # Shut in from both sides and ahead.
    assert lit(*5 * [7 * "."], "..###..", "..#.#..") == [*5 * [7 * " "], "  ***  ", "  ***  "]
    # Through one gap the whole row behind it lights up.
    assert lit(*5 * [7 * "."], "###.###", "###.###") == [*5 * ["*******"], "  ***  ", "  ***  "]


# Rules with known answers.


def test_a_key_opens_the_door_of_its_colour_and_stays_in_the_hand():
    env, state = alone("#####", "#k.l#", "#####", at=(2, 1), facing=0, target=(0, 0))
    state, *_ = do(env, state, TOGGLE)
    assert at(state, 3, 1) == (DOOR, BLUE, LOCKED, EMPTY, 0)
    state, *_ = do(env, state, FORWARD, LEFT, LEFT, PICKUP)
    assert at(state, 1, 1) == NOTHING
    assert tuple(unpack(state.hand).tolist()) == DRAWN["k"]
    assert state.position.tolist() == [2, 1]
    state, *_ = do(env, state, RIGHT, RIGHT, TOGGLE)
    assert at(state, 3, 1) == (DOOR, BLUE, OPEN, EMPTY, 0)
    assert tuple(unpack(state.hand).tolist()) == DRAWN["k"]
    state, *_ = do(env, state, TOGGLE)
    assert at(state, 3, 1) == (DOOR, BLUE, CLOSED, EMPTY, 0), "closed, no longer locked"
    state, *_ = do(env, state, FORWARD)
    assert state.position.tolist() == [2, 1]
    state, *_ = do(env, state, TOGGLE, FORWARD)
    assert state.position.tolist() == [3, 1]
    assert int(state.t) == 12


def test_the_wrong_key_and_a_ball_of_the_right_colour_open_nothing():
    for thing in "yb":
        env, state = alone("#####", f"#{thing}.l#", "#####", at=(2, 1), facing=2)
        state, *_ = do(env, state, PICKUP, RIGHT, RIGHT, TOGGLE)
        assert tuple(unpack(state.hand).tolist()) == DRAWN[thing]
        assert at(state, 3, 1) == (DOOR, BLUE, LOCKED, EMPTY, 0)


def test_a_box_keeps_what_it_hides_until_it_is_opened():
    env, state = alone("#####", "#x..#", "#####", at=(2, 1), facing=2)
    state, *_ = do(env, state, PICKUP, RIGHT, RIGHT, DROP)
    assert at(state, 1, 1) == NOTHING
    assert at(state, 3, 1) == DRAWN["x"]
    assert tuple(unpack(state.hand).tolist()) == NOTHING
    state, *_ = do(env, state, TOGGLE)
    assert at(state, 3, 1) == DRAWN["k"]
    assert state.contents[1, 3].tolist() == [EMPTY, 0]
    env, state = alone("####", "#.e#", "####", at=(1, 1))
    assert at(do(env, state, TOGGLE)[0], 2, 1) == NOTHING


def test_a_full_hand_takes_nothing_and_things_are_put_on_empty_cells_alone():
    env, state = alone("#####", "#k.b#", "#.f.#", "#####", at=(2, 1), facing=2)
    state, *_ = do(env, state, PICKUP, RIGHT, RIGHT, PICKUP)
    assert at(state, 3, 1) == DRAWN["b"]
    state, *_ = do(env, state, DROP, RIGHT, DROP)  # on a ball, on a floor tile
    assert tuple(unpack(state.hand).tolist()) == DRAWN["k"]
    assert at(state, 2, 2) == DRAWN["f"]
    state, *_ = do(env, state, FORWARD, DROP)  # on a wall
    assert state.position.tolist() == [2, 2]
    assert tuple(unpack(state.hand).tolist()) == DRAWN["k"]


def test_rewards_and_ends():
    env, state = alone("#####", "#..G#", "#####", at=(1, 1), max_steps=10)
    _, reward, terminated = do(env, state, DONE, FORWARD, FORWARD)
    assert (reward, terminated) == (pytest.approx(1 - 0.9 * 3 / 10), True)
    env, state = alone("####", "#.L#", "####", at=(1, 1))
    state, reward, terminated = do(env, state, FORWARD)
    assert (reward, terminated) == (0.0, True)
    assert state.position.tolist() == [2, 1]
    env, state = alone("####", "#.b#", "####", at=(1, 1), target=(BALL, BLUE), max_steps=20)
    _, reward, terminated = do(env, state, FORWARD, PICKUP)
    assert (reward, terminated) == (pytest.approx(1 - 0.9 * 2 / 20), True)
    env, state = alone("####", "#.g#", "####", at=(1, 1), target=(BALL, BLUE), max_steps=20)
    _, reward, terminated = do(env, state, PICKUP)
    assert (reward, terminated) == (0.0, False)


def test_nothing_lies_beyond_the_edge():
    env, state = alone("k.", "..", at=(1, 0), facing=2)
    state, *_ = do(env, state, PICKUP, LEFT, LEFT)  # now to the right, at the edge
    assert int(state.direction) == 0
    after, *_ = do(env, state, FORWARD, DROP, TOGGLE, PICKUP)
    assert torch.equal(after.cells, state.cells)
    assert torch.equal(after.hand, state.hand)
    assert after.position.tolist() == [1, 0]
    # Ahead and to the left is outside, to the right is the row below.
    assert env.image(after)[3, 5].tolist() == env.image(after)[2, 6].tolist() == [WALL, GREY, 0]
    assert env.image(after)[4, 6].tolist() == [EMPTY, 0, 0]
    assert env.image(after)[3, 6].tolist() == [KEY, BLUE, 0]


def test_visits_are_counted_within_an_episode():
    env, state = alone("#####", "#...#", "#####", at=(1, 1), max_steps=6)
    counts = [int(env.count(state))]
    u = torch.tensor([0.5])
    for action in (FORWARD, DONE, LEFT, LEFT, FORWARD, DONE, FORWARD):  # the sixth step ends the episode
        state, _, ended = env.step(state, torch.tensor(action), u)
        counts.append(int(env.count(state)))
        assert bool(ended) == (len(counts) == 7)
    assert counts == [1, 1, 2, 3, 4, 2, 1, 1]
    assert int(state.t) == 1
    assert int(state.visits.sum()) == 2


def test_the_panorama_does_not_depend_on_the_direction():
    env, state = alone("#####", "#k.l#", "#x..#", "#####", at=(2, 1), facing=0)
    turned, *_ = do(env, state, RIGHT)
    assert torch.equal(env.panorama(state), env.panorama(turned))
    for k, direction in enumerate((2, 3, 0, 1)):
        view = env.image(state._replace(direction=torch.tensor(direction)))
        assert torch.equal(env.panorama(state)[..., k::4], view)


# What every environment promises.


def test_it_follows_the_protocol():
    env = small()
    assert isinstance(env, Environment)
    lives = random_lives(env, 40, 3, 2)
    assert lives.observations.shape == (41, 3, 2, 147)
    assert lives.observations.dtype == lives.rewards.dtype == torch.float32
    for first, last in zip(leaves(lives.states[0]), leaves(lives.states[-1]), strict=True):
        assert (first.shape, first.dtype) == (last.shape, last.dtype)
    assert torch.equal(lives.observations[7], env.image(lives.states[7]).flatten(-3).float())
    assert lives.ended.any()
    levels = torch.stack([state.level for state in lives.states])
    begun = torch.stack([state.t for state in lives.states])[1:] == 0
    assert torch.equal(begun, lives.ended)
    assert torch.equal(levels[1:][~begun], levels[:-1][~begun]), "a level stays for its episode"


def test_a_level_is_drawn_by_the_uniform():
    env = small()
    assert env.start(torch.tensor([[0.1], [0.4], [0.6], [0.9]])).level.tolist() == [0, 0, 1, 1]
    state = env.begin(torch.zeros(4, dtype=torch.long))._replace(t=torch.tensor([8, 8, 8, 0]))
    u = torch.tensor([[0.1], [0.6], [0.9], [0.9]])
    after, _, ended = env.step(state, torch.full((4,), DONE), u)
    assert ended.tolist() == [True, True, True, False]
    assert after.level.tolist() == [0, 1, 1, 0]
    for part, fresh in zip(after, env.begin(torch.tensor([0, 1, 1])), strict=True):
        assert torch.equal(part[:3], fresh)


def test_a_batch_is_its_lives_one_by_one_and_noise_can_be_shared():
    env, members, lifetimes, steps = small(), 3, 2, 25
    actions = torch.randint(7, (steps, members, lifetimes), generator=torch.Generator().manual_seed(0))
    start, noise = uniform(lifetimes, 1), uniform(steps, lifetimes, 1, seed=1)
    state = env.start(start.unsqueeze(0))  # one first state for all members
    rewards, images = [], []
    for t in range(steps):
        state, reward, _ = env.step(state, actions[t], noise[t])
        rewards.append(reward)
        images.append(env.observe(state))
    for i, j in itertools.product(range(members), range(lifetimes)):
        lives = live(env, actions[:, i, j], start[j], noise[:, j])
        assert torch.equal(lives.rewards, torch.stack(rewards)[:, i, j])
        assert torch.equal(lives.observations[1:], torch.stack(images)[:, i, j])


def test_a_step_changes_no_state_and_no_level():
    env = small()
    levels = [part.clone() for part in env.levels]
    lives = random_lives(env, 30, 5)
    assert all(torch.equal(a, b) for a, b in zip(levels, env.levels, strict=True))
    for state in lives.states[:10]:
        kept = [leaf.clone() for leaf in leaves(state)]
        for action in range(7):
            env.step(state, torch.full((5,), action), uniform(5, 1))
        env.image(state)
        env.panorama(state)
        assert all(torch.equal(a, b) for a, b in zip(kept, leaves(state), strict=True))


def test_no_value_is_read_and_no_device_is_hidden():
    env = MiniGrid(small().levels.to("meta"), 9)
    state = env.start(torch.rand(4, 1, device="meta"))
    for _ in range(2):
        action = torch.zeros(4, dtype=torch.long, device="meta")
        state, reward, ended = env.step(state, action, torch.rand(4, 1, device="meta"))
        for tensor in (*leaves(state), reward, ended, env.observe(state), env.panorama(state), env.count(state)):
            assert tensor.device.type == "meta"


def test_what_cannot_be_used_is_refused():
    levels = small().levels
    for wrong in (0, 2**15):
        with pytest.raises(UsageError, match=f"max_steps={wrong}: expected a whole number from 1 to 32,766"):
            MiniGrid(levels, wrong)
    with pytest.raises(UsageError, match=r"levels.cells=\(2, 4, 7, 3\): expected a shape"):
        MiniGrid(levels._replace(cells=levels.cells[..., :3]), 9)
    with pytest.raises(UsageError, match="parts=.*: expected at least one"):
        join_levels([])
    with pytest.raises(UsageError, match=r"parts=\[\(3, 4\), \(4, 7\)\]: expected levels of one height and width"):
        join_levels([levels, drawn("####", "#..#", "####", at=(1, 1))])
    env = small()
    with pytest.raises(UsageError, match=r"u=\(5, 2\): expected .* ends with 1$"):
        env.start(uniform(5, 2))
    with pytest.raises(UsageError, match=r"u=\(5, 3\): expected"):
        env.step(env.start(uniform(5, 1)), torch.zeros(5, dtype=torch.long), uniform(5, 3))
    with pytest.raises(UsageError, match="u='meta': expected uniforms on cpu, where the levels are"):
        env.start(uniform(5, 1).to("meta"))
