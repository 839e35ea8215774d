"""Windows are consecutive steps of one finished episode, each episode is as likely, and padding is nothing."""

import pytest
import torch

from tutorlib.lab import UsageError
from tutorlib.rl import Steps, add_steps, empty_windows, longest_episode, num_finished, sample_windows, windows_from

CPU = torch.device("cpu")


def drawn(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)).clamp(min=1e-7)


def filled(ends, capacity, iterations, nets=2, lanes=3):
    """Return a replay, and what was written: a list of (net, lane, episode, step) by reward; ``ends(lane, t)``."""
    replay = empty_windows(2, 1, nets, lanes, capacity, CPU)
    written, episode, begun = {}, [[0] * lanes for _ in range(nets)], [[0] * lanes for _ in range(nets)]
    for t in range(iterations):
        reward = torch.zeros(nets, lanes)
        ended = torch.zeros(nets, lanes, dtype=torch.bool)
        for n in range(nets):
            for lane in range(lanes):
                name = 1 + t + 1000 * lane + 10_000 * n
                written[name] = (n, lane, episode[n][lane], t - begun[n][lane], t)
                reward[n, lane], ended[n, lane] = name, ends(n, lane, t)
                if ended[n, lane]:
                    episode[n][lane] += 1
                    begun[n][lane] = t + 1
        o = torch.stack([reward, -reward], dim=-1)
        add_steps(replay, t, Steps(o, reward.unsqueeze(-1) / 2, reward, o + 0.5, ended.float(), ended))
    return replay, written


def lengths_of(written, iterations, capacity, ends):
    """Return the lengths of finished episodes that are kept whole, by (net, lane, episode)."""
    found = {}
    for n, lane, episode, step, t in written.values():
        key = n, lane, episode
        length, first, over = found.get(key, (0, t, False))
        found[key] = max(length, step + 1), min(first, t), over or ends(n, lane, t)
    return {key: length for key, (length, first, over) in found.items() if over and first >= iterations - capacity}


def uneven(n, lane, t):
    """Episodes of other lengths in each lane: 3, 5 or 8 steps, and a long one now and then."""
    return t % (3, 5, 8)[lane] == (3, 5, 8)[lane] - 1 and not (n == 1 and lane == 0 and 6 <= t < 20)


@pytest.mark.parametrize(("capacity", "iterations"), [(100, 41), (12, 41), (17, 60)])
def test_windows_are_consecutive_steps_of_kept_finished_episodes(capacity, iterations):
    replay, written = filled(uneven, capacity, iterations)
    kept = lengths_of(written, iterations, capacity, uneven)
    of_net = [sum(key[0] == n for key in kept) for n in range(2)]
    assert num_finished(replay, iterations).tolist() == of_net
    w = windows_from(replay, iterations, 4, drawn(2, 3000, 2))
    seen = {}
    for n in range(2):
        for b in range(3000):
            steps = int(w.mask[n, b].sum())
            assert w.mask[n, b].tolist() == [1] * steps + [0] * (4 - steps)
            rows = [written[round(float(r))] for r in w.reward[n, b, :steps]]
            key = rows[0][:3]
            assert key[0] == n
            assert all(row[:3] == key for row in rows)
            assert [row[3] for row in rows] == list(range(rows[0][3], rows[0][3] + steps))
            assert steps == min(4, kept[key])
            seen.setdefault(key, []).append(rows[0][3])
            for part in w[:5]:
                assert (part[n, b, steps:] == 0).all()
    assert seen.keys() == kept.keys(), "each one, and no other"
    for key, begins in seen.items():
        share = len(begins) / 3000 * of_net[key[0]]
        assert 0.7 < share < 1.3, "episodes are as likely, whatever their length"
        assert set(begins) == set(range(max(1, kept[key] - 4 + 1)))
    full = w.mask.bool()
    assert torch.equal(w.o[full], torch.stack([w.reward[full], -w.reward[full]], dim=-1))
    assert torch.equal(w.next[full], w.o[full] + 0.5)
    assert torch.equal(w.action[full][:, 0], w.reward[full] / 2)
    steps = [written[round(float(r))] for r in w.reward[full]]
    ends = torch.tensor([float(uneven(n, lane, t)) for n, lane, _, _, t in steps])
    assert torch.equal(w.done[full], ends)
    assert 0 < ends.sum() < len(ends)


def test_every_offset_is_as_likely():
    replay, _ = filled(lambda n, lane, t: t == 9, 10, 10)
    w = windows_from(replay, 10, 4, drawn(2, 7000, 2))
    counts = torch.bincount(((w.reward[0, :, 0] - 1) % 1000).long())
    assert len(counts) == 7
    assert (counts - 1000).abs().max() < 150


def test_without_a_finished_episode_all_is_padding():
    replay, _ = filled(lambda n, lane, t: n == 0 and t == 3, 10, 6)
    w = windows_from(replay, 6, 3, drawn(2, 5, 2))
    assert w.mask[0].all()
    assert all((part[1] == 0).all() for part in w)


def test_the_largest_number_stays_inside():
    replay, _ = filled(uneven, 50, 40)
    u = torch.full((2, 4, 2), 1 - 2**-24)
    assert windows_from(replay, 40, 3, u).mask.all()


def test_a_tensor_for_the_number_is_the_number():
    replay, _ = filled(uneven, 12, 40)
    u = drawn(2, 9, 2)
    for one, other in zip(windows_from(replay, 40, 3, u), windows_from(replay, torch.tensor(40), 3, u), strict=True):
        assert torch.equal(one, other)


def test_what_cannot_be_sampled_is_refused_by_its_name():
    empty = empty_windows(2, 1, 2, 3, 10, CPU)
    with pytest.raises(UsageError, match="written=0: expected iterations after which each agent has finished an epis"):
        sample_windows(empty, 0, 3, drawn(2, 5, 2))
    started, _ = filled(lambda n, lane, t: n == 0 and t == 3, 10, 6)
    with pytest.raises(UsageError, match="written=6: expected iterations after which each agent"):
        sample_windows(started, 6, 3, drawn(2, 5, 2))
    replay, _ = filled(uneven, 100, 41)
    assert longest_episode(replay, 41) == 8
    assert sample_windows(replay, 41, 8, drawn(2, 5, 2)).mask.any()
    with pytest.raises(UsageError, match="length=9: expected at most 8, the longest episode that each agent"):
        sample_windows(replay, 41, 9, drawn(2, 5, 2))
    with pytest.raises(UsageError, match=r"u=.*: expected one row for each of 2 agents"):
        sample_windows(replay, 41, 3, drawn(3, 5, 2))
    for name in ("observations", "actions", "nets", "lanes", "capacity"):
        good = {"observations": 2, "actions": 1, "nets": 2, "lanes": 3, "capacity": 4, "device": CPU}
        with pytest.raises(UsageError, match=f"{name}=0: expected a whole number from 1"):
            empty_windows(**good | {name: 0})
