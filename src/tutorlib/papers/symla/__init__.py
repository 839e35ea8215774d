"""Introducing Symmetries to Black Box Meta Reinforcement Learning (Kirsch et al., AAAI 2022, 2109.10781)."""
