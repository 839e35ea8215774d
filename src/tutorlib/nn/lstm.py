"""The LSTM's state from its gates: what all recurrent networks of the book have in common."""

from tutorlib.shapes import Float, Tensor


def lstm(
    i: Float[Tensor, "*batch units"],
    f: Float[Tensor, "*batch units"],
    g: Float[Tensor, "*batch units"],
    o: Float[Tensor, "*batch units"],
    c: Float[Tensor, "*batch units"],
) -> tuple[Float[Tensor, "*batch units"], Float[Tensor, "*batch units"]]:
    """Return h and c after one step, from the summed inputs of the input, forget, candidate and output gates.

    c' = sigma(f) c + sigma(i) tanh(g), h' = sigma(o) tanh(c').
    """
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


__all__ = ["lstm"]
