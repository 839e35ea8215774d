"""What the runs of VSML's experiments report, and that their tiers are what they say."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tutorlib.cli import main
from tutorlib.lab import Context, Trial, config_of
from tutorlib.lab.records import load_folder
from tutorlib.papers.vsml import baselines, descent, experiments, measures
from tutorlib.papers.vsml.algorithm import initial_parameters, learner, meta_train
from tutorlib.papers.vsml.config import Config
from tutorlib.papers.vsml.problem import Streams

TINY = Config(streams=Streams(inputs=4, classes=3, length=8), sequences=4, steps=4, num_evals=2)


def test_a_run_reports_its_course_and_every_set(monkeypatch: pytest.MonkeyPatch) -> None:
    sets = {
        "digits": (replace(measures.DIGITS, length=120), 3),
        "prototypes": (Streams(inputs=5, classes=2, length=60), 3),
    }
    monkeypatch.setattr(measures, "TRANSFER", sets)
    monkeypatch.setattr(measures, "ONE_SHOT_SEQUENCES", 8)
    trial = Trial(TINY, 1)
    found = measures.run_learn([trial], Context())[0]
    trained = meta_train([trial], Context())
    losses = trained.losses[:, 0].view(2, 2).mean(dim=1).tolist()
    assert found["evals"]["loss"] == pytest.approx(losses, abs=1e-3)
    assert found["theta"] == pytest.approx(trained.theta[0].tolist(), rel=1e-4, abs=1e-9)
    assert found["escape"] == 0
    assert len(found["digits"]["curve"]) == 12
    assert len(found["prototypes"]["curve"]) == 6
    assert found["digits"]["0_50"] == pytest.approx(np.mean(found["digits"]["curve"][:5]), abs=1e-3)
    assert found["digits"]["50_100"] == pytest.approx(np.mean(found["digits"]["curve"][5:10]), abs=1e-3)
    assert "100_200" not in found["digits"]
    assert np.shape(found["trace"]["probabilities"]) == (60, 10)
    assert len(found["trace"]["labels"]) == 60
    # The curve is what the frozen theta does on the streams of the seed.
    x, y = measures.meta_test_streams(*sets["prototypes"], 1)
    p = measures.probabilities(learner(TINY, 5, 2), trained.theta[0], x, y, 1)
    right = (p.argmax(dim=-1) == y).float().mean(dim=0)
    assert found["prototypes"]["curve"] == pytest.approx(right.view(6, 10).mean(dim=1).tolist(), abs=1e-3)


def test_the_escape_is_the_first_evaluation_off_the_plateau() -> None:
    chance = math.log(3)
    losses = torch.tensor([chance, chance, chance, 0.5 * chance, 0.5 * chance, 0.5 * chance, 2.0, 2.0])
    assert measures.course(losses, 4, 3)["escape"] == 4  # the second look: a mean of .75 log 3
    assert measures.course(torch.full((8,), chance), 4, 3)["escape"] == 0
    assert measures.course(losses, 4, 3)["evals"]["loss"][-1] == 2.0


def test_one_shot_streams_repeat_the_image_or_its_class() -> None:
    x, y = measures.one_shot_streams(0, same=True)
    assert len(x) == measures.ONE_SHOT_SEQUENCES
    assert torch.equal(x[:, 0], x[:, 1])
    u, v = measures.one_shot_streams(0, same=False)
    assert len(u) == measures.ONE_SHOT_SEQUENCES
    assert torch.equal(v[:, 0], v[:, 1])
    assert (u[:, 0] != u[:, 1]).any(dim=-1).float().mean() > 0.95
    assert y[:, 0].unique().numel() == 10


def test_a_learner_that_remembers_jumps_and_one_that_does_not_stays() -> None:
    def memory(theta, x, y, generator):
        """Say the label of the example before, with certainty."""
        before = F.one_hot(y.roll(1, dims=1), 10).float() * 50
        before[:, 0] = 0
        return before

    found = measures._one_shot(memory, torch.zeros(1), 0)
    assert found == {"before": 0.1, "same": 1.0, "other": 1.0}
    idle = measures._one_shot(lambda theta, x, y, g: torch.zeros(*y.shape, 10), torch.zeros(1), 0)
    assert idle == {"before": 0.1, "same": 0.1, "other": 0.1}


def test_references_name_every_learner_and_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "TRANSFER", {"digits": (replace(measures.DIGITS, length=60), 4)})
    monkeypatch.setattr(measures, "ONE_SHOT_SEQUENCES", 8)
    found = measures.run_references([Trial(TINY, 2)], Context())[0]
    x, y = measures.meta_test_streams(replace(measures.DIGITS, length=60), 4, 2)
    for lr in descent.SGD_RATES:
        right = (descent.online_sgd(x, y, 10, lr).argmax(dim=-1) == y).float().mean(dim=0)
        assert found[f"sgd_{lr:g}"]["digits"]["0_50"] == pytest.approx(right[:50].mean().item(), abs=1e-3)
    adam = (descent.online_adam(x, y, 10, 0.01).argmax(dim=-1) == y).float().mean(dim=0)
    assert found["adam_0.01"]["digits"]["0_50"] == pytest.approx(adam[:50].mean().item(), abs=1e-3)
    fast, slow = (found[name]["one_shot"] for name in ("sgd_0.1", "sgd_0.001"))
    assert fast["same"] > slow["same"] > slow["before"] == 0.1


def test_a_batch_of_plateau_runs_reports_what_each_does_alone() -> None:
    trials = [Trial(TINY, 0), Trial(replace(TINY, lr=0.03), 1)]
    together = measures.run_plateau(trials, Context())
    for trial, found in zip(trials, together, strict=True):
        assert found["evals"]["loss"] == pytest.approx(
            measures.run_plateau([trial], Context())[0]["evals"]["loss"], abs=2e-3
        )


def test_a_batch_of_learners_reports_what_each_does_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "TRANSFER", {"prototypes": (Streams(inputs=5, classes=2, length=60), 3)})
    monkeypatch.setattr(measures, "ONE_SHOT_SEQUENCES", 8)
    trials = [Trial(TINY, 1), Trial(replace(TINY, lr=0.03), 2)]
    together = measures.run_learn(trials, Context())
    for trial, found in zip(trials, together, strict=True):
        (alone,) = measures.run_learn([trial], Context())
        assert found["evals"]["loss"] == pytest.approx(alone["evals"]["loss"], abs=2e-3)
        assert found["theta"] == pytest.approx(alone["theta"], abs=1e-3)
        assert found["prototypes"]["0_50"] == pytest.approx(alone["prototypes"]["0_50"], abs=0.03)


def test_runs_by_bptt_may_be_one_batch_and_those_of_an_evolution_strategy_never() -> None:
    for experiment in (experiments.LEARN, experiments.PLATEAU, experiments.MATRIX, experiments.LONGER):
        assert experiment.varies == ("lr",)
        assert experiment.alone(experiments.ES)
        assert not experiment.alone(experiments.FAST)
    assert experiments.CLONING.varies is None
    on_cpu = {e.name for e in experiments.EXPERIMENTS if e.cpu_only}
    assert on_cpu == {"vsml.references", "vsml.special"}, "they never look at the context's device"


def test_the_matrix_tests_every_learner_on_every_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measures, "MATRIX_SEQUENCES", 4)
    tests = {name: replace(s, length=20) for name, s in measures.MATRIX_TEST.items() if name in ("random", "digits")}
    monkeypatch.setattr(measures, "MATRIX_TEST", tests)
    streams = replace(experiments.MATRIX_TRAIN["prototypes"], length=6)
    for name in ("vsml", "meta-rnn"):
        trials = [
            Trial(Config(learner=name, streams=streams, sequences=2, steps=2, num_evals=1), seed) for seed in (0, 1)
        ]
        for found in measures.run_matrix(trials, Context()):
            assert {"loss", "random", "digits"} <= set(found)
            assert len(found["digits"]["curve"]) == 2


def test_matrix_sets_have_one_size() -> None:
    every = [*experiments.MATRIX_TRAIN.values(), *measures.MATRIX_TEST.values()]
    assert {(s.inputs, s.classes, s.side) for s in every} == {(16, 4, 4)}
    assert {
        s.part for s in measures.MATRIX_TEST.values() if s.kinds[0] not in ("random", "sum-sign", "prototypes")
    } == {"test"}
    assert not any(s.permuted for name, s in experiments.MATRIX_TRAIN.items() if "digits" in name or "mnist" in name)


def test_the_paper_tier_is_the_codes_setting() -> None:
    es, bptt, one_shot = experiments.LEARN.tier("paper").configs
    assert (es.streams.inputs, es.streams.classes, es.streams.length, es.streams.side) == (784, 10, 500, 28)
    assert (es.sequences, es.sigma, es.lr, es.estimator) == (1024, 0.05, 0.025, "es")
    assert (es.forget_bias, es.input_bias, es.size, es.message, es.micro_ticks, es.reduce) == (5, -5, 16, 8, 2, "mean")
    assert (bptt.sequences, bptt.lr, bptt.max_grad_norm, bptt.layer_norm) == (128, 1e-3, 25.0, True)
    assert len(initial_parameters(es, 0)) == 2384
    assert (one_shot.streams.kinds, one_shot.streams.classes, one_shot.streams.length) == (("omniglot",), 5, 6)
    assert (one_shot.backward_pass, one_shot.feed_label, one_shot.loss_type) == (True, True, "last")
    every = [es, bptt, one_shot, *experiments.MATRIX.tier("paper").configs]
    assert {c.streams.scaling for c in every} == {"unfiltered"}


def test_the_paper_tier_of_the_matrix_is_the_codes_eleven_meta_training_sets() -> None:
    by_learner: dict[str, list[Streams]] = {}
    for c in experiments.MATRIX.tier("paper").configs:
        by_learner.setdefault(c.learner, []).append(c.streams)
    assert set(by_learner) == {"vsml", *baselines.LEARNERS} - {"fast-weight-programmer"}
    for learner_name, streams in by_learner.items():
        assert len({s.kinds for s in streams}) == len(streams) == 11
        assert {kind for s in streams for kind in s.kinds} == set(experiments.FIGURE_8)
        assert sum(len(s.kinds) == 4 for s in streams) == 5, "all but one"
        for s in streams:
            names = 62 if "emnist" in s.kinds else 10
            assert (s.shown or s.classes) == names
            assert s.classes == (names if learner_name == "vsml" else 62), "one theta for all sizes, or padding"
    assert all(len(e.tier("study").seeds) >= 5 for e in experiments.EXPERIMENTS)


IMAGES = ("streams.inputs=16", "streams.length=3", "sequences=2", "steps=2", "num_evals=1", "size=6", "message=3")


@pytest.mark.parametrize("estimator", ["bptt", "es"])
@pytest.mark.parametrize(
    "settings",
    [
        ("convolutions=1", "micro_ticks=1", "backward_pass=true", "feed_label=true", "layer_norm=true"),
        ("convolutions=2", "channels=4", "backward_pass=true", "separate_backward=true"),
        ("batch=3",),
        ("backward_pass=true", "separate_backward=true"),
        ("loss_type=last",),
    ],
    ids=lambda settings: settings[0],
)
def test_what_the_authors_code_can_do_is_a_word_on_the_command_line(settings, estimator: str, tmp_path) -> None:
    """Each runs, and finds another loss than without its first word."""

    def losses(*assignments: str) -> list[float]:
        folder = tmp_path / assignments[0]
        words = ["run", "vsml.plateau", "--tier", "live", "--results", str(folder), "--set", *IMAGES, *assignments]
        assert main([*words, f"estimator={estimator}"]) == 0
        (record,) = load_folder(folder / "vsml.plateau" / "live")
        name, _, value = assignments[0].partition("=")
        assert str(record.config[name]).lower() == value
        return meta_train([Trial(config_of(record, Config), 0)], Context()).losses[:, 0].tolist()

    neutral = {"convolutions": "convolutions=0", "loss_type": "loss_type=mean", "batch": "batch=1"}
    name, _, _ = settings[0].partition("=")
    without = [word for word in settings[1:] if not word.startswith(("channels", "separate"))]
    found = losses(*settings)
    assert all(map(math.isfinite, found))
    assert found != losses(neutral.get(name, "backward_pass=false"), *without)


def test_a_learner_with_convolutions_is_tested_on_images_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    sets = {
        "digits": (replace(measures.DIGITS, length=60), 2),
        "prototypes": (Streams(inputs=5, classes=2, length=60), 2),
    }
    monkeypatch.setattr(measures, "TRANSFER", sets)
    monkeypatch.setattr(measures, "ONE_SHOT_SEQUENCES", 2)
    config = replace(TINY, streams=replace(TINY.streams, inputs=9), convolutions=1, batch=2)
    (found,) = measures.run_learn([Trial(config, 1)], Context())
    assert len(found["digits"]["curve"]) == 6
    assert "same" in found["one_shot"]
    assert "prototypes" not in found
