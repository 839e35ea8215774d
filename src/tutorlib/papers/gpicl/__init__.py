"""General-Purpose In-Context Learning by Meta-Learning Transformers (Kirsch et al., 2212.04458)."""
