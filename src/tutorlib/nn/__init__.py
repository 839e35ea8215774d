"""Building blocks that more than one paper uses."""

from tutorlib.nn.adam import Moments, adam_, adam_step, clip_by_norm, no_moments
from tutorlib.nn.draws import gumbel, uniform
from tutorlib.nn.flat import FlatModule
from tutorlib.nn.grid import GridConfig, GridParameters, GridState, grid_tick, initial_parameters, split, zero_state
from tutorlib.nn.initial import truncated_normal
from tutorlib.nn.lstm import lstm
from tutorlib.nn.normed import NormedMLP, mixed
from tutorlib.nn.stacked import Layers, parameter_count, run_layers, slope, split_layers
from tutorlib.nn.training import Descent, Trained, descend, eval_generator, step_generator

__all__ = [
    "Descent",
    "FlatModule",
    "GridConfig",
    "GridParameters",
    "GridState",
    "Layers",
    "Moments",
    "NormedMLP",
    "Trained",
    "adam_",
    "adam_step",
    "clip_by_norm",
    "descend",
    "eval_generator",
    "grid_tick",
    "gumbel",
    "initial_parameters",
    "lstm",
    "mixed",
    "no_moments",
    "parameter_count",
    "run_layers",
    "slope",
    "split",
    "split_layers",
    "step_generator",
    "truncated_normal",
    "uniform",
    "zero_state",
]
