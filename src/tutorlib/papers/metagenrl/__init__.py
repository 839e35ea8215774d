"""Improving Generalization in Meta Reinforcement Learning using Learned Objectives (1910.04098)."""
