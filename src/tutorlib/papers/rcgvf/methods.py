"""The methods, as one table: RC-GVF (2211.10282), RND, NovelD, AGAC, and PPO, on which all of them stand.

A method is PPO plus a bonus: what it pays, and what learns beside the actor-critic. The agents (``algorithm`` on the
lock, ``recurrent`` in MiniGrid) ask the table, and know no method by name. A further one is a further entry.
"""

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

from tutorlib.papers.rcgvf import bonus, recurrent_data
from tutorlib.papers.rcgvf import memory as nets
from tutorlib.papers.rcgvf import recurrent_bonuses as bonuses
from tutorlib.papers.rcgvf.baselines import noveld_curiosity, rnd_curiosity
from tutorlib.papers.rcgvf.memory import MEMORY, Network
from tutorlib.papers.rcgvf.recurrent_config import Config
from tutorlib.shapes import Tensor


def _none(c: Config) -> int:
    return 0


class Method(NamedTuple):
    """What makes a method. Functions of ``c`` take a configuration of the recurrent agent."""

    settings: Mapping[str, Any]
    """in what the released code's settings in MiniGrid differ from the defaults of ``recurrent_config.Config``"""
    judge: Callable[..., recurrent_data.Curiosity]
    """(c, h, state, past) -> what the recurrent agent is paid for a rollout"""
    lock_settings: Mapping[str, Any] | None = None
    """in what those on the lock differ from the defaults of ``config.Config``; None: it does not run there"""
    curiosity: Callable[..., bonus.Curiosity] | None = None
    """(h, z, v, ended, bonus, alpha) -> targets and R^i on the lock; None: nothing predicts Z"""
    network: Callable[[Config], Network] | None = None
    """c -> what learns beside the recurrent actor-critic; None: nothing"""
    objective: Callable[..., Tensor] | None = None
    """(c, phi, b) -> its loss"""
    memory: Callable[[Config], int] = _none
    """c -> entries of its memory, 0 if it has none"""
    states: Callable[..., tuple[Tensor, Tensor]] | None = None
    """(c, phi, b) -> what it remembers in segments; None: nothing"""
    last_pseudo_rewards: Callable[..., Tensor] | None = None
    """(c, state, past) -> what it reads of a rollout's pseudo-rewards in the next one; None: nothing"""


_SMALL_PREDICTOR = {"beta": 0.5, "predictor_lr": 0.25, "hidden": 128, "layers": 1}
"""RND's on the lock; the released code has no NovelD there, and RND's settings stand for it"""

TABLE: Mapping[str, Method] = MappingProxyType(
    {
        "rcgvf": Method(
            lock_settings={},
            settings={},
            curiosity=bonus.rcgvf_curiosity,
            judge=bonuses.judge_rcgvf,
            network=lambda c: c.predictor.network,
            objective=bonuses.rcgvf_objective,
            memory=lambda c: c.predictor.memory,
            states=bonuses.rcgvf_states,
            last_pseudo_rewards=bonuses.last_pseudo_rewards,
        ),
        "rnd": Method(
            lock_settings=_SMALL_PREDICTOR,
            settings={"beta": 5e-4},
            curiosity=rnd_curiosity,
            judge=partial(bonuses.judge_by_novelty, rnd_curiosity),
            network=lambda c: c.z,
            objective=bonuses.novelty_objective,
        ),
        "noveld": Method(
            lock_settings=_SMALL_PREDICTOR,
            settings={"beta": 0.01, "counts": True},
            curiosity=noveld_curiosity,
            judge=partial(bonuses.judge_by_novelty, noveld_curiosity),
            network=lambda c: c.z,
            objective=bonuses.novelty_objective,
        ),
        "agac": Method(
            settings={
                "adversary": 5e-5, "beta_counts": 1e-3, "counts": True, "predictor_lr": 0.25, "ent_coef": 1e-4,
            },
            judge=bonuses.judge_agac,
            network=lambda c: nets.adversary(c.channels),
            objective=bonuses.agac_objective,
            memory=lambda c: MEMORY,
            states=bonuses.agac_states,
        ),
        "ppo": Method(
            lock_settings={},
            settings={"beta_counts": 0.1, "counts": True, "updates": 43_950, "anneal": 9e7},
            judge=bonuses.judge_ppo,
        ),
    }
)  # fmt: skip
"""method -> what makes it"""

__all__ = ["TABLE", "Method"]
