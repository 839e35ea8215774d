"""Exploring through Random Curiosity with General Value Functions (Ramesh et al., NeurIPS 2022, 2211.10282)."""
