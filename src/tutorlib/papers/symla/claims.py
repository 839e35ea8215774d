"""The claims of SymLA, judged over the recorded studies.

Each check reads shipped records, compares one number per seed with a threshold that was fixed before the study ran, and
says at which reduced setting. Three things came later: where a study that a rule asks for is missing, the others decide
alone, and the verdict is "holds in part" at most; the contextual bandit decides on C1, too; and on CartPole an agent
from a grid lives longer than it did there, since in the first quarter of 50 steps no pole has had the time to fall.
"""

from collections.abc import Sequence

from tutorlib.lab import Claim, Evidence, Interval, Record, interval, recorded, select
from tutorlib.lab.claims import HOLDS, IN_PART, above, weakest
from tutorlib.lab.records import NoRecordsError
from tutorlib.papers.symla import analysis
from tutorlib.papers.symla.analysis import differences, improvement, score, values, within_noise
from tutorlib.papers.symla.experiments import POLE_LIFE
from tutorlib.papers.symla.problem import ARMS, MATRIX

BANDIT_SETTING = "50 pulls, 64 members x 8 bandits, 70 generations (SymLA) and 200 (MetaRNN); the paper's are unknown"
REGRET = 0.6
"""a regret below this share of random's counts as having learned"""
RATIO = 1.5
"""SymLA's regret is comparable to the MetaRNN's up to this ratio"""
SAME = 0.03
"""largest difference of accuracies that are the same"""
RIGHT = 0.75
"""accuracy on two contexts, midway from chance to perfect, that counts as having learned"""
GUESS = 0.5
"""accuracy on three contexts below which an agent has not adapted (chance: 1/3)"""
STANDS, FALLS = 5.0, 15.0
"""failures on CartPole in 1,000 steps: below, solved; above, lost"""


def _below(found: Sequence[float], threshold: float) -> tuple[str, str]:
    """Return the verdict on "the mean lies below ``threshold``", and its interval in words."""
    verdict, _ = above([-value for value in found], -threshold)
    return verdict, str(interval(found))


def _contextual(agent: str, **fields: object) -> list[Record]:
    return select(recorded("symla.contextual"), agent=agent, **fields)


def _poles(agent: str, **fields: object) -> list[Record]:
    """Return CartPole's runs of the longest budget that ``agent`` was given."""
    found = select(recorded("symla.cartpole"), agent=agent, **fields)
    return select(found, generations=max(r.config["generations"] for r in found))


def _maps() -> tuple[dict[str, str], str, Interval]:
    """Return verdicts and words on contextual bandits with a map unlike that of meta-training, and SymLA's accuracy."""
    two, three = _contextual("symla", sizes="2"), _contextual("meta-rnn", sizes="3", permuted="none")
    same, _ = above([SAME - abs(d) for d in differences(two, "standard", "shuffled")], 0.0)
    learned, accuracy = above(values(two, "shuffled"), RIGHT)
    lost, rnn = _below(values(three, "shuffled"), GUESS)
    words = (
        f"Contextual bandits with a map unlike that of meta-training: SymLA {accuracy} right of two, in "
        f"meta-training's {score(two, 'standard')}; a MetaRNN {rnn} right of three, in meta-training's "
        f"{score(three, 'standard')}."
    )
    return {"same": same, "learned": learned, "lost": lost}, words, accuracy


def _shuffled_poles() -> tuple[dict[str, str], str] | None:
    """Return verdicts and words on CartPole with shuffled observations and actions, or None before its study."""
    try:
        rnn, ours = _poles("meta-rnn", permuted="none"), _poles("symla")
    except NoRecordsError:
        return None
    stands, standard = _below(values(rnn, "standard"), STANDS)
    falls, shuffled = above(values(rnn, "both"), FALLS)
    moves, gap = above(differences(rnn, "both", "standard"), FALLS - STANDS)
    gains = [improvement(r, recorded("symla.references"), t) for r, t in ((ours, "both"), (rnn, "standard"))]
    learns, _ = above([own - 0.5 * other for own, other in zip(*gains, strict=True)], 0.0)
    same = within_noise(ours, "standard", "both")
    words = (
        f"CartPole, failures in 1,000 steps: MetaRNN {standard}, shuffled {shuffled} (difference {gap}); SymLA "
        f"{score(ours, 'standard')}, shuffled {score(ours, 'both')}, the same within its intervals: "
        f"{'yes' if same == HOLDS else 'no'}; at least half of the MetaRNN's gain over random: {learns}, after "
        f"{ours[0].config['generations']} generations of 64 x 4 lives of 100 steps."
    )
    return {"stands": stands, "falls": falls, "moves": moves, "same": same, "learns": learns}, words


def _asymmetry() -> Evidence:
    """C1: black-box systems lack the symmetries that backprop has."""
    maps, words, _ = _maps()
    poles = _shuffled_poles()
    parts = [maps["same"], maps["lost"]] + ([poles[0]["moves"], poles[0]["same"]] if poles else [])
    three = _contextual("meta-rnn", sizes="3", permuted="none")
    detail = (
        f"Accuracy that a MetaRNN loses when the map is not that of meta-training. {words} "
        f"{poles[1] if poles else 'CartPole: not yet studied.'} That gradient descent has the symmetries is an "
        f"identity, checked to rounding in the chapter."
    )
    return Evidence(_capped(parts, poles), interval(differences(three, "standard", "shuffled")), detail)


def _capped(parts: Sequence[str], study: object) -> str:
    """Return the weakest of ``parts``; without the other ``study`` they hold in part at most."""
    verdict = weakest(parts)
    return IN_PART if verdict == HOLDS and study is None else verdict


def _built() -> Evidence:
    """C2: a black-box learner with the symmetries can be meta-trained."""
    records, references = recorded("symla.bandits"), recorded("symla.references")
    parts, said = [], []
    for family in MATRIX:
        ours = values(select(records, agent="symla", family=family), family)
        random = analysis.random_regret(references, family)
        parts.append(above([REGRET - own / r for own, r in zip(ours, random, strict=True)], 0.0))
        best = interval(values(select(references, environment="bandit"), family, player="thompson")).value
        said.append(f"{family} {interval(ours)} (random {interval(random).value:.1f}, Thompson sampling {best:.1f})")
    detail = (
        f"How far the ratio of SymLA's regret to that of random pulls lies below {REGRET}, independent arms. Regret of "
        f"a life: {'; '.join(said)}. {BANDIT_SETTING}."
    )
    return Evidence(weakest([v for v, _ in parts]), parts[0][1], detail)


def _unseen_actions() -> Evidence:
    """C3: unseen numbers of arms, and the better arm elsewhere than in meta-training."""
    records, references = recorded("symla.bandits"), recorded("symla.references")
    ours = select(records, agent="symla", family="independent")
    parts, said, shown = [], [], None
    for n in ARMS:
        random = analysis.random_regret(references, f"arms {n}")
        margin = [REGRET - own / r for own, r in zip(values(ours, f"arms {n}"), random, strict=True)]
        verdict, found = above(margin, 0.0)
        parts.append(verdict)
        said.append(f"{n} arms {score(ours, f'arms {n}')} (random {interval(random).value:.1f})")
        shown = found if shown is None or found.low < shown.low else shown
    moved, words = _flipped()
    detail = (
        f"How far the ratio of SymLA's regret to random's lies below {REGRET}, at the number of arms where it does so "
        f"least; meta-trained with 2 arms. Regret of a life: {'; '.join(said)}. {words} {BANDIT_SETTING}."
    )
    return Evidence(weakest([*parts, *moved]), shown, detail)


def _flipped() -> tuple[list[str], str]:
    """Return verdicts and words on bandits whose better arm is always the first in meta-training."""
    records = select(recorded("symla.biased"), family="biased")
    rnn, ours = select(records, agent="meta-rnn"), select(records, agent="symla")
    random = analysis.random_regret(recorded("symla.references"), "flipped")
    gaps = [own - r for own, r in zip(values(rnn, "flipped"), random, strict=True)]
    lost, found = above(gaps, 0.0)
    same = within_noise(ours, "biased", "flipped")
    words = (
        f"Meta-trained with the better arm first: SymLA {score(ours, 'biased')} and, arms exchanged, "
        f"{score(ours, 'flipped')}; the MetaRNN {score(rnn, 'biased')} and {score(rnn, 'flipped')} "
        f"(random {interval(random).value:.1f}, difference {found})."
    )
    return [lost, same], words


def _unseen_observations() -> Evidence:
    """C4: shuffled observations and actions."""
    maps, words, accuracy = _maps()
    poles = _shuffled_poles()
    parts = [*maps.values(), *(poles[0].values() if poles else ())]
    detail = (
        f"SymLA's accuracy on contextual bandits with a map unlike that of meta-training. {words} "
        f"{poles[1] if poles else 'CartPole: not yet studied.'} The paper's budget is unknown."
    )
    return Evidence(_capped(parts, poles), accuracy, detail)


def _unseen_tasks() -> Evidence:
    """C5: hearts and traps with swapped rewards, bandits with exchanged arms."""
    moved, words = _flipped()
    try:
        records = recorded("symla.grid")
    except NoRecordsError:
        flipped = score(select(recorded("symla.biased"), family="biased", agent="symla"), "flipped")
        detail = f"SymLA's regret of a life with exchanged arms. {words} Hearts and traps: not yet studied."
        return Evidence(_capped(moved, None), flipped, detail)
    ours, rnn = select(records, agent="symla"), select(records, agent="meta-rnn", permuted="none")
    adapts, found = above(values(ours, "swapped"), 0.0)
    collects, wrong = _below(values(rnn, "swapped"), 0.0)
    side = ours[0].config["sizes"]
    detail = (
        f"SymLA's reward of a life with swapped rewards, as in meta-training {score(ours, 'standard')}; the MetaRNN's "
        f"{score(rnn, 'standard')} and, swapped, {wrong}. {side} x {side} cells, 50 steps of life, "
        f"{ours[0].config['generations']} generations; the paper's layout and budget are unknown. {words}"
    )
    return Evidence(weakest([adapts, collects, *moved]), found, detail)


def _unseen_environments() -> Evidence:
    """C6: from the grid to CartPole."""
    ours, references = select(recorded("symla.grid"), agent="symla"), recorded("symla.references")
    first, last = values(ours, "cartpole", "first"), values(ours, "cartpole", "last")
    falls, found = above([a - b for a, b in zip(first, last, strict=True)], 0.0)
    random = values(select(references, environment="heart-grid"), "cartpole", "last", "random")
    better, _ = above([r - own for r, own in zip(random, last, strict=True)], 0.0)
    detail = (
        f"Failures in 1,000 steps of CartPole, first minus last quarter of a life of {POLE_LIFE} steps, without "
        f"meta-training there. Last quarter {interval(last)}, random {interval(random)}. The paper's budget is unknown."
    )
    return Evidence(weakest([falls, better]), found, detail)


def _comparable() -> Evidence:
    """C7: as good as a MetaRNN where both were meta-trained."""
    ratios = analysis.diagonal_ratios(recorded("symla.bandits"))
    parts = {family: _below(found, RATIO) for family, found in ratios.items()}
    said = "; ".join(f"{family} {words} ({verdict})" for family, (verdict, words) in parts.items())
    poles = _comparable_poles()
    detail = (
        f"SymLA's regret over the MetaRNN's, independent arms; all families: {said}; to hold, below {RATIO}. "
        f"{poles[1] if poles else 'CartPole: not yet studied.'} {BANDIT_SETTING}."
    )
    verdicts = [*(v for v, _ in parts.values()), *(poles[:1] if poles else ())]
    return Evidence(_capped(verdicts, poles), interval(ratios["independent"]), detail)


def _comparable_poles() -> tuple[str, str] | None:
    """Return the verdict and words on CartPole in the order of meta-training, or None before its study."""
    try:
        rnn, ours = _poles("meta-rnn", permuted="none"), _poles("symla")
    except NoRecordsError:
        return None
    gains = [improvement(records, recorded("symla.references"), "standard") for records in (ours, rnn)]
    verdict, _ = above([own - 0.5 * other for own, other in zip(*gains, strict=True)], 0.0)
    return verdict, (
        f"CartPole, at least half of the MetaRNN's gain over random: {verdict} ({score(ours, 'standard')} against "
        f"{score(rnn, 'standard')} failures in 1,000 steps)."
    )


def _cost() -> Evidence:
    """C8: the price of the symmetries."""
    records = recorded("symla.bandits")
    each = []
    for seed in sorted({r.seed for r in records}):
        seconds = {
            agent: sum(r.seconds / r.config["generations"] for r in select(records, agent=agent) if r.seed == seed)
            for agent in analysis.AGENTS
        }
        each.append(seconds["symla"] / seconds["meta-rnn"])
    verdict, found = above(each, 1.0)
    detail = (
        "Seconds of a generation, SymLA over MetaRNN, one row and two columns of sub-RNNs against an LSTM of 32; tests "
        "included. The factor N^2 is a count of operations for each weight, which no study measures, so this holds in "
        "part at most. That i.i.d. starts keep the symmetry in law is tested."
    )
    return Evidence(IN_PART if verdict == HOLDS else verdict, found, detail)


CLAIMS = (
    Claim(
        "symla.C1",
        "A learner that descends gradients has three symmetries; black-box meta-RL systems have none of them.",
        "argued in the text",
        _asymmetry,
    ),
    Claim("symla.C2", "A black-box system with the three symmetries can be built.", "SymLA itself", _built),
    Claim(
        "symla.C3",
        "It generalises to unseen action spaces: other numbers of arms, permuted actions.",
        "Fig. 4; values unknown",
        _unseen_actions,
    ),
    Claim(
        "symla.C4",
        "It generalises to unseen observation spaces, where a MetaRNN fails.",
        "Fig. 5: SymLA unaffected by shuffling, the MetaRNN fails; values unknown",
        _unseen_observations,
    ),
    Claim(
        "symla.C5",
        "It generalises to unseen tasks: with swapped rewards a MetaRNN goes on collecting the wrong item.",
        "Figs. 6 and 7; values unknown",
        _unseen_tasks,
    ),
    Claim(
        "symla.C6",
        "It generalises to unseen environments: meta-trained on grid worlds, it learns in CartPole.",
        "the last figure; values unknown",
        _unseen_environments,
    ),
    Claim(
        "symla.C7",
        "On the distribution of meta-training it is comparable to a MetaRNN.",
        "Figs. 3 and 5, as recalled; values unknown",
        _comparable,
    ),
    Claim(
        "symla.C8",
        "It costs about N^2 times as much for each unit, and needs starts that are equal or i.i.d.",
        "stated as a limit",
        _cost,
    ),
)
