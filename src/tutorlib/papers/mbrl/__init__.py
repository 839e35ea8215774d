"""The Benefits of Model-Based Generalization in Reinforcement Learning (Young et al., ICML 2023, 2211.02222)."""
