"""The theorem counted out, beside plain loops; the known sizes; the lemma; the example of a proper subset."""

from itertools import product

import pytest
import torch

from tutorlib.lab import UsageError
from tutorlib.papers.mbrl import version_space
from tutorlib.papers.mbrl.version_space import (
    BitModels,
    Data,
    dial,
    draw,
    every_table,
    induced,
    model_based,
    model_free,
    optimal_values,
    possible_values,
    sizes,
    strictness_example,
    transitions,
)


@pytest.fixture(scope="module")
def two_bits():
    return BitModels((1, 1)).hypotheses()


@pytest.fixture(scope="module")
def three_bits():
    return BitModels((1, 1, 1)).hypotheses()


def plain_values(following, reward, gamma):
    """Value iteration with lists."""
    states, actions = len(following), len(following[0])
    q = [[0.0] * actions for _ in range(states)]
    for _ in range(400):
        v = [max(row) for row in q]
        q = [[reward[s][a] + gamma * v[following[s][a]] for a in range(actions)] for s in range(states)]
    return q


def close(p, q):
    return all(abs(x - y) < 1e-8 for one, other in zip(p, q, strict=True) for x, y in zip(one, other, strict=True))


def plain_sets(h, data):
    """Return Q_MB and Q_MF as lists of indices into the value functions, by the definitions."""
    following, reward, values = h.next.tolist(), h.reward.tolist(), h.values.tolist()
    rows = list(zip(*(part.tolist() for part in data), strict=True))
    based = {
        int(h.which[m])
        for m in range(len(following))
        if all(following[m][s][a] == t and reward[m][s][a] == r for s, a, r, t in rows)
    }
    free = {
        i for i, q in enumerate(values) if all(abs(q[s][a] - r - h.gamma * max(q[t])) < 1e-7 for s, a, r, t in rows)
    }
    return sorted(based), sorted(free)


def test_tables_give_the_next_states():
    """Every combination of tables occurs once, and each bit reads the bits that it should."""
    for reads in ((1, 1), (2, 1), (0, 1), (1, 1, 1)):
        models = BitModels(reads)
        following = models.next_states()
        k = models.bits
        assert len(following) == models.models == torch.unique(following, dim=0).shape[0]
        for m in (0, 1, models.models // 3, models.models - 1):
            number = m
            for i in range(k):
                table, number = number % models.tables[i], number // models.tables[i]
                for s, a in product(range(2**k), range(2)):
                    read = sum((s >> (i + j) % k) % 2 << j for j in range(reads[i]))
                    assert int(following[m, s, a]) >> i & 1 == table >> (2 * read + a) & 1


def test_value_iteration_is_that_of_lists(two_bits):
    for m in (0, 7, 100, 255):
        q = plain_values(two_bits.next[m].tolist(), two_bits.reward[m].tolist(), 0.9)
        assert close(q, two_bits.values[two_bits.which[m]].tolist())


def test_value_iteration_in_pieces_is_the_same(two_bits, monkeypatch):
    monkeypatch.setattr(version_space, "CHUNK", 37)
    again = optimal_values(two_bits.next, two_bits.reward, 0.9)
    assert (again - two_bits.values[two_bits.which]).abs().max() < 1e-10


def test_the_known_sizes_of_the_classes(two_bits, three_bits):
    assert (len(two_bits.next), len(two_bits.values)) == (256, 146)
    assert (len(three_bits.next), len(three_bits.values)) == (4096, 1284)
    gaps = torch.cdist(two_bits.values.flatten(1), two_bits.values.flatten(1), p=torch.inf)
    assert gaps.fill_diagonal_(1).min() > 1e-3, "value functions that differ differ by far more than rounding"


def test_the_sets_are_those_of_the_definitions(two_bits):
    data = draw(two_bits, 6, 4, torch.Generator().manual_seed(0))
    based, free, counted = model_based(two_bits, data), model_free(two_bits, data), sizes(two_bits, data)
    for i in range(6):
        own = Data(*(part[i] for part in data))
        plain = plain_sets(two_bits, own)
        assert based[i].nonzero().flatten().tolist() == plain[0]
        assert free[i].nonzero().flatten().tolist() == plain[1]
        for n in range(5):
            expected = plain_sets(two_bits, Data(*(part[:n] for part in own)))
            assert [int(counted.based[i, n]), int(counted.free[i, n])] == [len(part) for part in expected]


def test_the_data_are_what_the_true_models_answer(two_bits):
    data = draw(two_bits, 500, 30, torch.Generator().manual_seed(0))
    assert torch.equal(data.reward, (data.state == 3).double())
    assert (sizes(two_bits, data).models >= 1).all(), "the true model always agrees"
    assert abs(float(data.state.double().mean()) - 1.5) < 0.05
    assert abs(float(data.action.double().mean()) - 0.5) < 0.02


def standard_errors(counts, expected):
    """Return how many standard errors the means over true models are from ``expected``."""
    counts = counts.double()
    return ((counts.mean(dim=0) - expected).abs() / (counts.std(dim=0) / len(counts) ** 0.5)).max()


def test_the_known_sizes_for_two_bits(two_bits):
    found = sizes(two_bits, draw(two_bits, 1000, 12, torch.Generator().manual_seed(1)))
    assert (found.violations == 0).all()
    at = [1, 2, 4, 6, 8, 12]
    assert (found.models[:, :2] == torch.tensor([256, 64])).all(), "each transition tells one entry of both tables"
    # The known numbers are means over 200 to 300 models themselves: twice the variance of these or more.
    assert standard_errors(found.models[:, at[1:]], torch.tensor([26.7, 7.6, 3.2, 2.1, 1.25])) < 7
    assert standard_errors(found.based[:, at], torch.tensor([39.2, 17.4, 5.6, 2.6, 1.8, 1.19])) < 7
    assert standard_errors(found.free[:, at], torch.tensor([57.2, 29.6, 11.0, 5.7, 3.7, 1.96])) < 7


def test_more_factors_widen_the_gap(two_bits, three_bits):
    ratios = []
    for h in (two_bits, three_bits):
        found = sizes(h, draw(h, 150, 4, torch.Generator().manual_seed(2)))
        assert (found.violations == 0).all()
        ratios.append(float(found.free[:, 4].double().mean() / found.based[:, 4].double().mean()))
    assert 1.5 < ratios[0] < 2.5
    assert ratios[1] > 4


def test_the_dial_ends_where_structure_and_gap_are_gone():
    classes = list(dial(2))
    assert [c.reads for c in classes] == [(1, 1), (2, 1), (2, 2)]
    assert [c.models for c in classes] == [256, 4096, 65536]
    gaps = []
    for c in classes:
        h = c.hypotheses()
        found = sizes(h, draw(h, 60, 3, torch.Generator().manual_seed(3)))
        assert (found.violations == 0).all()
        gaps.append(int((found.free - found.based).sum()))
    assert gaps[0] > 0
    assert gaps[1] > 0
    assert gaps[2] == 0, "tabular dynamics: no pair tells of another, so both sets are the same"
    assert [c.reads for c in dial(3)] == [(1, 1, 1), (2, 1, 1), (2, 2, 1)], "the next one is too large to be listed"


def test_without_structure_there_is_no_gap():
    """The lemma, for each of the 256 models of 2 states and 2 actions and each set of known pairs."""
    h = every_table(2, 2)
    assert h.next.shape == (256, 2, 2)
    assert h.next.sum() == h.reward.sum() == 512
    pairs = list(product(range(2), range(2)))
    true = torch.arange(256)
    total = []
    for known in product((False, True), repeat=4):
        chosen = torch.tensor([pair for pair, k in zip(pairs, known, strict=True) if k], dtype=torch.long).view(-1, 2)
        state, action = chosen.T.unsqueeze(1).expand(2, 256, -1)
        data = transitions(h, true, state, action)
        based, free = model_based(h, data), model_free(h, data)
        assert torch.equal(based, free)
        total.append(int(based.sum()))
    assert total[0] == 256 * len(h.values)
    assert total[-1] == 256, "all pairs known: one value function is left"


def test_an_example_of_a_proper_subset():
    h, data = strictness_example()
    q1, q2 = h.values[h.which]
    assert q1[:, 0].tolist() == [0, 1, 0, 0, 0]
    assert q2[:, 0].tolist() == [0, 0, 0, 0, 0]
    based, free = model_based(h, data), model_free(h, data)
    assert based.nonzero().flatten().tolist() == [int(h.which[0])]
    assert free.all()
    assert [part.tolist() for part in possible_values(h, based, 1, 0)] == [[1], [1]]
    assert [part.tolist() for part in possible_values(h, free, 1, 0)] == [[0, 1], [1, 1]]


def test_possible_values_are_a_histogram(two_bits):
    data = Data(*(part[0] for part in draw(two_bits, 1, 2, torch.Generator().manual_seed(4))))
    mask = model_free(two_bits, data)
    values, counts = possible_values(two_bits, mask, 2, 1)
    plain = [round(float(q[2, 1]), 5) for q, kept in zip(two_bits.values, mask, strict=True) if kept]
    assert [round(v, 5) for v in values.tolist()] == sorted(set(plain))
    assert counts.tolist() == [plain.count(v) for v in sorted(set(plain))]
    assert counts.sum() == mask.sum()


def test_values_that_are_equal_are_one_function():
    following = torch.tensor([[[0]], [[0]], [[0]]])
    h = induced(following, torch.tensor([[[1.0]], [[2.0]], [[1.0]]], dtype=torch.double), 0.5)
    assert len(h.values) == 2
    assert h.values[h.which].flatten().tolist() == pytest.approx([2.0, 4.0, 2.0])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BitModels(()), "reads=\\(\\)"),
        (lambda: BitModels((1, 3)), "reads=\\(1, 3\\): expected for each of the bits a whole number from 0 to 2"),
        (lambda: BitModels((2, 2, 2)), "at most 1048576 models, not 2\\^24"),
        (lambda: BitModels(actions=0), "actions=0"),
        (lambda: BitModels(gamma=1.0), "gamma=1.0: expected a number from 0, below 1"),
        (lambda: list(dial(0)), "bits=0"),
        (lambda: every_table(3, 3), "states=3: expected at most 1048576 models"),
        (lambda: optimal_values(torch.zeros(1, 1, 1).long(), torch.zeros(1, 1, 1), 1.5), "gamma=1.5"),
    ],
)
def test_classes_that_cannot_be(make, message):
    with pytest.raises(UsageError, match=message):
        make()


def test_values_of_no_state(two_bits):
    mask = torch.ones(146, dtype=torch.bool)
    with pytest.raises(UsageError, match="state=4: expected 0 to 3"):
        possible_values(two_bits, mask, 4, 0)
    with pytest.raises(UsageError, match="action=2: expected 0 to 1"):
        possible_values(two_bits, mask, 0, 2)
