"""Claims of the paper."""
CLAIMS = ()
