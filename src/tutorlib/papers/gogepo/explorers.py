"""Explorer of GoGePo: a record in, the return dial out."""

import math
from typing import Any

from tutorlib.lab import Record
from tutorlib.lab.errors import bad_argument
from tutorlib.lab.reading import config_of
from tutorlib.papers.gogepo.algorithm import REFERENCES
from tutorlib.papers.gogepo.config import Config
from tutorlib.papers.gogepo.dial import UNIT
from tutorlib.papers.gogepo.problem import WORLDS
from tutorlib.show.dial import dial_data, dial_picture
from tutorlib.show.explorer import Explorer
from tutorlib.show.style import png

START = (math.pi, 0.0)
"""angle and speed at which the page's episodes begin: at rest at the bottom"""
ASKED = 35.0
"""return that the dial shows at first"""
ROOM = 5.0
"""what can be asked for beyond the best return, as the agent does while it explores"""


def dial_explorer(record: Record) -> Explorer:
    """Return the dial of ``gogepo.dial``: the page writes a policy for each command, and swings the pendulum with it.

    Raises ``UsageError`` if the record is of another experiment.
    """
    if record.experiment != "gogepo.dial":
        raise bad_argument("record.experiment", record.experiment, "'gogepo.dial'")
    c: Config = config_of(record, Config)
    stages = record.metrics["stages"]
    top = max(stage["best"] for stage in stages) + ROOM
    commands = [command for command in record.metrics["commands"] if command <= top]
    world = WORLDS[c.environment]
    data = dial_data(
        title="Ask a generator for a return",
        sizes={
            "observations": c.policy.observations,
            "width": c.width,
            "block": c.block,
            "embedding": c.embedding,
            "net_width": c.net_width,
        },
        unit=1 / UNIT,
        world=pendulum(c),
        scaling=(world.low if c.normalised else 0.0, c.scale),
        commands=commands,
        stages=[stage | {name: stage[name][: len(commands)] for name in ("achieved", "places")} for stage in stages],
        policies=record.metrics["map"]["policies"],
        returns=record.metrics["map"]["returns"],
        start={"command": min(range(len(commands)), key=lambda i: abs(commands[i] - ASKED))},
        note=(
            f"One recorded run, the first of its kind, in a world of ours: a pendulum whose motor is too weak to lift "
            f"it, {c.horizon} steps of 0.05 s. The return is the sum of (1 + cos of the angle) / 2, less a little for "
            f"force: hanging earns 0, standing upright 1 a step. The generator has {len(stages[0]['rho']):,} numbers, "
            f"and this page runs it: it writes {c.policy.size:,} weights for each command, without noise. Reduced: "
            f"the paper's policies have 67,000 weights. Lines: mean of {c.sweep_episodes} random starts. On the map, "
            f"actions in {REFERENCES} equal states are compared."
        ),
    )
    label = "A dial for the return: the policy that the generator writes for it swings a pendulum, at five stages"
    return Explorer("dial_explorer", data, label, png(dial_picture(data)))


def pendulum(c: Config) -> dict[str, Any]:
    """Return the world in which the page plays, as ``show.dial.WORLD`` has it."""
    env = WORLDS[c.environment].env
    names = ("gravity", "torque", "dt", "max_speed", "speed_cost", "action_cost")
    return {name: getattr(env, name) for name in names} | {"horizon": c.horizon, "angle": START[0], "speed": START[1]}


__all__ = ["dial_explorer", "pendulum"]
