"""One MiniGrid at a time as an environment of Gymnasium, for pictures and for programs that expect its interface.

::

    import gymnasium
    from tutorlib.envs.gym import register

    register()
    env = gymnasium.make("tutorlib/KeyCorridorS4R3-v0", render_mode="rgb_array")

The rules are those of the batched ``MiniGrid``, and the numbers that are seen are those of its ``observe``. A single
environment is slow, so training takes the batched one. Many of them work in processes of their own, too, such as those
of ``gymnasium.make_vec(..., vectorization_mode="async")``: a forked one takes one thread. Gymnasium is not among the
library's requirements: without it, this module can be imported, but ``register`` and ``SingleMiniGrid`` raise an error
that says so.
"""

import inspect
import os
from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tutorlib.envs.minigrid import MiniGrid, MiniGridState
from tutorlib.envs.minigrid_levels import UNSEEN, Levels
from tutorlib.envs.minigrid_picture import check_pixels, picture
from tutorlib.envs.minigrid_rooms import FAMILIES, TASKS
from tutorlib.envs.minigrid_view import view_cells
from tutorlib.lab.errors import TutorlibError, bad_argument, choose

if TYPE_CHECKING or find_spec("gymnasium"):
    import gymnasium
    from gymnasium import spaces

    Base = gymnasium.Env[np.ndarray, int | np.integer]
else:
    gymnasium, Base = None, object

KNOWN: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        f"tutorlib/{name}-v{task.version}": {"levels": task.family, "max_steps": task.max_steps, **task.options}
        for name, task in TASKS.items()
    }
)
"""What ``register`` makes known: the names of ``minigrid_rooms.TASKS`` with the package's version of these levels, and
what ``SingleMiniGrid`` is called with."""

_IMPORTED_IN = os.getpid()


def _mind_the_fork() -> None:
    """Let torch take one thread in a forked process, where it would wait for ever for those that the parent had."""
    if os.getpid() != _IMPORTED_IN and torch.get_num_threads() > 1:
        torch.set_num_threads(1)


def _expect_gymnasium() -> None:
    if gymnasium is None:
        raise TutorlibError("tutorlib.envs.gym needs Gymnasium: pip install gymnasium")


class SingleMiniGrid(Base):
    """MiniGrid with Gymnasium's interface: one environment, on the CPU, in NumPy.

    ``levels`` is a bank, of which each episode plays one level, or the name of a family in
    ``minigrid_rooms.FAMILIES``: then every episode has a new level, drawn with the family's ``options``. ``pixels`` is
    the side of a cell in pictures.

    Raises ``UsageError`` for what cannot be used, and ``TutorlibError`` where Gymnasium is not installed.
    """

    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 10}  # noqa: RUF012  as in Gymnasium

    def __init__(
        self,
        levels: Levels | str,
        max_steps: int,
        render_mode: str | None = None,
        pixels: int = 24,
        **options: Any,
    ) -> None:
        _expect_gymnasium()
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise bad_argument("render_mode", render_mode, "None or 'rgb_array'")
        check_pixels(pixels)
        _mind_the_fork()
        self._draw: Callable[[torch.Generator], Levels] | None = None
        if isinstance(levels, str):
            make = FAMILIES[choose("levels", levels, FAMILIES)]
            for option in options:
                choose("option", option, list(inspect.signature(make).parameters)[2:])
            self._draw = partial(make, 1, **options)
            levels = self._draw(torch.Generator().manual_seed(0))  # options that cannot be are refused here
        elif options:
            raise bad_argument("option", next(iter(options)), "no options beside a bank of levels")
        self._env = MiniGrid(levels.to("cpu"), max_steps)
        self._state: MiniGridState | None = None
        self._over = True
        self.render_mode, self.pixels = render_mode, pixels
        self.action_space = spaces.Discrete(self._env.actions)
        self.observation_space = spaces.Box(0, 9, (self._env.observations,), np.float32)

    def _seen(self, state: MiniGridState) -> np.ndarray:
        """Return the observation."""
        return self._env.observe(state).numpy()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin an episode; return the observation [147] and an empty dictionary.

        The same ``seed`` gives the same levels from here on. There are no ``options``.
        """
        super().reset(seed=seed)
        if options:
            raise bad_argument("options", options, "none")
        _mind_the_fork()
        generator = torch.Generator().manual_seed(int(self.np_random.integers(2**63)))
        if self._draw is not None:
            self._env = MiniGrid(self._draw(generator), self._env.max_steps)
        self._state, self._over = self._env.start(torch.rand(1, generator=generator)), False
        return self._seen(self._state), {}

    def step(self, action: int | np.integer) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Do an action; return observation, reward, whether the episode terminated and was truncated, and {}.

        It terminates at a goal, with the target in the hand, or in lava; it is truncated at the limit of steps. Both
        can happen in one step. Then no step may follow before ``reset``.
        """
        if self._state is None or self._over:
            raise bad_argument("action", action, "a call of reset first: no episode is running")
        if not self.action_space.contains(action):
            raise bad_argument("action", action, f"a whole number from 0 to {self._env.actions - 1}")
        _mind_the_fork()
        self._state, reward, terminated, truncated = self._env.advance(self._state, torch.tensor(int(action)))
        self._over = bool(terminated | truncated)
        return self._seen(self._state), float(reward), bool(terminated), bool(truncated), {}

    def render(self) -> np.ndarray | None:
        """Return a picture of the whole level, uint8 [H, W, 3] in pixels; None without a ``render_mode``."""
        if self.render_mode is None:
            return None
        if self._state is None:
            raise TutorlibError("render shows an episode, and none has begun: call reset first")
        _mind_the_fork()
        state, (height, width) = self._state, self._env.packed.shape[1:]
        x, y = (part.numpy() for part in view_cells(state.position, state.direction))
        lit = (self._env.image(state)[..., 0] != UNSEEN).numpy()
        inside = lit & (x >= 0) & (x < width) & (y >= 0) & (y < height)
        seen = np.zeros((height, width), dtype=bool)
        seen[y[inside], x[inside]] = True
        at_x, at_y = state.position.tolist()
        return picture(state.grid.numpy(), seen, (at_x, at_y), int(state.direction), self.pixels)

    def close(self) -> None:
        """Forget the episode."""
        self._state, self._over = None, True


def register() -> tuple[str, ...]:
    """Make the environments in ``KNOWN`` known to ``gymnasium.make``, and return their names; twice does no harm.

    The names end like the package's (``minigrid_rooms.TASKS``).
    """
    _expect_gymnasium()
    for name, options in KNOWN.items():
        if name not in gymnasium.registry:
            gymnasium.register(id=name, entry_point=f"{__name__}:{SingleMiniGrid.__name__}", kwargs=dict(options))
    return tuple(KNOWN)


__all__ = ["KNOWN", "SingleMiniGrid", "register"]
