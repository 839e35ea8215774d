"""One step of an LSTM is torch's."""

import torch

from tutorlib.nn import lstm


def test_the_step_is_that_of_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    cell = torch.nn.LSTMCell(3, 5)
    x, h, c = (torch.randn(2, n, generator=generator) for n in (3, 5, 5))
    gates = (x @ cell.weight_ih.T + cell.bias_ih + h @ cell.weight_hh.T + cell.bias_hh).chunk(4, dim=-1)
    for ours, torchs in zip(lstm(*gates, c), cell(x, (h, c)), strict=True):
        torch.testing.assert_close(ours, torchs)
