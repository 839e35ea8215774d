"""The workflows of GitHub: each command exists here, and none may do more than it must. No run of them is needed."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from tree import ROOT

FOLDER = ROOT / ".github" / "workflows"
TEXTS = {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.iterdir())}
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z]+):.* ## ", MAKEFILE, re.M))


def read(text: str) -> dict[str, Any]:
    """Return a workflow; YAML reads its key ``on`` as true."""
    found = yaml.safe_load(text)
    return {"on" if key is True else key: value for key, value in found.items()}


WORKFLOWS = {name: read(text) for name, text in TEXTS.items()}


def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


def foreign(workflow: dict[str, Any]) -> list[str]:
    """Return the commands that are neither one make target nor one script, with plain words behind it."""
    found = []
    for command in (step["run"] for step in steps(workflow) if "run" in step):
        words = re.fullmatch(r"(?:make (?P<target>[a-z]+)|(?P<script>\.ci/[a-z]+))(?: [^;&|`<>\n]*)?", command.strip())
        known = words and (
            words["target"] in TARGETS or (words["script"] and os.access(ROOT / words["script"], os.X_OK))
        )
        if not known or "$(" in command or "${{" in command:
            found.append(command)
    return found


@pytest.mark.parametrize("name", WORKFLOWS)
def test_every_command_of_a_workflow_is_a_make_target_or_a_script_of_this_repository(name: str) -> None:
    assert foreign(WORKFLOWS[name]) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("make pdf", "make pdff"),
        (".ci/chromium", ".ci/chrome"),
        ("make pdf", "make pdf && rm -rf src"),
        ("make pdf", "pip install ."),
        ("make pdf", "make pdf ${{ github.head_ref }}"),
    ],
)
def test_a_command_that_is_not_here_is_found(old: str, new: str) -> None:
    assert old in TEXTS["publish.yml"]
    assert foreign(read(TEXTS["publish.yml"].replace(old, new))) == [new]


def test_the_workflows_do_what_they_are_for() -> None:
    commands = {
        name: [step["run"] for step in steps(workflow) if "run" in step] for name, workflow in WORKFLOWS.items()
    }
    assert commands == {
        "ci.yml": [".ci/run"],
        "publish.yml": [".ci/chromium", "make pdf"],
        "release.yml": ['make dist TAG="$GITHUB_REF_NAME"'],
        "colab.yml": ["make refresh", "make colab"],
        "links.yml": ["make links", '.ci/issue "Dead links" _build/links.md'],
    }
    starts = {name: set(workflow["on"]) for name, workflow in WORKFLOWS.items()}
    weekly = {"schedule", "workflow_dispatch"}
    changes = {"push", "pull_request"}
    assert starts == {
        "ci.yml": changes, "publish.yml": changes, "release.yml": {"push"}, "colab.yml": weekly, "links.yml": weekly
    }  # fmt: skip
    assert WORKFLOWS["publish.yml"]["on"]["push"] == {"branches": ["main"], "tags": ["v*"]}
    assert WORKFLOWS["release.yml"]["on"]["push"] == {"tags": ["v*"]}


COMMANDS = sorted({step["run"] for workflow in WORKFLOWS.values() for step in steps(workflow) if "run" in step})


def rehearsal(command: str) -> subprocess.CompletedProcess[str]:
    """Go through a command without its work: make finds all that a target needs, bash reads a script to its end."""
    first, *words = shlex.split(command.replace("$GITHUB_REF_NAME", "v1.0.0"))
    dry = ["make", "-n", *words] if first == "make" else ["bash", "-n", first]
    return subprocess.run(dry, cwd=ROOT, capture_output=True, text=True)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_of_a_workflow_can_be_rehearsed_here(command: str) -> None:
    assert rehearsal(command).returncode == 0


def test_a_command_that_lacks_something_fails_its_rehearsal() -> None:
    assert "No rule to make target" in rehearsal("make pdff").stderr
    assert rehearsal(".ci/chrome").returncode == 127


def test_a_machine_that_has_chromium_installs_nothing() -> None:
    done = subprocess.run([ROOT / ".ci" / "chromium"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert Path(done.stdout.strip()).is_file()


@pytest.mark.parametrize("name", WORKFLOWS)
def test_a_workflow_may_do_no_more_than_it_must_and_ends(name: str) -> None:
    workflow = WORKFLOWS[name]
    assert workflow["permissions"] == {"contents": "read"}
    assert workflow["concurrency"]["group"].startswith(name.removesuffix(".yml"))
    for title, job in workflow["jobs"].items():
        assert 5 <= job["timeout-minutes"] <= 90, title
        writes = {right for right, level in job.get("permissions", {}).items() if level == "write"}
        wanted = {"deploy": {"pages", "id-token"}, "upload": {"id-token"}, "links": {"issues"}}
        assert writes == wanted.get(title, set()), title
        needed = job.get("needs", [])
        assert {needed} if isinstance(needed, str) else set(needed) <= set(workflow["jobs"]), title
    for step in steps(workflow):
        assert re.fullmatch(r"[\w.-]+/[\w.-]+@(v\d+|release/v\d+)", step.get("uses", "a/a@v1")), step
        if "checkout" in step.get("uses", ""):
            assert step["with"] == {"persist-credentials": False}


CHECKS = re.findall(r"^\t\$\(BIN\)/((?:check-jsonschema|zizmor) .*)$", MAKEFILE, re.M)


def lint(text: str, folder: Path) -> list[str]:
    """Return the programs of ``make lint`` that refuse a workflow."""
    place = folder / ".github" / "workflows"
    place.mkdir(parents=True, exist_ok=True)
    (place / "one.yml").write_text(text, encoding="utf-8")
    (place.parent / "zizmor.yml").write_bytes((FOLDER.parent / "zizmor.yml").read_bytes())
    variables = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    refused = []
    for command in CHECKS:
        done = subprocess.run(command, shell=True, cwd=folder, env=variables, capture_output=True, text=True)
        assert done.returncode in range(20), done.stderr  # and not 127, which is no such program
        refused += [command.split()[0]] if done.returncode else []
    return refused


def test_the_programs_of_make_lint_find_a_fault_of_each_kind(tmp_path: Path) -> None:
    assert len(CHECKS) == 2
    text = TEXTS["publish.yml"]
    assert lint(text, tmp_path) == []
    assert lint(text.replace("timeout-minutes", "timeout-minuts", 1), tmp_path) == ["check-jsonschema"]
    for old, new in {
        "make pdf": "make pdf ${{ github.event.pull_request.title }}",
        "permissions:\n  contents: read": "permissions: write-all",
        "checkout@v6": "checkout",
    }.items():
        assert lint(text.replace(old, new), tmp_path) == ["zizmor"], new


# What a workflow calls that make does not.

GH = """#!/bin/sh
echo "$@" >> "$GH_LOG"
if [ "$2" = list ]; then echo "$GH_OPEN"; fi
"""


@pytest.mark.parametrize(("is_open", "wanted"), [("", "create --title Dead links"), ("12", "comment 12")])
def test_an_issue_is_opened_once_and_then_added_to(tmp_path: Path, is_open: str, wanted: str) -> None:
    (tmp_path / "gh").write_text(GH)
    (tmp_path / "gh").chmod(0o755)
    told = tmp_path / "links.md"
    told.write_text("- https://example.org/: answers 404\n")
    variables = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "GH_LOG": str(tmp_path / "log")}
    command = [ROOT / ".ci" / "issue", "Dead links", told]
    subprocess.run(command, env={**variables, "GH_OPEN": is_open}, check=True)
    first, second = (tmp_path / "log").read_text().splitlines()
    assert first.startswith("issue list --state open")
    assert second == f"issue {wanted} --body-file {told}"


def test_no_issue_is_opened_about_nothing(tmp_path: Path) -> None:
    done = subprocess.run([ROOT / ".ci" / "issue", "Dead links", tmp_path / "none"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "expected a file that says what is wrong" in done.stderr


@pytest.mark.parametrize("tag", ["v9.9.9", "", "`touch made`"])
def test_a_tag_that_is_not_the_version_is_not_released(tmp_path: Path, tag: str) -> None:
    recipe = re.search(r"^dist:.*?\n(.*?)\n\trm", MAKEFILE, re.M | re.DOTALL)
    assert recipe
    (tmp_path / "Makefile").write_text(f"VERSION := 1.0.0\ndist:\n{recipe[1]}\n", encoding="utf-8")
    done = subprocess.run(["make", "-s", "dist", f"TAG={tag}"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode == 0) == (tag == "")
    assert not (tmp_path / "made").exists()
    if tag == "v9.9.9":
        assert done.stderr.splitlines()[0] == ("make: TAG=v9.9.9: expected v1.0.0, from the version in pyproject.toml")
