"""What a run says of its files before anything is trained, on machines with and without them."""

import socket

import pytest

from tutorlib import cli

MISSING = ("run", "gpicl.table", "--tier", "paper")


@pytest.fixture
def nothing_trains(monkeypatch):
    begun = []

    def sweep(experiment, tier, **more):
        begun.append(experiment.name)
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "run_sweep", sweep)
    return begun


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_args, **_more):
        raise socket.gaierror("no network")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_without_its_files_a_paper_tier_names_them_all_and_does_not_begin(
    nothing_trains, no_network, monkeypatch, tmp_path, capsys
):
    monkeypatch.delenv("TUTORLIB_DATA", raising=False)
    monkeypatch.setenv("TUTORLIB_CACHE", str(tmp_path))
    assert cli.main(list(MISSING)) == 2
    said = capsys.readouterr().err
    for file in (
        "mnist/train-images-idx3-ubyte.gz (9.9 MB)",
        "fashion-mnist/train-images-idx3-ubyte.gz (26.4 MB)",
        "fashion-mnist/t10k-labels-idx1-ubyte.gz (5.1 kB)",
        "kmnist/t10k-images-idx3-ubyte.gz (3.0 MB)",
        "cifar10/cifar-10-python.tar.gz (170.5 MB)",
        "svhn/test_32x32.mat (64.3 MB)",
    ):
        assert f"data: {file}: not here" in said
    assert f"put it into the folder {tmp_path / 'cifar10'}, or set TUTORLIB_DATA" in said
    assert not nothing_trains


@pytest.mark.parametrize("name", ["vsml.learn", "gpicl.phases"])
def test_with_its_files_in_the_folder_it_begins(name, nothing_trains, no_network, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("TUTORLIB_DATA", str(tmp_path))
    monkeypatch.setattr("tutorlib.data.download.mismatch", lambda path, file: None)  # empty files stand for the true
    experiment = cli.papers.experiments()[name]
    configs = experiment.tiers["paper"].configs
    for part in {part for c in configs for part in experiment.data(c)}:
        for file in cli.files_of(*part.split("/")):
            (tmp_path / file.folder).mkdir(exist_ok=True)
            (tmp_path / file.folder / file.name).touch()
    assert cli.main(["run", name, "--tier", "paper"]) == 130
    assert nothing_trains == [name]
    assert "not here" not in capsys.readouterr().err


def test_a_study_finds_the_files_that_are_here(nothing_trains, no_network, real_files, capsys):
    assert cli.main(["run", "vsml.matrix", "--tier", "study"]) == 130
    assert nothing_trains == ["vsml.matrix"]
    assert "data:" not in capsys.readouterr().err


def test_a_dry_run_lists_the_files_of_what_computes_on_the_cpu(monkeypatch, tmp_path, capsys):
    monkeypatch.delenv("TUTORLIB_DATA", raising=False)
    monkeypatch.setenv("TUTORLIB_CACHE", str(tmp_path))
    assert cli.main(["run", "gpicl.references", "--tier", "paper", "--dry-run"]) == 0
    assert "data: mnist/train-images-idx3-ubyte.gz (9.9 MB): not here" in capsys.readouterr().out
