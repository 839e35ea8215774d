"""Goal-Conditioned Generators of Deep Policies (Faccio, Herrmann et al., AAAI 2023, 2207.01570)."""
