"""The ledger of what a computation asks of a device."""

import pytest
import torch
from memory import Ledger
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode


def test_bytes_are_counted_while_a_tensor_or_a_view_of_it_lives():
    with FakeTensorMode():
        x = torch.empty(1000, device="meta")
        with Ledger() as ledger:
            y = x * 2  # 4000 bytes, and 8000 once there are two
            z = (y + 1)[:10]
            assert (ledger.held, ledger.peak) == (8000, 8000), "a view holds all of what it looks at"
            del y
            assert ledger.held == 4000
            del z
            assert ledger.held == 0
            x.view(10, 100).t()
            assert (ledger.held, ledger.largest, ledger.peak) == (0, 4000, 8000)
            torch.empty(500, 3, dtype=torch.float64, device="meta")
    assert (ledger.largest, ledger.largest_shape) == (12_000, (500, 3))
    assert ledger.peak == 12_000
    assert not ledger.elsewhere


def test_what_a_gradient_keeps_is_counted():
    with FakeTensorMode():
        x = torch.empty(1000, device="meta", requires_grad=True)
        with Ledger() as ledger:
            y = x
            for _ in range(5):
                y = y.sin().cos()  # each keeps what it read for the way back, the first x itself
            assert ledger.held == 10 * 4000, "what was kept, and y"
            y.sum().backward()


def test_a_tensor_of_the_host_is_named():
    with FakeTensorMode():
        x = torch.empty(3, device="meta")
        with Ledger() as ledger:
            x + 1.0
            assert not ledger.elsewhere
            torch.tensor([1.0, 2.0], device="meta")
            assert ledger.elsewhere == ["torch.tensor"], "a copy from the host"
            ledger.elsewhere.clear()
            with pytest.raises(RuntimeError, match="device"):
                x + torch.ones(3)
            assert ledger.elsewhere == ["aten.ones.default"], "which device it is on"
            with pytest.raises(DataDependentOutputException):
                x.sum().item()
