"""The counter-based generator: its published vectors, an independent implementation, and its statistics."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch.func import vmap

from tutorlib.data.counter import as_integers, as_normal, as_permutation, as_uniform, philox, words
from tutorlib.lab import UsageError

M = 0xFFFFFFFF
FEW = settings(max_examples=40, deadline=None)


def philox_in_python(counter, key):
    """Philox4x32-10 word by word, as Salmon et al. (2011) write it: ten rounds, the key bumped between them."""
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [b >> 32 ^ c[1] ^ k[0], b & M, a >> 32 ^ c[3] ^ k[1], a & M]
        k = [(k[0] + 0x9E3779B9) & M, (k[1] + 0xBB67AE85) & M]
    return c


KNOWN = [
    ("0 0 0 0", "0 0", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


@pytest.mark.parametrize(("counter", "key", "expected"), KNOWN)
def test_published_vectors(counter, key, expected):
    counter, key, expected = ([int(word, 16) for word in text.split()] for text in (counter, key, expected))
    assert [int(word) for word in philox(counter, key)] == expected
    assert philox_in_python(counter, key) == expected


word = st.integers(0, M)
long_word = st.integers(0, 2**63 - 1)


@FEW
@given(st.lists(word, min_size=4, max_size=4), st.lists(word, min_size=2, max_size=2))
def test_every_block_is_that_of_the_independent_implementation(counter, key):
    assert [int(w) for w in philox(counter, key)] == philox_in_python(counter, key)


@FEW
@given(long_word, word, st.lists(long_word, min_size=1, max_size=4), st.integers(1, 9))
def test_words_lie_where_the_counter_says(key, stream, indices, n):
    found = words(key, stream, torch.tensor(indices), n)
    for row, index in zip(found.tolist(), indices, strict=True):
        expected = []
        for block in range(3):
            expected += philox_in_python((index & M, index >> 32, block, stream), (key & M, key >> 32))
        assert row == expected[:n]


@FEW
@given(long_word, long_word, st.integers(1, 20), st.integers(0, 20))
def test_the_first_words_do_not_depend_on_how_many_are_drawn(key, index, n, more):
    index = torch.tensor([index])
    assert torch.equal(words(key, 5, index, n), words(key, 5, index, n + more)[:, :n])


def test_shapes_broadcast():
    key, index = torch.arange(3).view(3, 1), torch.arange(5)
    found = words(key, 1, index, 6)
    assert found.shape == (3, 5, 6)
    for k in range(3):
        for i in range(5):
            assert torch.equal(found[k, i], words(k, 1, torch.tensor(i), 6))
    high = torch.tensor([[2], [7], [9]])
    integers = as_integers(found[..., 0], high)
    assert integers.shape == (3, 5)
    assert (integers < high).all()


def test_the_same_numbers_inside_vmap():
    keys, index = torch.arange(4), torch.arange(6)
    expected = words(keys.unsqueeze(-1), 2, index, 8)
    assert torch.equal(vmap(lambda key: words(key, 2, index, 8))(keys), expected)
    assert torch.equal(vmap(lambda i: words(keys, 2, i, 8), out_dims=1)(index), expected)
    assert torch.equal(vmap(as_normal)(expected), as_normal(expected))
    assert torch.equal(vmap(as_permutation)(expected), as_permutation(expected))


N = 40_000


def draw(stream: int, n: int, key: int = 11) -> torch.Tensor:
    return words(key, stream, torch.arange(N), n)


def test_uniform_numbers():
    u = as_uniform(draw(0, 4))
    assert u.dtype == torch.float32
    assert u.min() > 0.0
    assert u.max() < 1.0
    u = u.double()
    n = u.numel()
    assert abs(u.mean() - 1 / 2) < 4 / math.sqrt(12 * n)
    assert abs(u.var() - 1 / 12) < 4 * math.sqrt(1 / 180 / n)
    for column in u.T:
        assert stats.kstest(column.numpy(), "uniform").pvalue > 1e-3


def test_the_ends_of_the_uniform_numbers():
    u = as_uniform(torch.tensor([0, M]))
    assert u[0] == 2.0**-24
    assert u[1] == 1.0 - 2.0**-24


def test_normal_numbers():
    z = as_normal(draw(1, 4)).double()
    n = z.numel()
    assert z.isfinite().all()
    assert abs(z.mean()) < 4 / math.sqrt(n)
    assert abs(z.var() - 1) < 4 * math.sqrt(2 / n)
    assert abs((z**3).mean()) < 4 * math.sqrt(15 / n)
    assert abs((z**4).mean() - 3) < 4 * math.sqrt(96 / n)
    for column in z.T:
        assert stats.kstest(column.numpy(), "norm").pvalue > 1e-3
    # The two of a Box-Muller pair share a radius and an angle, and are independent all the same.
    for i in range(4):
        for j in range(i):
            assert abs(torch.corrcoef(torch.stack([z[:, i], z[:, j]]))[0, 1]) < 4 / math.sqrt(N)
            assert abs(torch.corrcoef(torch.stack([z[:, i] ** 2, z[:, j] ** 2]))[0, 1]) < 4 / math.sqrt(N)


def test_the_farthest_normal_numbers_are_finite():
    ends = torch.tensor([[0, 0], [0, M], [M, 0], [M, M]])
    assert as_normal(ends).isfinite().all()


@pytest.mark.parametrize("high", [1, 2, 3, 7, 24, 1000])
def test_integers_are_uniform_and_in_range(high):
    drawn = as_integers(draw(2, 1, key=high), high).flatten()
    assert drawn.min() >= 0
    assert drawn.max() < high
    counts = torch.bincount(drawn, minlength=high)
    assert high == 1 or stats.chisquare(counts.numpy()).pvalue > 1e-3


def test_integers_at_the_ends_of_their_range():
    ends = torch.tensor([0, M])
    for high in (1, 5, 2**20, 2**31):
        assert as_integers(ends, high).tolist() == [0, high - 1]


def test_integers_with_a_bound_for_each():
    high = torch.tensor([1, 2, 2**31])
    drawn = as_integers(words(0, 0, torch.arange(1000), 3), high)
    assert (drawn >= 0).all()
    assert (drawn < high).all()
    assert drawn[:, 1].float().mean() == pytest.approx(0.5, abs=0.07)


def test_permutations_are_valid_and_uniform():
    rho = as_permutation(draw(3, 4))
    assert torch.equal(rho.sort(dim=-1).values, torch.arange(4).expand(N, 4))
    number = rho @ torch.tensor([64, 16, 4, 1])
    kinds, counts = number.unique(return_counts=True)
    assert len(kinds) == 24
    assert stats.chisquare(counts.numpy()).pvalue > 1e-3


def test_equal_words_are_permuted_in_order():
    assert as_permutation(torch.tensor([7, 7, 3, 7])).tolist() == [2, 0, 1, 3]


def test_streams_keys_and_indices_are_independent():
    base = as_uniform(draw(0, 1))
    others = {
        "stream": as_uniform(draw(1, 1)),
        "key": as_uniform(draw(0, 1, key=12)),
        "high half of the key": as_uniform(draw(0, 1, key=11 + 2**32)),
        "index": as_uniform(words(11, 0, torch.arange(N) + 1, 1)),
        "high half of the index": as_uniform(words(11, 0, torch.arange(N) + 2**32, 1)),
        "place": as_uniform(draw(0, 2)[:, 1:]),
        "block": as_uniform(draw(0, 5)[:, 4:]),
    }
    for name, other in others.items():
        assert not (other == base).all(), name
        correlation = torch.corrcoef(torch.cat([base, other], dim=1).T.double())[0, 1]
        assert abs(correlation) < 4 / math.sqrt(N), name


def test_what_cannot_be_used_is_refused():
    index = torch.arange(3)
    with pytest.raises(UsageError, match="n=0: expected a whole number from 1"):
        words(0, 0, index, 0)
    for stream in (-1, 2**32):
        with pytest.raises(UsageError, match=f"stream={stream}"):
            words(0, stream, index, 1)
    with pytest.raises(UsageError, match="even number of words"):
        as_normal(words(0, 0, index, 3))
    for high in (0, -1, 2**31 + 1):
        with pytest.raises(UsageError, match=f"high={high}"):
            as_integers(words(0, 0, index, 1), high)


@pytest.mark.gpu
def test_a_gpu_draws_the_same_numbers():
    key, index = torch.tensor([[3], [2**40 + 1]]), torch.arange(1000) * 2**30
    here = words(key, 4, index, 12)
    there = words(key.cuda(), 4, index.cuda(), 12)
    assert there.device.type == "cuda"
    assert torch.equal(there.cpu(), here)
    assert torch.equal(as_integers(there, 77).cpu(), as_integers(here, 77))
    assert torch.equal(as_permutation(there).cpu(), as_permutation(here))
    torch.testing.assert_close(as_uniform(there).cpu(), as_uniform(here), rtol=0, atol=1e-6)
    torch.testing.assert_close(as_normal(there).cpu(), as_normal(here), rtol=1e-6, atol=1e-6)
