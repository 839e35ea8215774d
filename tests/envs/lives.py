"""Lives in environments, and a list of environments that every promise of the protocol is checked with."""

from typing import Any, NamedTuple

import torch

from tutorlib.envs import (
    Acrobot,
    BernoulliBandit,
    CartPole,
    CartUp,
    ContextualBandit,
    ControlEnvironment,
    DarkRoom,
    Duplicated,
    Environment,
    HeartGrid,
    Lock,
    MiniGrid,
    MountainCar,
    MountainCarContinuous,
    Padded,
    Pend,
    Permuted,
    Point,
    Projected,
    Reach,
    Reordered,
    Rewarded,
    SignFlipped,
    key_corridor,
    multi_room,
)

PLAIN = (
    BernoulliBandit(),
    BernoulliBandit(arms=5),
    *(BernoulliBandit(family=family) for family in ("dependent", "medium", "biased", "flipped")),
    BernoulliBandit(bias=0.7),
    ContextualBandit(3, 4, shuffled=True),
    ContextualBandit(3, 3),
    CartPole(),
    CartPole(episode=7),
    Acrobot(episode=9),
    MountainCar(episode=5, shaped=2.0),
    HeartGrid(size=3),
    HeartGrid(size=4, swapped=True, episode=6, view="relative"),
    DarkRoom(size=4, episode=6),
    MiniGrid(key_corridor(3, torch.Generator().manual_seed(0), rows=1), max_steps=7),
    MiniGrid(multi_room(2, torch.Generator().manual_seed(0), rooms=2, size=4, width=12), max_steps=9),
    Lock(horizon=5, actions=3),
)
WRAPPED = (
    Permuted(CartPole()),
    Permuted(HeartGrid(size=2), shuffle_observations=False, at=3),
    Reordered(ContextualBandit(3, 3), observation_order=(2, 0, 1)),
    Duplicated(MountainCar()),
    Padded(CartPole(), zeros=3),
    Projected(Acrobot()),
    SignFlipped(DarkRoom(size=3)),
    SignFlipped(Lock(horizon=3)),
    Rewarded(BernoulliBandit(), scale=2.0, shift=-1.0),
    Permuted(Padded(SignFlipped(Projected(CartPole(episode=8))), zeros=2), shuffle_actions=False, at=4),
)
CONTINUOUS = (
    Point(horizon=6),
    Point(spread=0.05, law="normal", centre=(-1.0, -1.0), goal=(1.0, 1.0), reward_at_goal=0.0),
    Pend(horizon=7),
    Pend(angle_spread=0.1, angle_law="normal", action_cost=0.004),
    CartUp(horizon=5),
    CartUp(form="product", track_cost=1.0, max_spin=float("inf")),
    Reach(horizon=4),
    MountainCarContinuous(horizon=6),
)
EVERY = (*PLAIN, *WRAPPED, *CONTINUOUS)


def uniform(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Return numbers in (0, 1); float32 ones could be 0."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator, dtype=dtype).clamp(min=1e-7)


def random_actions(env: Environment | ControlEnvironment, *shape: int, seed: int = 0) -> torch.Tensor:
    """Return actions of ``env``, all alike."""
    if isinstance(env, ControlEnvironment):
        return 2 * uniform(*shape, env.action_size, seed=seed) - 1
    return torch.randint(env.actions, shape, generator=torch.Generator().manual_seed(seed))


def name_of(env: Environment) -> str:
    return str(env).replace("episode=", "").replace(" ", "")[:60]


class Lives(NamedTuple):
    states: list[Any]
    observations: torch.Tensor
    rewards: torch.Tensor
    ended: torch.Tensor


def live(env: Environment, actions: torch.Tensor, start: torch.Tensor, step: torch.Tensor) -> Lives:
    """Return lives under given actions [time, *batch] and noise [*batch, n] and [time, *batch, n]."""
    state = env.start(start)
    states, observations, rewards, ended = [state], [env.observe(state)], [], []
    for a, u in zip(actions, step, strict=True):
        state, reward, end = env.step(state, a, u)
        states.append(state)
        observations.append(env.observe(state))
        rewards.append(reward)
        ended.append(end)
    return Lives(states, torch.stack(observations), torch.stack(rewards), torch.stack(ended))


def random_lives(env: Environment, steps: int, *batch: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> Lives:
    """Return lives of random actions."""
    actions = random_actions(env, steps, *batch, seed=seed)
    actions = actions.to(dtype) if actions.is_floating_point() else actions
    start = uniform(*batch, env.start_noise, seed=seed + 1, dtype=dtype)
    return live(env, actions, start, uniform(steps, *batch, env.step_noise, seed=seed + 2, dtype=dtype))


def leaves(state: Any) -> list[torch.Tensor]:
    """Return all tensors of a state."""
    return [state] if isinstance(state, torch.Tensor) else [leaf for part in state for leaf in leaves(part)]
