"""What is known of the papers' settings, typed from their texts and codes, and not from ours.

A row says for a field of the configurations of a paper tier which value all of them have, or, as a set, which values
there are; and where that is known from. Of what is ``unknown`` no value is stated: ours is a choice. ``recalled`` is
what readers of a paper remember and nobody has checked again; ``replication``, what a public replication took;
``ours``, a field of this library that the paper has no choice in.
"""

from typing import Any, NamedTuple

SOURCES = ("paper", "code", "recalled", "replication", "unknown", "ours")


class Row(NamedTuple):
    """What is known of one field."""

    source: str
    value: Any = None
    note: str = ""


def unknown(*names: str) -> dict[str, Row]:
    return dict.fromkeys(names, Row("unknown"))


def ours(*names: str) -> dict[str, Row]:
    return dict.fromkeys(names, Row("ours"))


NOT_IN_THE_PAPER = {
    "gpicl.learning": "the live runs of a notebook",
    "gpicl.games": "an explorer's games in the plane",
    "vsml.special": "identities, at no paper's size",
    "vsml.longer": "the reduced matrix's Meta RNN once more; the paper's is in vsml.matrix",
    "rcgvf.aliasing": "a thought experiment of two corridors",
    "rcgvf.tdlambda": "a chain of known values",
    "mbrl.dreams": "an explorer's dreams",
    "metagenrl.left-out": "four environments of ours; the paper's table has the objective of metagenrl.train",
    "metagenrl.evolved": "EPG's settings in the paper are unknown but for a few",
    "metagenrl.ppo": "the paper's was a public code's in MuJoCo",
    "metagenrl.inputs": "an ablation in our environments",
    "metagenrl.inner": "an ablation in our environments",
    "metagenrl.population": "an ablation in our environments",
    "gogepo.worlds": "small worlds of ours",
    "gogepo.modes": "a claim of the introduction, in a small world of ours",
    "gogepo.single": "a baseline that the paper does not have; its rate is tuned first",
    "gogepo.ars": "a baseline whose settings in the paper are unknown; its rates are tuned first",
    "gogepo.dial": "an explorer's generator",
    "symla.exchanged": "new seeds of our own study; the paper's bandits are in symla.biased",
    "symla.player": "an explorer's opponent",
    "symla.rl2": "a baseline that the paper does not have",
}
"""Experiments without a paper tier, and why."""

GPICL = {
    "dataset": Row("paper", {"mnist"}),
    "classes": Row("paper", 10),
    "inputs": Row("recalled", 3072, "32 x 32 x 3 for all sets"),
    "rank": Row("ours", 784, "coordinates in which MNIST loses nothing"),
    "pixels": Row("recalled", 32),
    "projection": Row("paper", "gaussian", "of variance 1 / N_x"),
    "permuted": Row("paper", True),
    "length": Row("paper", 100),
    "tasks": Row("recalled", 2**25),
    "bias": Row("replication", 0.9),
    "architecture": Row("paper", "transformer"),
    "width": Row("replication", 256),
    "layers": Row("replication", 4),
    "heads": Row("replication", 8),
    "head_dim": Row("replication", 32),
    "positions": Row("recalled", "learned"),
    "steps": Row("recalled", 100_000, "of the LSTM of Table 1; the others' are unknown"),
    "optimizer": Row("recalled", "adam"),
    "lr": Row("replication", 2e-4),
    "eps": Row("replication", 1e-10),
    "max_grad_norm": Row("replication", 2.0),
    **unknown("position_std", "batch", "beta1", "beta2", "warmup"),
    **ours("num_evals"),
    "seeds": Row("ours", 5, "the paper's: one run in a cell of a map, three in the table"),
}
LINES = {"seeds": Row("recalled", 8)}
STREAMS = {
    "streams.kinds": Row("code", {("mnist",)}),
    "streams.inputs": Row("code", 784),
    "streams.classes": Row("code", 10),
    "streams.length": Row("code", 500),
    "streams.side": Row("code", 28),
    "streams.part": Row("code", "official-train"),
    "streams.projection": Row("code", "bank"),
    "streams.shuffled": Row("code", "none"),
    "streams.permuted": Row("code", False),
    "streams.shown": Row("code", 0),
    "streams.subset": Row("code", ()),
    "streams.scaling": Row("code", "unfiltered"),
}
VSML = STREAMS | {
    "learner": Row("code", "vsml"),
    "hidden": Row("code", ()),
    "convolutions": Row("code", 0),
    "size": Row("code", 16),
    "message": Row("code", 8),
    "micro_ticks": Row("code", 2),
    "forget_bias": Row("code", 5.0),
    "input_bias": Row("code", -5.0),
    "reduce": Row("code", "mean"),
    "layer_norm": Row("code", False),
    "layerwise": Row("code", False),
    "backward_pass": Row("code", False),
    "separate_backward": Row("code", False),
    "feed_label": Row("code", False),
    "batch": Row("code", 1),
    "state_noise": Row("code", True),
    "estimator": Row("code", "es"),
    "loss_type": Row("code", "mean"),
    "sequences": Row("code", 1024),
    "sigma": Row("code", 0.05),
    "steps": Row("code", 10_000, "10,001 in the code, the first of which is number 0"),
    "lr": Row("code", 0.025),
    **ours("channels", "max_grad_norm", "chunk", "num_evals"),
    "seeds": Row("ours", 5, "unknown in the paper"),
}
LOCK = {
    "horizon": Row("paper", 100),
    "actions": Row("code", 10),
    "noise": Row("code", 0.1),
    "prize": Row("code", 10.0),
    "num_envs": Row("code", 16),
    "num_steps": Row("code", 100),
    "updates": Row("code", 12_500, "2e7 frames"),
    "minibatch_size": Row("code", 200),
    "update_epochs": Row("code", 5),
    "lr": Row("code", 5e-4),
    "anneal": Row("code", 1e8),
    "ent_coef": Row("code", 0.01),
    "max_grad_norm": Row("code", 2.5),
    "d": Row("code", 128),
    "hidden_z": Row("code", 128),
    "width": Row("code", 256),
    "shared": Row("code", True),
    "gamma_z": Row("code", 0.6),
    "lambda_z": Row("code", 0.9),
    "heads": Row("code", 2),
    "gamma": Row("code", 0.99),
    "gae_lambda": Row("code", 0.95),
    "clip_coef": Row("code", 0.2),
    "vf_coef": Row("code", 0.5),
    "alpha": Row("code", 0.5, "of NovelD in MiniGrid"),
    "evaluation": Row("code", "greedy"),
    "bonus": Row("code", "product"),
    "method": Row("code", "rcgvf"),
    "beta": Row("code", 20.0),
    "predictor_lr": Row("code", 0.5),
    "hidden": Row("code", 256),
    "layers": Row("code", 2),
    **ours("num_evals", "passes"),
    "seeds": Row("recalled", 10),
}
MINIGRID = {
    "task": Row("code", "KeyCorridorS4R3"),
    "num_envs": Row("code", 16),
    "num_steps": Row("code", 128),
    "updates": Row("code", 14_650, "3e7 frames"),
    "anneal": Row("code", 3e7),
    "minibatch_size": Row("code", 256),
    "update_epochs": Row("code", 4),
    "bptt": Row("code", 4),
    "lr": Row("code", 2e-4),
    "predictor_lr": Row("code", {0.75, 0.25}),
    "beta": Row("code", {0.1, 5e-4, 0.01}),
    "beta_counts": Row("code", {0.0, 1e-3, 0.1}),
    "adversary": Row("code", {0.0, 5e-5}),
    "ent_coef": Row("code", {1e-5, 1e-4}),
    "max_grad_norm": Row("code", 0.5),
    "d": Row("code", 128),
    "gamma_z": Row("code", 0.6),
    "lambda_z": Row("code", 0.9),
    "heads": Row("code", 2),
    "alpha": Row("code", 0.5),
    "gamma": Row("code", 0.99),
    "gae_lambda": Row("code", 0.95),
    "clip_coef": Row("code", 0.2),
    "vf_coef": Row("code", 0.5),
    "method": Row("paper", {"ppo", "rnd", "noveld", "agac", "rcgvf"}),
    "counts": Row("paper", False),
    "panorama": Row("paper", False),
    **ours("num_evals", "passes", "levels", "renew", "width"),
    "seeds": Row("ours", 10, "unknown in the paper"),
}
MBRL = {
    "agent": Row("paper", {"er", "simple", "gaussian", "categorical", "perfect"}),
    "batch": Row("code", 32),
    "length": Row("code", 10),
    "starts": Row("code", 0),
    "lr": Row("code", {
        2e-4, 2.5e-5, 5e-5, 1e-4, 4e-4, 3.125e-6, 8e-4, 1.6e-3, 1.25e-5,
    }, "each pair in the table of mbrl.online"),
    "model_lr": Row("code", 2e-4),
    "temperature": Row("code", {0.8, 0.4, 1.6, 0.2, 0.0125, 0.1, 0.05, 12.8}),
    "gamma": Row("code", 0.9),
    "hidden": Row("code", 200),
    "model_hidden": Row("code", 0),
    "layers": Row("code", 3),
    "environment": Row("paper", {"maze", "buttons", "flute"}),
    "size": Row("code", {4, 10, 5}, "ProcMaze; the figure's other two are unknown, these the code's defaults"),
    "buttons": Row("code", 3),
    "steps": Row("code", {1_000_000, 100_000}),
    "learning_starts": Row("code", 1000),
    "updates": Row("code", {1, 10}),
    "target_period": Row("code", {100, 10}),
    "capacity": Row("code", 100_000),
    "activation": Row("code", "elu"),
    "beta1": Row("code", 0.9),
    "beta2": Row("code", 0.99),
    "epsilon": Row("code", 1e-5),
    "decay": Row("code", 1e-6),
    "eval_every": Row("code", {500, 50}),
    "eval_episodes": Row("code", 32),
    "eval_length": Row("code", 100),
    "official_bernoulli_logit": Row("code", False, "mended; mbrl.bugs has the code's"),
    "official_stale_observation": Row("code", False, "mended; mbrl.bugs has the code's"),
    "seeds": Row("code", 30),
}  # fmt: skip
GOGEPO = {
    "environment": Row("paper", "mountaincar"),
    "steps": Row("code", 100_000),
    "episodes": Row("ours", 1000, "more than there are"),
    "horizon": Row("recalled", 999),
    "width": Row("code", 256),
    "layers": Row("code", 2),
    "block": Row("code", 16),
    "embedding": Row("code", 8),
    "net_width": Row("code", 256),
    "states": Row("code", 200),
    "sigma": Row("code", 0.1),
    "first_command": Row("code", 1.0),
    "command": Row("code", {"best", "first"}, "first: ours, of the line that learns nothing"),
    "drive": Row("code", 20.0),
    "batch": Row("code", 16),
    "recency": Row("code", 1.1),
    "evaluator_steps": Row("code", {4, 0}, "0: ours, of the line that learns nothing"),
    "generator_steps": Row("code", {19, 0}, "0: ours, of the line that learns nothing"),
    "evaluator_lr": Row("code", 5e-3),
    "generator_lr": Row("code", 2e-6),
    "eval_episodes": Row("code", 10),
    "sweep_every": Row("ours", 10, "episodes; the code's: 10,000 steps"),
    "sweep_commands": Row("code", 21),
    "sweep_episodes": Row("ours", 10, "the code's: 1"),
    "policies": Row("code", 1),
    "normalised": Row("code", False),
    "seeds": Row("recalled", 20),
}
METAGENRL = {
    "environments": Row("ours", {("point", "pend")}, "the paper's: HalfCheetah, Hopper and LunarLander, two at a time"),
    "agents": Row("code", 20),
    "steps": Row("code", 700_000),
    "test_environments": Row("ours", {("cartup", "reach")}, "the paper's: the one of three that is left"),
    "test_agents": Row("ours", 4, "the paper's: 2 meta-test seeds of each meta-training, as recalled"),
    "test_steps": Row("recalled", 700_000),
    "snapshots": Row("paper", 5),
    "hidden": Row("code", 350),
    "limit": Row("code", 1.0),
    "capacity": Row("code", 1_000_000),
    "batch": Row("code", 100),
    "window": Row("code", 20),
    "gamma": Row("code", 0.99),
    "gae_lambda": Row("code", 0.97),
    "critic_lr": Row("code", 1e-3),
    "policy_lr": Row("code", 1e-3),
    "gae_lr": Row("code", 1e-3),
    "ddpg_lr": Row("code", 1e-3),
    "max_grad_norm": Row("code", 1.0),
    "polyak": Row("code", 0.995),
    "delay": Row("code", 2),
    "target_noise": Row("code", 0.2),
    "noise_clip": Row("code", 0.5),
    "exploration": Row("code", 0.1),
    "random_steps": Row("code", 10_000),
    "anneal": Row("code", 10_000),
    "meta_lr": Row("code", 1e-3),
    "inner_lr": Row("code", 1e-3),
    "inner_steps": Row("code", 1),
    "kind": Row("code", "full"),
    "objective_hidden": Row("code", 32),
    "action_layers": Row("code", 3),
    "other_layers": Row("code", 2),
    "summary": Row("code", 8),
    "memory": Row("code", 32),
    "head_layers": Row("code", 2),
    "inputs": Row("code", {("reward", "time", "following", "value")}),
    "initial": Row("code", "glorot"),
    "seeds": Row("recalled", 6),
    **ours(
        "num_evals",
        "scaled_advantages",
        "second_order",
        "terminal_bonus",
        "official_padding",
        "official_moments",
        "time_limit_ends",
        "copies",
        "hold",
        "meta_starts",
        "inner_scale",
        "scaled_gain",
        "average",
        "reset_every",
        "reset",
        "penalty",
        "last_scale",
        "norm_epsilon",
    ),
}
OFFLINE = {
    "agent": Row("paper", {"er", "simple", "gaussian", "categorical", "perfect"}),
    **unknown("pipes", "transitions", "updates", "target_period", "lr", "model_lr", "temperature", "hidden", "layers"),
    "batch": Row("code", 32),
    "length": Row("code", 10),
    "starts": Row("code", 0),
    "gamma": Row("code", 0.9),
    "model_hidden": Row("code", 0),
    "official_bernoulli_logit": Row("code", False),
    **ours("num_evals"),
    "seeds": Row("code", 30),
}
SYMLA = {
    "agent": Row("paper", {"symla", "meta-rnn"}),
    "environment": Row("paper", "bandit"),
    "family": Row("recalled", {"independent", "dependent", "easy", "medium", "hard"}),
    "sizes": Row("recalled", "2"),
    "length": Row("recalled", 100),
    "self_messages": Row("paper", True),
    "permuted": Row("paper", "none"),
    **unknown(
        "pairs", "lifetimes", "sigma", "lr", "generations", "hidden", "message", "initial", "bias"
    ),
    **ours("num_evals"),
    "seeds": Row("ours", 5, "the bandits' are 3, as recalled"),
}  # fmt: skip

FIVE = ("mnist", "fashion-mnist", "random-fixed", "emnist", "kmnist")
TABLES: dict[str, dict[str, Row]] = {
    "gpicl.phases": GPICL | {
        "tasks": Row("paper", {2**i for i in range(26)}),
        "width": Row("paper", {2**i for i in range(1, 10)}),
        "bias": Row("unknown"),
        "steps": Row("unknown"),
    },
    "gpicl.transition": GPICL | LINES | {
        "tasks": Row("paper", {2**i for i in range(26)}), "bias": Row("unknown"), "steps": Row("unknown"),
    },
    "gpicl.references": GPICL | {
        "tasks": Row("unknown"), "bias": Row("unknown"), "seeds": Row("ours", 10),
    },
    "gpicl.single": GPICL | {
        "architecture": Row("paper", "mlp"),
        "tasks": Row("paper", {2**i for i in range(26)}),
        "width": Row("paper", {2**i for i in range(1, 11)}),
        "layers": Row("recalled", 2),
        "length": Row("ours", 2, "one datapoint; a sequence has two at least, and the MLP sees each alone"),
        "bias": Row("unknown"),
        "steps": Row("unknown"),
    },
    "gpicl.state": GPICL | {
        "architecture": Row("paper", {"transformer", "lstm", "outer-product"}),
        "width": Row("unknown"), "head_dim": Row("unknown"),
    },
    "gpicl.plateau": GPICL | LINES | {
        "steps": Row("recalled", 50_000),
        "tasks": Row("replication", {2**14, 2**17, 2**20}, "2^17; the others are ours"),
        "optimizer": Row("recalled", {"adam", "sign"}),
        "eps": Row("unknown"),
        "bias": Row("unknown"),
    },
    "gpicl.length": GPICL | LINES | {"length": Row("unknown")},
    "gpicl.variants": GPICL | {
        "layers": Row("ours"), "positions": Row("ours"), "projection": Row("ours"),
    },
    "gpicl.table": GPICL | {
        "dataset": Row("paper", {"mnist", "fashion-mnist"}),
        "architecture": Row("paper", {"transformer", "lstm"}),
    },
    "gpicl.table-references": GPICL,
    "gpicl.features": GPICL | {
        "dataset": Row("unknown", note="MNIST behind a ResNet of ImageNet, which one is unknown; ours stands for it"),
        "inputs": Row("unknown"), "rank": Row("unknown"),
    },
    "vsml.learn": VSML | {
        "estimator": Row("code", {"es", "bptt"}),
        "sequences": Row("code", {1024, 128}),
        "lr": Row("code", {0.025, 1e-3}),
        "layer_norm": Row("code", {False, True}),
        "streams.kinds": Row("code", {("mnist",), ("omniglot",)}),
        "streams.classes": Row("code", {10, 5}),
        "streams.length": Row("code", {500, 6}),
        "streams.projection": Row("code", {"bank", "none"}),
        "backward_pass": Row("code", {False, True}),
        "feed_label": Row("code", {False, True}),
        "loss_type": Row("code", {"mean", "last"}),
        "steps": Row("code", {10_000, 100_000}),
        "max_grad_norm": Row("code", {25.0, 5.0}, "an evolution strategy uses none"),
    },
    "vsml.references": VSML | {"seeds": Row("ours", 10)},
    "vsml.plateau": VSML | {
        "estimator": Row("code", "bptt"), "sequences": Row("code", 128), "layer_norm": Row("code", True),
        "max_grad_norm": Row("code", 25.0), "lr": Row("ours"), "steps": Row("ours"), "forget_bias": Row("ours"),
        "input_bias": Row("ours"),
    },
    "vsml.matrix": VSML | {
        "learner": Row("code", {"vsml", "meta-rnn", "hebbian", "oja", "fast-weight-memory", "delta-rule"},
                       "the delta rule is ours"),
        "streams.kinds": Row("code", {
            *((kind,) for kind in FIVE), FIVE, *(tuple(k for k in FIVE if k != out) for out in FIVE),
        }),
        "streams.classes": Row("code", {10, 62}),
        "streams.shown": Row("code", {0, 10}),
    },
    "vsml.cloning": {
        "kinds": Row("paper", {("mnist-official", "fashion-mnist-official")}),
        "side": Row("paper", 28),
        "width": Row("recalled", 32),
        **unknown(
            "hidden", "micro_ticks", "eta", "steps", "batch", "lr", "warmup", "max_grad_norm", "fresh", "streams",
            "length",
        ),
        **ours("num_evals"),
        "seeds": Row("recalled", 6),
    },
    "rcgvf.lock": LOCK | {
        "method": Row("code", {"ppo", "rnd", "noveld", "rcgvf"}, "NovelD is ours"),
        "beta": Row("code", {20.0, 0.5}),
        "predictor_lr": Row("code", {0.5, 0.25}),
        "hidden": Row("code", {256, 128}),
        "layers": Row("code", {2, 1}),
    },
    "rcgvf.ablations": LOCK | {
        "gamma_z": Row("unknown"), "bonus": Row("unknown"), "beta": Row("unknown"),
    },
    "rcgvf.passes": LOCK | {"passes": Row("code", {"whole", "released"})},
    "rcgvf.dissipation": {f"learner.{name}": row for name, row in LOCK.items() if name != "seeds"} | {
        "learner.method": Row("code", {"rcgvf", "rnd"}), "learner.beta": Row("code", {20.0, 0.5}),
        "learner.predictor_lr": Row("code", {0.5, 0.25}), "learner.hidden": Row("code", {256, 128}),
        "learner.layers": Row("code", {2, 1}), "learner.gamma_z": Row("ours"), "learner.updates": Row("ours"),
        **ours("right", "scale"), "seeds": Row("ours", 10),
    },
    "rcgvf.minigrid": MINIGRID,
    "rcgvf.privileged": MINIGRID | {
        "task": Row("code", {"KeyCorridorS4R3", "ObstructedMaze-2Dlhb"}),
        "updates": Row("code", {14_650, 43_950}, "3e7 and 9e7 frames"),
        "anneal": Row("code", {3e7, 9e7}),
        "method": Row("paper", {"ppo", "noveld", "agac", "rcgvf"}),
        "beta": Row("code", {0.1, 0.01}),
        "counts": Row("paper", {True, False}),
        "panorama": Row("paper", {True, False}),
    },
    "rcgvf.rooms": MINIGRID | {
        "task": Row("recalled", {"MultiRoom-N7-S8", "MultiRoom-N10-S10"}),
        "updates": Row("unknown"), "anneal": Row("unknown"),
    },
    "mbrl.sets": ours("bits", "more", "models", "transitions", "gamma") | {"seeds": Row("ours", 5)},
    "mbrl.offline": OFFLINE,
    "mbrl.ablations": OFFLINE | {
        "agent": Row("ours"), "length": Row("ours"), "starts": Row("ours"), "model_hidden": Row("ours"),
        "official_bernoulli_logit": Row("code", {False, True}),
    },
    "mbrl.ensemble": {
        **unknown(
            "agent", "pipes", "pairs", "members", "tolerance", "updates", "target_period", "lr", "model_lr", "hidden",
            "layers",
        ),
        "gamma": Row("code", 0.9),
        **ours("num_evals"),
        "seeds": Row("ours", 30),
    },
    "gogepo.mountaincar": GOGEPO,
    "metagenrl.train": METAGENRL,
    "gogepo.pendulum": GOGEPO | {
        "environment": Row("paper", "inverted-pendulum"),
        "episodes": Row("ours", 2000, "then a run ends, too, for the updates after each take a second"),
        "horizon": Row("recalled", 1000),
        "sweep_every": Row("ours", 100, "episodes; the code's: 10,000 steps"),
        "sweep_episodes": Row("code", 1),
        "seeds": Row("ours", 10, "recalled: 20"),
    },
    "mbrl.online": MBRL,
    "mbrl.bugs": MBRL | {
        "agent": Row("paper", {"er", "simple", "gaussian", "categorical"}),
        "official_bernoulli_logit": Row("code", {False, True}),
        "official_stale_observation": Row("code", {False, True}),
        "lr": Row("code", {2e-4, 2.5e-5, 5e-5, 1e-4, 3.125e-6}),
        "temperature": Row("code", {0.8, 0.4, 1.6, 0.2, 0.1, 12.8}),
    },
    "symla.bandits": SYMLA,
    "symla.biased": SYMLA | {"family": Row("unknown")},
    "symla.contextual": SYMLA | {
        "environment": Row("ours"), "sizes": Row("ours"), "length": Row("ours"), "family": Row("ours"),
    },
    "symla.cartpole": SYMLA | {
        "environment": Row("paper", {"cartpole", "acrobot", "mountaincar"}),
        "length": Row("unknown"), "sizes": Row("ours"), "family": Row("ours"), "permuted": Row("unknown"),
    },
    "symla.grid": SYMLA | {
        "environment": Row("paper", "heart-grid"), "length": Row("unknown"), "sizes": Row("unknown"),
        "family": Row("ours"), "permuted": Row("unknown"),
    },
    "symla.references": SYMLA | {
        "agent": Row("ours"), "environment": Row("paper", {"bandit", "cartpole", "heart-grid"}),
        "length": Row("unknown"), "sizes": Row("ours"), "family": Row("ours"), "seeds": Row("ours", 10),
    },
}  # fmt: skip
"""By experiment."""

TABLE_1 = {"mnist", "fashion-mnist", "kmnist", "cifar10", "svhn", "random"}
FIGURES_6_AND_7 = {
    name + also for name in ("mnist", "fashion-mnist")
    for also in ("", "-5", "-21x21", "-48x48", "-projected", "-shuffled")
}  # fmt: skip
TESTS: dict[str, tuple[str, set[str]]] = {
    "gpicl.phases": ("paper", {"seen", "unseen", "fashion-mnist"}),
    "gpicl.table": ("paper", TABLE_1),
    "gpicl.features": ("paper", {"cifar10-official-features"}),
    "vsml.learn": ("code", FIGURES_6_AND_7),
    "vsml.matrix": ("code", {*FIVE, "sum-sign"}),
    "vsml.cloning": ("paper", {"mnist", "fashion-mnist"}),
    "symla.bandits": ("recalled", {"independent", "dependent", "easy", "medium", "hard", "arms 5"}),
    "symla.cartpole": ("paper", {"standard", "both"}),
    "symla.grid": ("paper", {"standard", "swapped", "cartpole"}),
}
"""Meta-tests, by experiment: what a run of its first configuration reports on, and where that is known from. A learner
of one size has fewer."""
PAIRS = {
    ("simple", "maze"): ((2e-4, 0.8), (2.5e-5, 0.4)),
    ("simple", "buttons"): ((2e-4, 1.6), (5e-5, 0.4)),
    ("simple", "flute"): ((1e-4, 0.4), (2e-4, 0.2)),
    ("perfect", "maze"): ((1e-4, 0.4), (4e-4, 0.4)),
    ("perfect", "buttons"): ((2e-4, 0.0125), (2e-4, 0.0125)),
    ("perfect", "flute"): ((2e-4, 0.1), (1e-4, 0.1)),
    ("er", "maze"): ((5e-5, 0.1), (2.5e-5, 1.6)),
    ("er", "buttons"): ((5e-5, 0.0125), (2.5e-5, 0.1)),
    ("er", "flute"): ((1e-4, 0.1), (3.125e-6, 0.8)),
    ("categorical", "maze"): ((2e-4, 1.6), (1e-4, 0.8)),
    ("categorical", "buttons"): ((1e-4, 0.05), (2e-4, 0.1)),
    ("categorical", "flute"): ((8e-4, 0.05), (1.6e-3, 0.05)),
    ("gaussian", "maze"): ((3.125e-6, 12.8), (3.125e-6, 0.8)),
    ("gaussian", "buttons"): ((1.25e-5, 0.1), (2.5e-5, 0.8)),
    ("gaussian", "flute"): ((2e-4, 0.1), (2e-4, 0.1)),
}
"""mbrl.online: rate and temperature of each agent and world, with much data and with little [code]"""
TOGETHER = {
    "gogepo.mountaincar": (
        ("command", "evaluator_steps", "generator_steps"),
        {("best", 4, 19), ("first", 0, 0)},
    ),
    "gogepo.pendulum": (
        ("command", "evaluator_steps", "generator_steps"),
        {("best", 4, 19), ("first", 0, 0)},
    ),
    "rcgvf.lock": (
        ("method", "beta", "predictor_lr", "hidden", "layers"),
        {("rcgvf", 20.0, 0.5, 256, 2), ("rnd", 0.5, 0.25, 128, 1), ("noveld", 0.5, 0.25, 128, 1)},
    ),
    "vsml.learn": (
        (
            "streams.kinds",
            "streams.classes",
            "streams.length",
            "estimator",
            "sequences",
            "steps",
            "lr",
            "max_grad_norm",
            "layer_norm",
            "loss_type",
            "backward_pass",
            "feed_label",
        ),
        {
            (("mnist",), 10, 500, "es", 1024, 10_000, 0.025, 5.0, False, "mean", False, False),
            (("mnist",), 10, 500, "bptt", 128, 10_000, 0.001, 25.0, True, "mean", False, False),
            (("omniglot",), 5, 6, "es", 1024, 100_000, 0.025, 5.0, False, "last", True, True),
        },
    ),
}
"""What belongs together, where a set for each field would let two runs exchange it [code; NovelD in the lock is ours].
PPO has no bonus, so what it would have of one is nothing."""
BY_METHOD = {
    "rcgvf": {"beta": 0.1, "predictor_lr": 0.75, "ent_coef": 1e-5},
    "rnd": {"beta": 5e-4, "predictor_lr": 0.75, "ent_coef": 1e-5},
    "noveld": {"beta": 0.01, "predictor_lr": 0.75, "ent_coef": 1e-5},
    "agac": {"adversary": 5e-5, "beta_counts": 1e-3, "predictor_lr": 0.25, "ent_coef": 1e-4},
    "ppo": {"beta_counts": 0.1, "ent_coef": 1e-5},
}
"""rcgvf in MiniGrid: what differs between methods [code]"""
