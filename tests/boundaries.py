"""One good call of every public function and class, and what becomes of it when an argument is spoilt.

Run as a script this file tries all of it and prints one JSON line. It must be a process of its own, for the library is
to be judged as users have it, without the checks of shapes that tests switch on. ``test_boundaries`` reads the line.
"""

import dataclasses
import faulthandler
import hashlib
import importlib
import inspect
import io
import json
import math
import os
import pkgutil
import resource
import signal
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, is_typeddict

HERE = Path(__file__).parent
PACKAGES = ("rl", "nn", "envs", "data", "show", "evolution", "lab")
SECONDS = 2.0
"""of computing, or a tenth of those of waiting, after which a trial counts as hung; a good call takes milliseconds"""
MEMORY = 12 * 2**30
"""bytes of address space: what asks for more is an explosion"""

STEP = (
    "a part of one step of an environment, whose callers have checked: on tensors of other kinds torch's error is raw"
)
TICK = "a part of one tick of a grid, whose caller has checked"
INTERNAL = "a part of the page's or the sweep's machinery, called by the library alone"
EXCEPTIONS: dict[str, str] = {
    "envs.tensors.as_integer": STEP,
    "envs.tensors.as_permutation": STEP,
    "envs.tensors.one_hot": STEP,
    "envs.tensors.pick": STEP,
    "envs.tensors.reorder": STEP,
    "nn.lstm.lstm": STEP,
    "nn.normed.mixed": "a part of a network, whose caller has checked",
    "envs.grids.move": STEP,
    "envs.grids.other_cell": STEP,
    "envs.minigrid.react": STEP,
    "envs.minigrid_levels.colour_of": STEP,
    "envs.minigrid_levels.state_of": STEP,
    "envs.minigrid_levels.thing_of": STEP,
    "envs.minigrid_levels.pack": STEP,
    "envs.minigrid_levels.unpack": STEP,
    "envs.minigrid_view.forward": STEP,
    "envs.minigrid_view.look": STEP,
    "envs.minigrid_view.look_around": STEP,
    "envs.minigrid_view.view_cells": STEP,
    "envs.minigrid_view.visible": STEP,
    "envs.protocol.expect_last": "is itself a check, of a tensor that the library holds",
    "envs.minigrid_picture.check_pixels": "is itself a check",
    "envs.minigrid_levels.import_level": "takes an environment of another package; tested with that package",
    "envs.minigrid_levels.import_levels": "takes an environment of another package; tested with that package",
    "envs.gym.SingleMiniGrid": "a class of Gymnasium's interface; tested there",
    "envs.gym.register": "takes nothing",
    "envs.simulated.Simulated": "environments of another package; tested with that package",
    "data.formats.reading": "a context in which errors of files are told; tested with torn files",
    "lab.loop.repeat": "its step is given to it, and fails on a state that is not its own; tested in lab/test_loop",
    "lab.compiling.captures": INTERNAL,
    "lab.compiling.compile_step": INTERNAL,
    "lab.compiling.outputs_own": INTERNAL,
    "lab.compiling.release": INTERNAL,
    "lab.device.keep_float32": "takes nothing",
    "lab.dry.Asked": INTERNAL,
    "lab.dry.Ledger": INTERNAL,
    "lab.dry.Rehearsal": INTERNAL,
    "lab.dry.RunLedger": INTERNAL,
    "lab.dry.rehearsal": "takes nothing",
    "lab.dry.rehearse": "runs an experiment, which is given to it; tested in papers/test_contract",
    "lab.plan": "as ``lab.dry.rehearse``; tested in lab/test_dry",
    "lab.errors.bad_argument": "makes the error itself",
    "lab.errors.Rules": "says what is refused; its names are the library's own",
    "lab.errors.checked": "says what is refused; its names are the library's own",
    "lab.errors.expect_dataclass": "is itself a check",
    "lab.errors.expect_fields": "is itself the check; tested in lab/test_errors",
    "rl.replay.sample_from": "a part of one compiled step; ``sample`` is the same with checks",
    "rl.windows.windows_from": "a part of one compiled step; ``sample_windows`` is the same with checks",
    "nn.grid.incoming": TICK,
    "nn.grid.micro_tick": TICK,
    "nn.grid.send": TICK,
    "lab.checkpoint.Rows": INTERNAL,
    "lab.checkpoint.kept_trials": INTERNAL,
    "lab.renames.first_fields": INTERNAL,
    "lab.renames.todays_fields": INTERNAL,
    "lab.renames.todays_metrics": INTERNAL,
    "lab.renames.todays_path": INTERNAL,
    "lab.errors.install_line": "says how to install a named extra; its names are the library's own",
    "lab.errors.refused_by_system": "makes the error itself",
    "lab.errors.short_of_memory": INTERNAL,
    "lab.experiment.filled": INTERNAL,
    "lab.experiment.never": "takes anything",
    "lab.experiment.no_data": "takes anything",
    "lab.finite.expect_finite": "is itself a check",
    "lab.records.load_of": INTERNAL,
    "lab.records.not_finite": "is itself a check",
    "lab.progress.Silent": "takes nothing",
    "lab.progress.Bar": INTERNAL,
    "lab.progress.Lines": INTERNAL,
    "lab.kinds": "is itself the check",
    "show.explorer.classic": INTERNAL,
    "show.explorer.module_name": INTERNAL,
    "show.explorer.modules": "takes nothing",
    "show.explorer.in_live_kernel": "takes nothing",
    "show.notebook.complain": "takes nothing",
    "show.style.style": "takes nothing",
    "show.tables.Table": INTERNAL,
    "data.tabular.load_digits": "takes nothing",
    "data.download.cache_folder": "takes nothing",
}
"""Names that are not tried, and why; a module's name stands for all in it."""

RETURNED = "what the function of the data has returned and checked, and the page's script reads alike"
OPEN: dict[tuple[str, str], str] = {
    ("show.bandit.bandit_picture", "data"): RETURNED,
    ("show.dial.dial_picture", "data"): RETURNED,
    ("show.curves.curves_picture", "data"): RETURNED,
    ("show.guess.guess_picture", "data"): RETURNED,
    ("show.push.push_picture", "data"): RETURNED,
    ("show.packing.unpack", "packed"): RETURNED,
}
"""Arguments whose raw errors are left, and why."""

ALLOWED = {
    "NaN": "values of tensors are not read: a GPU would have to wait",
    "as floats": "two precisions in one call: torch's own sentence names both",
    "on another device": "a lone tensor on a device without data",
}
"""What may end in a raw error wherever it is given, and why."""

UNREAD = ("data.images.load_images", "data.formats.read_cifar10", "data.formats.read_idx", "data.formats.read_npz")
UNREAD += ("data.formats.read_emnist", "data.formats.read_omniglot", "data.formats.read_svhn")
"""Whose good calls are refused, for there is no such file here."""


def public() -> dict[str, Any]:
    """Every public function and class by module and name, but tuples of tensors, errors, protocols and dictionaries."""
    found: dict[str, Any] = {}
    seen = set()
    for package in PACKAGES:
        root = importlib.import_module(f"tutorlib.{package}")
        parts = [
            root,
            *(importlib.import_module(f"{root.__name__}.{m.name}") for m in pkgutil.iter_modules(root.__path__)),
        ]
        for module in parts:
            own = [
                n for n, o in vars(module).items() if n[0] != "_" and getattr(o, "__module__", "") == module.__name__
            ]
            for name in getattr(module, "__all__", own):
                thing = getattr(module, name)
                plain = inspect.isfunction(thing) or inspect.isclass(thing)
                if not plain or id(thing) in seen or not thing.__module__.startswith("tutorlib."):
                    continue
                seen.add(id(thing))
                if inspect.isclass(thing) and (
                    issubclass(thing, tuple | BaseException)
                    or is_typeddict(thing)
                    or getattr(thing, "_is_protocol", False)
                ):
                    continue
                found[f"{thing.__module__.removeprefix('tutorlib.')}.{name}"] = thing
    return found


def excepted(name: str) -> bool:
    return name in EXCEPTIONS or name.rpartition(".")[0] in EXCEPTIONS


def good_calls(folder: Path) -> dict[str, dict[str, Any]]:
    """The arguments of one good call of each."""
    import matplotlib as mpl
    import numpy as np
    import torch
    from matplotlib.figure import Figure

    sys.path[:0] = [str(HERE / "show"), str(HERE / "lab")]
    from bandits import fake_bandit
    from dials import fake_dial
    from fakes import fake_curves, fake_games, fake_grid
    from pushing import fake_push

    from tutorlib import envs, nn
    from tutorlib.data import ImageSet, RemoteFile
    from tutorlib.evolution import Population
    from tutorlib.lab import Claim, Experiment, Interval, Record, Terms, Tier, Trial
    from tutorlib.lab.records import save
    from tutorlib.lab.verdicts import Part
    from tutorlib.nn.grid import zero_state
    from tutorlib.rl import Experience, Steps, add_steps, empty_replay, empty_windows
    from tutorlib.show.bandit import bandit_data
    from tutorlib.show.curves import curves_data
    from tutorlib.show.dial import dial_data
    from tutorlib.show.guess import guess_data
    from tutorlib.show.packing import pack
    from tutorlib.show.push import push_data

    mpl.use("agg")

    def g() -> torch.Generator:
        return torch.Generator().manual_seed(0)

    def f(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=g()) * 0.8 + 0.1

    def i(*shape: int, high: int = 2) -> torch.Tensor:
        return torch.randint(0, high, shape, generator=g())

    rollout = {"rewards": f(5, 3), "values": f(5, 3), "last": f(3), "done": f(5, 3) > 0.5, "gamma": 0.9, "lam": 0.8}
    replay = empty_replay(4, (), 2, 8, torch.device("cpu"))
    one = Experience(f(2, 1, 4), i(2, 1), f(2, 1), f(2, 1, 4), f(2, 1) > 0.5, ())
    ring = empty_windows(3, 2, 2, 2, 6, torch.device("cpu"))
    for t in range(5):
        acted = Steps(f(2, 2, 3), f(2, 2, 2), f(2, 2), f(2, 2, 3), f(2, 2), torch.full((2, 2), t == 3))
        add_steps(ring, t, acted)
    small = nn.GridConfig(hidden=3, message=2)
    theta = nn.initial_parameters(small, g())
    state = zero_state(small, (), 2, 3, 4, theta)
    levels = envs.multi_room(2, g(), 2, 4, 15)
    bandit = envs.BernoulliBandit()
    content = b"something"
    (folder / "given").mkdir()
    (folder / "given" / "file.bin").write_bytes(content)
    os.environ |= {"TUTORLIB_DATA": str(folder / "given"), "TUTORLIB_CACHE": str(folder / "cache")}
    remote = {
        "name": "file.bin",
        "folder": "set",
        "urls": (),
        "md5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
        "accepted": (),
        "size": 9,
    }
    file = RemoteFile(**remote)
    pictures = torch.randint(0, 255, (6, 4, 4, 1), generator=g(), dtype=torch.uint8)
    images = {"name": "set", "images": pictures, "labels": i(6), "classes": 2, "class_names": ("a", "b"), "peak": 255}
    assert ImageSet(**images)
    idx = bytes([0, 0, 8, 1, 0, 0, 0, 3, 1, 2, 3])
    (folder / "some.idx").write_bytes(idx)
    torn = folder / "torn.bin"
    torn.write_bytes(content)
    interval = Interval(1.0, 0.5, 1.5, 5)
    part = Part("holds", interval, 0.2, 0.1)
    tier = Tier((bandit,), (0, 1))

    def run(trials: Any, context: Any) -> list[dict[str, Any]]:
        return [{"loss": 1.0} for _ in trials]

    experiment = {"name": "tiny.one", "title": "t", "figure": "f", "run": run, "tiers": {"live": tier}, "varies": None}
    trial = Trial(bandit, 0)
    record = Record("tiny.one", "live", {"arms": 2}, 0, {"loss": 1.0}, 0.1, {"device": "cpu"})
    record_of_bandit = Record("a.b", "live", dataclasses.asdict(bandit), 0, {"loss": 1.0}, 0.1, {"device": "cpu"})
    save(record, folder / "records" / "one.json")
    from tutorlib.lab.records import publish

    publish([record], folder / "published.json")
    ax = Figure().subplots()
    drawn = io.BytesIO()
    Figure(figsize=(1, 1)).savefig(drawn, format="png")
    line = np.arange(4.0)
    spread = {"env": bandit}
    descent = nn.Descent(2, 0.1)
    from tutorlib.lab.experiment import Context

    rows = importlib.import_module("tutorlib.envs.minigrid_view").row_table("cpu")
    assert rows.numel()
    bandits = bandit_data(**fake_bandit())
    theta4 = f(2, 6)
    moments = nn.no_moments(theta4)
    shapes = [(2, 3), (3, 1)]
    packed = pack("a", [[0.5, 1.0]], [("row", 1), ("column", 2)], 2)
    return {
        "rl.returns.advantages": rollout,
        "rl.returns.lambda_returns": rollout,
        "nn.adam.clip_by_norm": {"g": f(2, 5), "max_norm": 0.5},
        "rl.dqn.dqn_targets": {"reward": f(2, 3), "not_done": f(2, 3), "following": f(2, 3, 4), "gamma": 0.9},
        "rl.replay.empty_replay": {
            "observations": 4,
            "state": (),
            "seeds": 2,
            "capacity": 8,
            "device": torch.device("cpu"),
        },
        "rl.td3.ActorCritic": {
            "observations": 3,
            "actions": 2,
            "hidden": 4,
            "layers": 1,
            "activation": "relu",
            "normed": True,
            "epsilon": 1e-5,
            "limit": 1.0,
            "constant_mean": False,
        },
        "rl.td3.masked_mean": {"x": f(2, 3), "mask": f(2, 3)},
        "rl.td3.polyak": {"target": f(2, 3), "params": f(2, 3), "keep": 0.9},
        "rl.td3.smoothed_action": {"action": f(2, 3, 2), "noise": f(2, 3, 2), "clip": 0.5, "limit": 1.0},
        "rl.td3.td3_targets": {
            "reward": f(2, 3),
            "done": f(2, 3),
            "following": f(2, 2, 3),
            "gamma": 0.9,
            "bonus": 0.0,
        },
        "rl.td3.twin_loss": {"q": f(2, 2, 3), "target": f(2, 3), "mask": f(2, 3)},
        "rl.windows.add_steps": {"replay": ring, "number": 5, "steps": acted},
        "rl.windows.empty_windows": {
            "observations": 3,
            "actions": 2,
            "nets": 2,
            "lanes": 2,
            "capacity": 6,
            "device": torch.device("cpu"),
        },
        "rl.windows.longest_episode": {"replay": ring, "written": 5},
        "rl.windows.num_finished": {"replay": ring, "written": 5},
        "rl.windows.sample_windows": {"replay": ring, "written": 5, "length": 3, "u": f(2, 4, 2)},
        "nn.normed.NormedMLP": {
            "inputs": 3,
            "outputs": 2,
            "hidden": 4,
            "layers": 2,
            "activation": "mixed",
            "normed": True,
            "open": False,
            "epsilon": 1e-5,
            "constant_mean": False,
        },
        "rl.ppo.entropy": {"log_pi": f(2, 3, 4).log_softmax(-1)},
        "rl.ppo.policy_loss": {"ratio": f(2, 3), "advantage": f(2, 3), "clip_coef": 0.2},
        "rl.replay.num_stored": {"replay": replay, "added": 5, "minimum": 2},
        "rl.replay.sample": {"replay": replay, "added": 5, "u": f(2, 3), "minimum": 2},
        "rl.dqn.softmax_action": {"q": f(2, 3, 4), "temperature": 0.5, "u": f(2, 3)},
        "rl.replay.add": {"replay": replay, "t": 3, "b": one},
        "rl.dqn.td_loss": {"q": f(2, 3), "target": f(2, 3), "weight": f(2, 3)},
        "rl.ppo.value_loss": {"v": f(2, 3), "v_old": f(2, 3), "returns": f(2, 3), "clip_coef": 0.2},
        "nn.training.Descent": {
            "steps": 4,
            "lr": 0.1,
            "beta1": 0.9,
            "beta2": 0.999,
            "eps": 1e-8,
            "max_grad_norm": math.inf,
            "num_evals": 2,
        },
        "nn.flat.FlatModule": {"module": torch.nn.Linear(2, 3)},
        "nn.grid.GridConfig": {
            "hidden": 3,
            "message": 2,
            "aux": 0,
            "self_messages": False,
            "forget_bias": 1.0,
            "input_bias": -1.0,
            "micro_ticks": 2,
            "reduce": "mean",
            "layer_norm": False,
            "refresh": False,
        },
        "nn.adam.adam_step": {
            "theta": theta4,
            "moments": moments,
            "g": f(2, 6),
            "step": 1,
            "lr": 0.1,
            "beta1": 0.9,
            "beta2": 0.999,
            "eps": 1e-8,
        },
        "nn.adam.adam_": {
            "theta": f(2, 6),
            "moments": nn.no_moments(theta4),
            "g": f(2, 6),
            "step": 1,
            "lr": 0.1,
            "beta1": 0.9,
            "beta2": 0.999,
            "eps": 1e-8,
        },
        "nn.stacked.slope": {"loss": lambda own: own.sum(dim=-1), "theta": f(2, 6)},
        "nn.draws.gumbel": {"generator": torch.Generator()},
        "nn.draws.uniform": {"generator": torch.Generator()},
        "nn.initial.truncated_normal": {
            "shape": (2, 3),
            "sd": 0.5,
            "generator": g(),
            "device": torch.device("cpu"),
            "dtype": torch.float32,
        },
        "nn.training.descend": {
            "theta": f(1, 6),
            "estimate": lambda t, generators: (t, t.sum(dim=-1)),
            "settings": descent,
            "seeds": [0],
            "context": Context(),
            "evaluate": None,
            "title": "t",
            "lrs": None,
        },
        "nn.grid.grid_tick": {
            "p": nn.split(theta, small),
            "state": state,
            "m": f(2, 3, 2),
            "mb": f(2, 4, 2),
            "config": small,
            "r": None,
        },
        "nn.grid.initial_parameters": {"config": small, "generator": g()},
        "nn.adam.no_moments": {"theta": theta4},
        "nn.stacked.parameter_count": {"shapes": shapes},
        "nn.stacked.run_layers": {
            "layers": nn.split_layers(f(2, 13), shapes),
            "x": f(2, 5, 2),
            "activation": torch.relu,
        },
        "nn.grid.split": {"theta": theta, "config": small},
        "nn.stacked.split_layers": {"theta": f(2, 13), "shapes": shapes},
        "nn.training.eval_generator": {"seed": 0, "trained": 4, "device": torch.device("cpu"), "number": 1},
        "nn.training.step_generator": {"seed": 0, "step": 1, "device": torch.device("cpu")},
        "nn.grid.zero_state": {
            "config": small,
            "members": (2,),
            "sequences": 2,
            "rows": 3,
            "columns": 4,
            "like": theta,
        },
        "envs.classic.Acrobot": {"episode": 5},
        "envs.classic.CartPole": {"episode": 5},
        "envs.continuous.MountainCarContinuous": {"horizon": 5},
        "envs.continuous.continuous_mountaincar_dynamics": {"state": f(3, 2), "action": f(3, 1)},
        "envs.continuous.continuous_mountaincar_reaches": {"state": f(3, 2)},
        "envs.classic.MountainCar": {"episode": 5, "shaped": 0.5},
        "envs.bandits.BernoulliBandit": {"arms": 2, "family": "independent", "bias": 0.5},
        "envs.bandits.ContextualBandit": {"contexts": 2, "actions": 2, "shuffled": True},
        "envs.grids.DarkRoom": {"size": 4, "episode": 5},
        "envs.grids.HeartGrid": {"size": 4, "swapped": False, "episode": 5, "view": "planes"},
        "envs.lock.Lock": {"horizon": 5, "actions": 3, "noise": 0.1},
        "envs.minigrid.MiniGrid": {"levels": levels, "max_steps": 20},
        "envs.wrappers.Checked": spread,
        "envs.wrappers.Duplicated": {**spread, "copies": 2},
        "envs.wrappers.Padded": {**spread, "zeros": 1},
        "envs.wrappers.Permuted": {**spread, "shuffle_observations": True, "shuffle_actions": True, "at": 1},
        "envs.wrappers.Projected": spread,
        "envs.wrappers.Reordered": {**spread, "observation_order": (0,), "action_order": (1, 0)},
        "envs.wrappers.Rewarded": {**spread, "scale": 2.0, "shift": -1.0},
        "envs.wrappers.SignFlipped": spread,
        "envs.wrappers.Wrapper": spread,
        "envs.classic.acrobot_dynamics": {"state": f(3, 4), "action": i(3)},
        "envs.classic.cartpole_dynamics": {"state": f(3, 4), "action": i(3)},
        "envs.classic.mountaincar_dynamics": {"state": f(3, 2), "action": i(3)},
        "envs.classic.acrobot_derivative": {"state": f(3, 4), "torque": f(3)},
        "envs.classic.acrobot_reaches": {"state": f(3, 4)},
        "envs.classic.cartpole_fails": {"state": f(3, 4)},
        "envs.classic.mountaincar_energy": {"state": f(3, 2)},
        "envs.classic.mountaincar_reaches": {"state": f(3, 2)},
        "envs.protocol.check_action": {"env": bandit, "action": i(3)},
        "envs.protocol.check_noise": {"name": "u", "u": f(3, 2), "size": 2},
        "envs.environment": {"name": "bandit"},
        "envs.control_environment": {"name": "pend"},
        **{
            f"{cls.__module__.removeprefix('tutorlib.')}.{cls.__name__}": dataclasses.asdict(cls())
            for cls in envs.CONTROL.values()
        },
        "envs.bandits.expected_regret": {"state": bandit.start(f(3, 3)), "action": i(3)},
        "envs.minigrid_rooms.key_corridor": {"number": 1, "generator": g(), "size": 3, "rows": 2},
        "envs.minigrid_rooms.multi_room": {"number": 1, "generator": g(), "rooms": 2, "size": 4, "width": 15},
        "envs.minigrid_rooms.obstructed_maze": {"number": 1, "generator": g(), "boxes": True, "balls": True},
        "envs.lock.hadamard": {"n": 4, "dtype": torch.float32, "device": torch.device("cpu")},
        "envs.minigrid_levels.join_levels": {"parts": [levels, levels]},
        "envs.minigrid_picture.agent_shape": {"direction": 1, "pixels": 8},
        "envs.minigrid_picture.cell_picture": {"thing": 2, "colour": 1, "state": 0, "pixels": 8},
        "envs.minigrid_picture.picture": {
            "grid": levels.cells[0, :, :, :3].numpy(),
            "seen": np.ones(levels.cells.shape[1:3], dtype=bool),
            "position": (1, 1),
            "direction": 0,
            "pixels": 8,
        },
        "envs.minigrid_view.row_table": {"device": "cpu"},
        "data.images.ImageSet": images,
        "data.download.RemoteFile": remote,
        "data.tabular.TableSet": {"name": "t", "x": f(4, 2), "y": i(4), "classes": 2, "features": ("a", "b")},
        "data.download.fetch": {"file": file, "timeout": 1.0},
        "data.download.find_given": {"file": file},
        "data.images.fixed_split": {"examples": 20, "train": 15},
        "data.images.files_of": {"name": "mnist", "split": "test"},
        "data.images.have_ready": {"parts": (), "say": print},
        "data.images.load_images": {"name": "omniglot", "split": "nonsense"},
        "data.tabular.load_table": {"name": "iris"},
        "data.images.pooled": {"images": pictures, "size": 2, "peak": 255},
        "data.counter.as_integers": {"w": i(5, high=99), "high": 7},
        "data.counter.as_normal": {"w": i(3, 4, high=99)},
        "data.counter.as_permutation": {"w": i(3, 4, high=99)},
        "data.counter.as_uniform": {"w": i(3, 4, high=99)},
        "data.counter.philox": {"counter": (0, 1, 2, 3), "key": (4, 5)},
        "data.counter.words": {"key": 1, "stream": 2, "index": i(3, high=9), "n": 4},
        "data.formats.parse_idx": {"content": idx},
        "data.formats.read_cifar10": {"path": torn, "batches": ("data_batch_1",)},
        "data.formats.read_emnist": {"path": torn, "part": "train"},
        "data.formats.read_idx": {"path": folder / "some.idx"},
        "data.formats.read_npz": {"path": torn},
        "data.formats.read_omniglot": {"path": torn},
        "data.formats.read_svhn": {"path": torn},
        "show.bandit.bandit_data": fake_bandit(start={"arms": 3}),
        "show.dial.dial_data": fake_dial(start={"command": 1}),
        "show.dial.dial_picture": {"data": dial_data(**fake_dial())},
        "show.bandit.bandit_picture": {
            "data": bandits,
            "regrets": {p: [1.0] * bandits["pulls"] for p in bandits["players"]},
        },
        "show.push.push_data": fake_push(),
        "show.push.push_picture": {
            "data": push_data(**fake_push()),
            "learned": [[0.0] * 6, [0.1] * 6],
            "gae": [[0.0] * 6, [0.2] * 6],
        },
        "show.curves.curves_data": fake_curves(decimals=3, start={}),
        "show.curves.curves_picture": {"data": curves_data(**fake_curves())},
        "show.explorer.Explorer": {
            "module": "grid_explorer",
            "data": {"a": 1},
            "label": "words",
            "picture": drawn.getvalue(),
        },
        "show.explorer.twin": {
            "source": "const render = 1;\nexport default { render };\n",
            "data": "{}",
            "label": "words",
            "picture": b"x",
        },
        "show.explorer.to_json": {"data": {"a": [1, None, "b"]}},
        "show.explorer.rounded": {"value": {"a": [1.23456, 2]}, "digits": 3},
        "show.grid.grid_data": fake_grid(decimals=3, seeds=5),
        "show.faults.faults": {"figure": Figure(figsize=(1, 1))},
        "show.guess.guess_data": fake_games(),
        "show.guess.guess_picture": {"data": guess_data(**fake_games())},
        "show.notebook.begin": {"seed": 0},
        "show.notebook.number": {"value": 1.5, "digits": 3},
        "show.notebook.check": {"statement": "it holds", "holds": True},
        "show.notebook.near": {"name": "x", "value": 1.0, "expected": 1.01, "tolerance": 0.1},
        "show.packing.pack": {
            "name": "a",
            "array": [[0.5, 1.0]],
            "axes": [("row", 1), ("column", 2)],
            "decimals": 2,
            "top": None,
        },
        "show.packing.unpack": {"packed": packed},
        "show.style.band": {
            "ax": ax,
            "x": line,
            "mean": line,
            "low": line - 1,
            "high": line + 1,
            "label": "a",
            "colour": "#000000",
        },
        "show.style.interval_band": {
            "ax": ax,
            "x": [1.0],
            "intervals": [interval],
            "label": "a",
            "colour": "#000000",
        },
        "show.style.whiskers": {"ax": ax, "at": [1.0], "intervals": [interval]},
        "show.style.fit_title": {"ax": ax, "words": "a title", "share": 0.5},
        "show.style.png": {"figure": Figure(figsize=(1, 1))},
        "show.style.in_palette": {"picture": drawn.getvalue()},
        "show.tables.table": {"columns": {"a": [1]}, "caption": "c", "digits": 3},
        "show.tables.verdicts": {"claims": [Claim("a.C1", "s", "r")]},
        "evolution.es.Population": {"pairs": 4, "sigma": 0.1, "ranks": True},
        "evolution.es.centred_ranks": {"losses": f(6)},
        "evolution.es.estimate": {
            "losses_of": lambda members: members.sum(dim=1),
            "theta": f(3),
            "population": Population(2, 0.1),
            "generator": g(),
        },
        "evolution.es.gradient": {"eps": f(3, 5), "losses": f(6), "sigma": 0.1},
        "evolution.es.members": {"theta": f(5), "eps": f(3, 5), "sigma": 0.1},
        "evolution.es.perturbations": {"theta": f(5), "pairs": 3, "generator": g()},
        "lab.experiment.Trial": {"config": bandit, "seed": 0},
        "lab.checkpoint.Checkpoint": {"path": folder / "a.ckpt", "fingerprint": "abc"},
        "lab.batching.column": {"trials": [trial], "value": "arms", "device": torch.device("cpu")},
        "lab.batching.common": {"trials": [trial, Trial(bandit, 1)], "varies": ("arms",)},
        "lab.batching.shared": {"config": bandit, "varies": ("arms",)},
        "lab.reading.config_of": {"record": record_of_bandit, "kind": type(bandit)},
        "lab.reading.differences": {"ours": [record], "theirs": [record], "value": lambda r: r.seconds},
        "lab.reading.field_of": {"record": record, "name": "arms"},
        "lab.reading.paired": {"ours": [record], "theirs": [record]},
        "lab.reading.select": {"records": [record]},
        "lab.experiment.rounded": {"values": f(2, 3), "digits": 3},
        "lab.batching.side_by_side": {"experiment": Experiment(**experiment), "trials": [trial], "most": 2},
        "lab.claims.Claim": {
            "id": "a.C1",
            "sentence": "s",
            "reported": "r",
            "check": None,
            "terms": Terms("2026-11-30"),
            "scale": "reduced",
            "budget": "b",
        },
        "lab.claims.Terms": {
            "fixed": "2026-11-30",
            "bars": {"p": 0.5},
            "conditions": ("c",),
            "seeds": (0, 1),
            "tuning": (1000,),
            "changes": (),
        },
        "lab.claims.Change": {"date": "2026-11-30", "reason": "r", "part": "p", "earlier": 0.4, "now": 0.5},
        "lab.experiment.Context": {"device": torch.device("cpu"), "checkpoint": None, "compile": False},
        "lab.claims.Evidence": {
            "parts": {"p": part},
            "shown": "p",
            "detail": "d",
            "against": ("a",),
            "verdict": "in part",
        },
        "lab.experiment.Experiment": experiment,
        "lab.statistics.Interval": {"value": 1.0, "low": 0.5, "high": 1.5, "count": 5, "unit": "seeds"},
        "lab.records.Record": dataclasses.asdict(record),
        "lab.tiers.Tier": {"configs": (bandit,), "seeds": (0, 1)},
        "lab.compiling.choose_compile": {"device": torch.device("cpu"), "asked": None},
        "lab.device.device_name": {"device": torch.device("cpu")},
        "lab.tiers.grid": {"base": bandit, "arms": (2, 3)},
        "lab.statistics.interval": {"values": [1.0, 2.0, 1.0], "unit": "networks"},
        "lab.statistics.share": {"outcomes": [True, False], "unit": "seeds"},
        "lab.coverage.coverage": {"law": "normal", "count": 5, "samples": 10},
        "lab.coverage.least_coverage": {"count": 5},
        "lab.claims.judge": {"claim": Claim("a.C1", "s", "r")},
        "lab.claims.summary": {"claim": Claim("a.C1", "s", "r")},
        "lab.device.pick_device": {"name": "cpu", "here": True},
        "lab.tiers.pick_tier": {"name": "live"},
        "lab.records.recorded": {"name": "gpicl.phases", "tier": "study", "withdrawn": True},
        "lab.sweep.run_sweep": {
            "experiment": Experiment(**experiment),
            "tier": "live",
            "seeds": (0,),
            "overrides": {"arms": 3},
            "device": "cpu",
            "engine": "local",
            "jobs": 1,
            "results": folder / "results",
            "progress": None,
            "compile": False,
        },
        "lab.records.table": {"records": [record]},
        "lab.records.withdrawals": {"name": "gpicl.phases", "tier": "study"},
        "lab.checkpoint.write_atomically": {"path": folder / "written", "content": b"x"},
        "lab.verdicts.Part": {
            "verdict": "holds",
            "interval": interval,
            "bar": 0.2,
            "opposite": 0.1,
            "side": "above",
            "why": "w",
        },
        "lab.verdicts.exceeds": {
            "values": [1.0, 2.0, 1.0, 2.0, 1.0],
            "bar": 0.5,
            "opposite": -0.5,
            "unit": "seeds",
            "alive": ("ours",),
        },
        "lab.verdicts.below": {
            "values": [1.0, 2.0, 1.0, 2.0, 1.0],
            "bar": 0.5,
            "opposite": 0.6,
            "unit": "seeds",
            "alive": ("ours",),
        },
        "lab.verdicts.rejudged": {"part": part, "bar": 0.4},
        "lab.verdicts.fact": {"true": True},
        "lab.verdicts.untested": {"why": "w"},
        "lab.verdicts.alive": {"learners": {"a": [1.0, 2.0]}, "random": [0.5, 0.6], "lower": False, "unit": "seeds"},
        "lab.verdicts.combine": {"parts": {"p": part}},
        "lab.verdicts.unasked": {"parts": {"p": part}},
        "lab.verdicts.lowest": {"verdicts": ["holds", "in part"]},
        "lab.seeds.tuned": {
            "records": [
                dataclasses.replace(record, config={"arms": arms}, seed=1000, metrics={"loss": float(arms == 3)})
                for arms in (2, 3, 4)
            ],
            "score": lambda found: found[0].metrics["loss"],
            "over": ("arms",),
            "ends": {"arms": [2]},
        },
        "lab.seeds.expect_inside": {"name": "lr", "value": 0.2, "tried": [0.1, 0.2, 0.3], "ends": {"lr": [0.1]}},
        "lab.tiers.seeds_of": {"tier": "study"},
        "lab.tiers.expect_seeds": {"name": "seeds", "seeds": (0, 1), "known": range(5)},
        "lab.errors.choose": {"name": "a", "value": "b", "choices": ("b", "c")},
        "lab.experiment.override": {"config": bandit, "values": {"arms": "3"}},
        "lab.experiment.plain": {"config": bandit},
        "lab.experiment.trial_key": {"experiment": "a.b", "trials": [trial]},
        "lab.experiment.checkpoint_for": {"folder": folder, "experiment": "a.b", "trials": [trial]},
        "lab.progress.progress_for": {"stream": io.StringIO()},
        "lab.records.provenance": {"device": torch.device("cpu"), "batch": 1, "command": "c"},
        "lab.records.command_line": {
            "experiment": "a.b",
            "tier": "live",
            "seeds": (0, 1),
            "overrides": {"arms": "3"},
        },
        "lab.records.record_path": {"folder": folder, "experiment": "a.b", "trial": trial},
        "lab.records.save": {"record": record, "path": folder / "saved.json"},
        "lab.records.load": {"path": folder / "records" / "one.json"},
        "lab.records.load_folder": {"folder": folder / "records"},
        "lab.records.publish": {"records": [record], "path": folder / "again.json"},
        "lab.records.Withdrawal": {"reason": "r", "where": {"arms": [2]}},
        "lab.records.load_published": {"path": folder / "published.json"},
        "lab.tiers.parse_seeds": {"text": "3"},
        "lab.tiers.seeds_text": {"seeds": (0, 1)},
    }


PLAIN = (
    None, "", "x", (), [], {}, -1, 0, 1.5, True, math.nan, math.inf, -math.inf, 10**9, 10**18, 10**40, object(),
)  # fmt: skip


def spoilt(value: Any) -> Iterator[tuple[str, Any]]:
    """What may be given in place of ``value``, in words."""
    import numpy as np
    import torch

    for bad in PLAIN:
        yield ("object()" if type(bad) is object else repr(bad)), bad
    yield "a tensor", torch.ones(2, 3)
    if isinstance(value, torch.Tensor):
        yield "as floats", value.double()
        yield "as whole numbers", value.long()
        yield "as truth values", value > 0
        yield "as complex numbers", value.to(torch.complex64)
        yield "as an array", value.numpy()
        yield "as a list", value.tolist()
        yield "one axis more", value.unsqueeze(0)
        yield "no axes", value.flatten()[0]
        yield "one long axis", value.flatten()
        yield "on another device", value.to("meta")
        for axis in range(value.dim()):
            yield f"axis {axis} empty", value.narrow(axis, 0, 0)
            yield f"axis {axis} twice as long", torch.cat([value, value], dim=axis)
        if value.is_floating_point():
            yield "NaN", torch.full_like(value, math.nan)
    elif isinstance(value, np.ndarray):
        yield "NaN", value * math.nan
        yield "shorter", value[1:]
        yield "one axis more", value[None]
    elif type(value) in (tuple, list):
        for bad in (None, "x", math.nan, -1, 1.5, 10**18, {}, object()):
            yield f"of {bad!r}" if type(bad) is not object else "of object()", type(value)([bad])
            if value:
                yield f"first {type(bad).__name__}", type(value)([bad, *value[1:]])
        yield "shorter", value[:-1]
        yield "twice", value + value
    elif isinstance(value, tuple):  # of tensors
        yield "parts that are None", type(value)(*([None] * len(value)))
    elif isinstance(value, dict):
        for key in value:
            yield f"without {key!r}", {name: own for name, own in value.items() if name != key}
            for bad in (None, "x", math.nan, -1, [], 10**18):
                yield f"{key!r} as {bad!r}", value | {key: bad}
        yield "a key more", value | {"more": 1}
        yield "a key that is no text", value | {1: 1}


class TooSlowError(BaseException):
    """A trial that did not come back."""


def attempt(call: Callable[[], Any]) -> tuple[str, str]:
    """Return what became of a call: ``fine``, ``refused``, ``raw`` or ``slow``, and the error in words."""
    from tutorlib.lab.errors import TutorlibError

    def ring(*_: object) -> None:
        raise TooSlowError

    signal.signal(signal.SIGALRM, ring)
    signal.signal(signal.SIGPROF, ring)
    signal.setitimer(signal.ITIMER_REAL, 10 * SECONDS)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        call()
        return "fine", ""
    except TutorlibError as error:
        return "refused", str(error)
    except AssertionError as error:
        return ("refused" if str(error).startswith("does not hold") else "raw"), f"AssertionError: {error}"
    except TooSlowError:
        return "slow", "it did not come back"
    except MemoryError:
        return "raw", "MemoryError"
    except Exception as error:
        return "raw", f"{type(error).__name__}: {error}"[:200]
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


def function_trials() -> Iterator[tuple[str, str, str, str, str]]:
    """Yield name, argument, what was given, outcome and words for every spoilt call."""
    things = public()
    with tempfile.TemporaryDirectory() as folder:
        for name, good in good_calls(Path(folder)).items():
            thing = things[name]
            yield (name, "", "good", *attempt(lambda thing=thing, good=good: thing(**good)))
            for argument, value in good.items():
                some = 40 if (name, argument) in OPEN else None  # enough to see that the exception is one
                for words, bad in islice(spoilt(value), some):
                    yield (name, argument, words, *attempt(lambda t=thing, a={**good, argument: bad}: t(**a)))


def settings() -> dict[str, Any]:
    """One configuration of each class that an experiment runs, those inside and those made of them."""
    from tutorlib import papers

    found: dict[str, Any] = {}

    def walk(config: Any) -> None:
        kind = type(config)
        key = f"{kind.__module__.removeprefix('tutorlib.')}.{kind.__qualname__}"
        if not dataclasses.is_dataclass(config) or isinstance(config, type) or key in found:
            return
        found[key] = config
        properties = [name for name in dir(kind) if isinstance(getattr(kind, name), property) and name[0] != "_"]
        for name in [*(field.name for field in dataclasses.fields(kind)), *properties]:
            try:
                inside = getattr(config, name)
            except ValueError:  # a property that this configuration has no use for
                continue
            for entry in (
                inside if isinstance(inside, tuple) else inside.values() if isinstance(inside, dict) else [inside]
            ):
                walk(entry)

    for experiment in papers.experiments().values():
        for tier in experiment.tiers.values():
            for config in tier.configs:
                walk(config)
    return found


def kinds_of_fields() -> dict[str, str]:
    """The kind of each field of each configuration, and ``may be None`` where its annotation says so."""
    found = {}
    for name, config in settings().items():
        for field in dataclasses.fields(config):
            own = type(getattr(config, field.name)).__name__
            found[f"{name} {field.name}"] = own + (" may be None" if "None" in str(field.type) else "")
    return found


def setting_trials() -> Iterator[tuple[str, str, str, str, str]]:
    """The same for the fields of all configurations."""
    for name, config in settings().items():
        for field in dataclasses.fields(config):
            if not field.init:
                continue
            for words, bad in spoilt(getattr(config, field.name)):
                yield (
                    name,
                    field.name,
                    words,
                    *attempt(lambda c=config, f=field.name, b=bad: dataclasses.replace(c, **{f: b})),
                )


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    warnings.simplefilter("ignore")
    import torch

    torch.set_num_threads(1)
    torch.empty(2, device="meta").sum()  # what torch imports for it at first takes longer than a trial
    printed, sys.stdout = sys.stdout, io.StringIO()  # some of what is tried prints
    faulthandler.dump_traceback_later(280, exit=True)
    outcomes: dict[str, Any] = {"settings": list(setting_trials()), "functions": list(function_trials())}
    outcomes["public"], outcomes["kinds"] = list(public()), kinds_of_fields()
    sys.stdout = printed
    print(json.dumps(outcomes))


if __name__ == "__main__":
    main()
