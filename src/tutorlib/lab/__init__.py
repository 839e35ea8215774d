"""The lab: tiers, experiments, sweeps, records, checkpoints and claims."""

from tutorlib.lab.checkpoint import Checkpoint
from tutorlib.lab.claims import Claim, Evidence, Interval, interval, judge
from tutorlib.lab.device import device_name, pick_device
from tutorlib.lab.errors import TutorlibError, UsageError
from tutorlib.lab.experiment import Context, Experiment, Metrics, Trial, rounded
from tutorlib.lab.reading import config_of, differences, paired, select
from tutorlib.lab.records import Record, recorded, table, withdrawals
from tutorlib.lab.sweep import run_sweep
from tutorlib.lab.tiers import TIERS, Tier, grid, pick_tier

__all__ = [
    "TIERS",
    "Checkpoint",
    "Claim",
    "Context",
    "Evidence",
    "Experiment",
    "Interval",
    "Metrics",
    "Record",
    "Tier",
    "Trial",
    "TutorlibError",
    "UsageError",
    "config_of",
    "device_name",
    "differences",
    "grid",
    "interval",
    "judge",
    "paired",
    "pick_device",
    "pick_tier",
    "recorded",
    "rounded",
    "run_sweep",
    "select",
    "table",
    "withdrawals",
]
