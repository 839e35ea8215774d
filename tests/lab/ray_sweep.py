"""A sweep on a Ray cluster of two nodes on this machine, one of which is killed in the middle of a trial."""

import json
import os
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import tiny
from ray.cluster_utils import Cluster

from tutorlib.lab import run_sweep

PATIENCE = 200.0
CELLS = 16


def parent(process: int) -> int:
    """The process that started ``process``, for a worker the raylet of its node; 0 if it is gone."""
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def events() -> list[tuple[str, int, int]]:
    lines = Path(os.environ["TINY_LOG"]).read_text().splitlines()
    return [(event, int(number), int(process)) for event, number, process in map(str.split, lines)]


def at_work(raylet: int) -> tuple[int, int] | None:
    """The trial that this node computes right now, and the process that does it."""
    begun = {process: number for event, number, process in events() if event == "start"}
    ended = {(process, number) for event, number, process in events() if event == "end"}
    busy = ((number, process) for process, number in begun.items() if (process, number) not in ended)
    return next(((number, process) for number, process in busy if parent(process) == raylet), None)


def kill_in_the_middle(cluster: Cluster, node: Any) -> tuple[int, int]:
    """Kill ``node`` when it has just begun with a trial; return the trial, and how much was in the log by then."""
    raylet = node.all_processes["raylet"][0].process.pid
    deadline = time.monotonic() + PATIENCE
    last = at_work(raylet)
    while time.monotonic() < deadline:
        time.sleep(0.005)
        now = at_work(raylet)
        if now and now != last and sum(event == "recorded" for event, _, _ in events()) >= 3:
            before = len(events())
            for process in (raylet, now[1]):
                os.kill(process, signal.SIGKILL)
            cluster.remove_node(node, allow_graceful=False)
            return now[0], before
        last = now
    raise TimeoutError("the node was given no trial")


def main(results: Path) -> None:
    Path(os.environ["TINY_LOG"]).touch()
    small = {"num_cpus": 1, "object_store_memory": 10**8, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=small)
    try:
        node = cluster.add_node(**small)
        os.environ["RAY_ADDRESS"] = cluster.address
        with ThreadPoolExecutor(1) as pool:
            sweep = pool.submit(
                run_sweep, tiny.experiment("halves", CELLS), engine="ray", device="cpu", results=results
            )
            lost, before = kill_in_the_middle(cluster, node)
            found = [[record.config["number"], record.metrics] for record in sweep.result(PATIENCE)]
    finally:
        cluster.shutdown()
    print(json.dumps({"lost": lost, "before": before, "records": found}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
