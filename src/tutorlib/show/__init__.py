"""Figures and explorers for the book's pages.

``style`` is how every Matplotlib figure looks, ``explorer`` an interactive figure that works with and
without a kernel, and ``grid`` the data of the explorer over a grid of runs. Import from these modules: this
one stays empty so that an explorer needs no Matplotlib.
"""
