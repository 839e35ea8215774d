"""What can be set in a run on the lock (2211.10282), and what may differ between runs side by side."""

from dataclasses import KW_ONLY, dataclass, field
from typing import NamedTuple

from tutorlib.envs.lock import Lock
from tutorlib.lab.errors import bad_argument, expect_fields
from tutorlib.papers.rcgvf.model import MLP, Apart
from tutorlib.papers.rcgvf.passes import expect_passes
from tutorlib.shapes import Float, Tensor

METHODS = ("rcgvf", "rnd", "noveld", "ppo")
"""those of ``methods.TABLE`` that run on the lock"""
BONUSES = ("product", "std", "error", "variance", "norm")
EVALUATIONS = ("greedy", "sampled")


@dataclass(frozen=True, kw_only=True)
class Learning:
    """How an agent learns, on the lock as in MiniGrid."""

    method: str = field(default="rcgvf", kw_only=False)
    """rcgvf, rnd, noveld, in MiniGrid agac, or ppo, which has no bonus but counts"""
    num_envs: int = 16
    """P, environments of a seed"""
    num_steps: int
    """T, steps of an environment between two updates"""
    updates: int
    minibatch_size: int
    """frames of a minibatch, a divisor of T P"""
    update_epochs: int
    """passes over the frames of an update"""
    lr: float
    """Adam's learning rate for the actor-critic"""
    predictor_lr: float
    """that of predictors, and of AGAC's adversary, as a multiple of ``lr``"""
    anneal: float
    """frames after which both rates would have fallen to 0, linearly, a step after each update (in the released code
    after each minibatch); inf: never"""
    beta: float
    """weight of R^i; what is right depends on method and sizes, for R^i is quartic in the scale of Z"""
    gamma_z: float = 0.6
    """discount of the pseudo-rewards (RC-GVF; else unused)"""
    lambda_z: float = 0.9
    """lambda of their targets (RC-GVF; else unused)"""
    heads: int = 2
    """K, predictors (RC-GVF; else unused)"""
    alpha: float = 0.5
    """share of the present novelty that the next one must exceed (NovelD; else unused)"""
    d: int = 128
    """pseudo-rewards"""
    gamma: float = 0.99
    """discount"""
    gae_lambda: float = 0.95
    """lambda of the generalised advantage estimate"""
    clip_coef: float = 0.2
    """how far PPO's ratio and values may move and still gain"""
    ent_coef: float
    """weight of the policy's entropy"""
    vf_coef: float = 0.5
    """weight of the critic's loss"""
    max_grad_norm: float
    """largest norm of a gradient"""
    num_evals: int = 10
    """how many evaluations, evenly spaced, the last update included"""
    passes: str = "whole"
    """whole, or released: every second pass leaves out frames, and in MiniGrid has shifted segments and newer memories
    (``passes``)"""

    def __post_init__(self) -> None:
        expect_fields(
            self,
            counts=("updates", "update_epochs", "num_evals"),
            sizes=("num_envs", "num_steps", "minibatch_size", "heads", "d"),
            positive=("lr", "predictor_lr", "clip_coef", "max_grad_norm", "anneal"),
            not_negative=("beta", "alpha", "ent_coef", "vf_coef"),
            shares=("gamma_z", "lambda_z", "gamma", "gae_lambda"),
            endless=("anneal",),
        )
        if self.frames % self.minibatch_size:
            expected = f"a divisor of the {self.frames} frames of an update"
            raise bad_argument("minibatch_size", self.minibatch_size, expected)
        if self.updates % self.num_evals:
            raise bad_argument("num_evals", self.num_evals, f"a divisor of updates={self.updates}")

    @property
    def frames(self) -> int:
        """N = T P, frames of an update."""
        return self.num_steps * self.num_envs

    @property
    def disagrees(self) -> bool:
        """Whether the method has K predictors, as RC-GVF has; others have one, or none."""
        return self.method == "rcgvf"


@dataclass(frozen=True)
class Config(Learning):
    """One run on the lock. Defaults are the released code's for RC-GVF; ``settings`` has those of other methods."""

    _: KW_ONLY
    bonus: str = "product"
    """R^i of RC-GVF: product; std, the product with the root of the disagreement; error or variance; or norm, the root
    of the summed error; else unused"""
    horizon: int = 100
    """H, columns of the lock, the same one for all environments of a seed"""
    actions: int = 10
    """of the lock"""
    noise: float = 0.1
    """standard deviation of the noise of the lock's observations"""
    hidden_z: int = 128
    """units of the hidden layer of Z"""
    hidden: int = 256
    """units of the hidden layers of a predictor"""
    layers: int = 2
    """hidden layers of a predictor"""
    width: int = 256
    """units of the three hidden layers of the actor-critic"""
    prize: float = 10.0
    """what the end of the lock pays in a good row"""
    shared: bool = True
    """whether actor and critic share a trunk; else each has two hidden layers of its own"""
    evaluation: str = "greedy"
    """which actions are judged at evaluations: greedy, the most probable ones, or sampled from the policy"""

    num_steps: int = 100
    updates: int = 12_500  # 2e7 frames
    minibatch_size: int = 200
    update_epochs: int = 5
    lr: float = 5e-4
    predictor_lr: float = 0.5
    anneal: float = 1e8
    beta: float = 20.0
    ent_coef: float = 0.01
    max_grad_norm: float = 2.5

    def __post_init__(self) -> None:
        super().__post_init__()
        expect_fields(
            self,
            sizes=("horizon", "actions", "hidden_z", "hidden", "layers", "width"),
            minimum={"horizon": 2, "actions": 2},
            maximum={"layers": 1_000},
            not_negative=("noise",),
            endless=("anneal",),
            choices={"method": METHODS, "bonus": BONUSES, "evaluation": EVALUATIONS},
        )
        if self.disagrees and self.bonus in ("product", "std", "variance") and self.heads < 2:
            raise bad_argument("heads", self.heads, f"at least 2 for bonus={self.bonus!r}: one cannot disagree")
        expect_passes(self.passes, self.num_steps)

    @property
    def env(self) -> Lock:
        """The environment."""
        return Lock(self.horizon, self.actions, self.noise, self.prize)

    @property
    def ensemble(self) -> int:
        """K, 1 for methods other than RC-GVF."""
        return self.heads if self.disagrees else 1

    @property
    def actor_critic(self) -> MLP | Apart:
        """Observation to logits and value."""
        if not self.shared:
            hidden = self.env.observations, self.width, self.width
            return Apart(MLP((*hidden, self.actions)), MLP((*hidden, 1)))
        return MLP((self.env.observations, *3 * (self.width,), self.actions + 1))

    @property
    def z(self) -> MLP:
        """Z, observation to pseudo-rewards."""
        return MLP((self.env.observations, self.hidden_z, self.d))

    @property
    def predictor(self) -> MLP:
        """V^(k), observation to predictions."""
        return MLP((self.env.observations, *self.layers * (self.hidden,), self.d))


class Hyper(NamedTuple):
    """What may differ between runs side by side."""

    beta: Float[Tensor, "seeds"]
    gamma_z: Float[Tensor, "seeds"]
    lambda_z: Float[Tensor, "seeds"]


VARIES = Hyper._fields
"""fields in which runs side by side may differ, besides the seed"""
