"""The sweep on Ray: a real cluster that loses a node, and what is asked of Ray for GPUs and jobs."""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import tiny

from tutorlib.lab import run_sweep
from tutorlib.lab.errors import SweepError


@pytest.mark.timeout(500)
def test_a_node_that_is_lost_costs_nothing_but_time(tmp_path: Path):
    log = tmp_path / "log"
    script = Path(tiny.__file__).with_name("ray_sweep.py")
    with tempfile.TemporaryDirectory(prefix="ray") as short:  # the sockets in it may not have long names
        environment = tiny.environment(log, pause=600) | {"RAY_USAGE_STATS_ENABLED": "0", "RAY_TMPDIR": short}
        done = subprocess.run(
            [sys.executable, str(script), str(tmp_path / "results")],
            env=environment,
            capture_output=True,
            text=True,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    found = json.loads(done.stdout.splitlines()[-1])
    trials = 16

    # The node was killed while it computed a trial, which another one then computed.
    lines = [line.split() for line in log.read_text().splitlines()]
    restarts = [number for event, number, _ in lines[found["before"] :] if event == "start"]
    assert str(found["lost"]) in restarts

    # Nothing is lost, and what was recorded was not computed again.
    expected = run_sweep(tiny.experiment("halves", trials), device="cpu", jobs=1)
    assert found["records"] == [[record.config["number"], record.metrics] for record in expected]
    assert len(list((tmp_path / "results").rglob("[!.]*.json"))) == trials
    recorded: set[str] = set()
    for event, number, _ in lines:
        assert event != "start" or number not in recorded, f"trial {number} was computed again"
        if event == "recorded":
            recorded.add(number)
    assert Counter(event for event, _, _ in lines)["recorded"] == trials


class FakeRay(ModuleType):
    """As much of Ray as a sweep asks for, in this process; it notes what is asked."""

    class RayError(Exception):
        pass

    class RayTaskError(RayError):
        pass

    def __init__(self, gpus: float, lose: int | None = None) -> None:
        super().__init__("ray")
        self.gpus, self.lose = gpus, lose
        self.options: list[dict] = []
        self.most = self.running = 0
        self.up = False
        self.exceptions = SimpleNamespace(RayError=self.RayError, RayTaskError=self.RayTaskError)

    def is_initialized(self) -> bool:
        return self.up

    def init(self, **options) -> None:
        self.up = True

    def shutdown(self) -> None:
        self.up = False

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": 8.0, "GPU": self.gpus}

    def remote(self, **options):
        self.options.append(options)

        def make(function):
            def submit(*arguments):
                self.running += 1
                self.most = max(self.most, self.running)
                return partial(function, *arguments)

            return SimpleNamespace(remote=submit)

        return make

    def wait(self, running: list):
        return running[:1], running[1:]

    def get(self, ready):
        self.running -= 1
        if ready.args[1][0].config.number == self.lose:
            raise self.RayError("lost")
        return ready()


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch):
    def install(**options) -> FakeRay:
        ray = FakeRay(**options)
        monkeypatch.setitem(sys.modules, "ray", ray)
        monkeypatch.setitem(sys.modules, "ray.exceptions", ray.exceptions)
        return ray

    return install


@pytest.mark.parametrize(
    ("device", "jobs", "gpus", "share", "most"),
    [
        ("cpu", None, 0.0, 0.0, 6),
        ("cpu", 2, 4.0, 0.0, 2),
        ("cuda", None, 4.0, 1.0, 6),
        ("cuda", 2, 4.0, 1.0, 2),
        ("cuda", 5, 2.0, 0.4, 5),
        ("cuda", 4, 0.0, 1.0, 4),  # a cluster that starts its machines when they are asked for
    ],
)
def test_what_is_asked_of_ray(fake, monkeypatch: pytest.MonkeyPatch, device, jobs, gpus, share, most):
    ray = fake(gpus=gpus)
    monkeypatch.setattr("tutorlib.lab.records.device_name", lambda device: device.type)
    found = run_sweep(tiny.experiment("whole", 6), engine="ray", device=device, jobs=jobs)
    assert len(found) == 6
    assert found[0].provenance["device"] == device
    assert ray.options == [{"num_cpus": 1, "num_gpus": share, "max_retries": 5}]
    assert ray.most == most
    assert not ray.up  # a cluster that the sweep started is shut down


def test_a_cluster_that_was_there_before_is_left_running(fake):
    ray = fake(gpus=0.0)
    ray.init()
    run_sweep(tiny.experiment("whole", 2), engine="ray", device="cpu")
    assert ray.up


def test_a_cell_that_ray_gives_up_does_not_stop_the_others(fake, tmp_path: Path):
    ray = fake(gpus=0.0, lose=1)
    with pytest.raises(
        SweepError, match=r"^1 of 4 trials failed; the first: Ray gave up on it \(RayError\); run again"
    ):
        run_sweep(tiny.experiment("whole", 4), engine="ray", device="cpu", results=tmp_path)
    assert len(list(tmp_path.rglob("*.json"))) == 3
    assert not ray.up
