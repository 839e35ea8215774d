"""The lab: tiers, experiments, sweeps, records, checkpoints and claims."""

from tutorlib.lab.checkpoint import Checkpoint
from tutorlib.lab.claims import Change, Claim, Evidence, Terms, judge, summary
from tutorlib.lab.device import device_name, pick_device
from tutorlib.lab.errors import TutorlibError, UsageError
from tutorlib.lab.experiment import Context, Experiment, Metrics, Trial, rounded
from tutorlib.lab.reading import config_of, differences, paired, select
from tutorlib.lab.records import Record, recorded, table, withdrawals
from tutorlib.lab.seeds import TEST_SEEDS, TUNING_SEEDS, tuned
from tutorlib.lab.statistics import Interval, interval, share
from tutorlib.lab.sweep import run_sweep
from tutorlib.lab.tiers import TIERS, Tier, grid, pick_tier

__all__ = [
    "TEST_SEEDS",
    "TIERS",
    "TUNING_SEEDS",
    "Change",
    "Checkpoint",
    "Claim",
    "Context",
    "Evidence",
    "Experiment",
    "Interval",
    "Metrics",
    "Record",
    "Terms",
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
    "share",
    "summary",
    "table",
    "tuned",
    "withdrawals",
]
