"""The ten chapters: each paper with its names, its addresses, and its pages in the book."""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Chapter:
    """One paper and the chapter on it."""

    slug: str
    name: str
    """how the book calls the paper, such as ``GPICL``"""
    title: str
    """the paper's own title"""
    authors: str
    venue: str
    """where it appeared, with the year"""
    arxiv: str
    """its number, such as ``2212.04458``"""
    code: tuple[str, ...] = ()
    """addresses of the authors' code; none: none is known"""

    @property
    def paper(self) -> str:
        """The address of the paper."""
        return f"https://arxiv.org/abs/{self.arxiv}"

    def page(self, pages: Collection[str]) -> str:
        """Return the chapter's first page among ``pages``: its idea, or its preview until it has results."""
        return f"notebooks/{self.slug}/idea" if self.ready(pages) else f"book/previews/{self.slug}"

    def ready(self, pages: Collection[str]) -> bool:
        """Return whether ``pages`` hold the chapter with its results, and not just its preview or its idea."""
        return f"notebooks/{self.slug}/results" in pages


CHAPTERS = (
    Chapter(
        "vsml",
        "VSML",
        "Meta Learning Backpropagation And Improving It",
        "Louis Kirsch and Jürgen Schmidhuber",
        "NeurIPS 2021",
        "2012.14905",
        ("https://github.com/louiskirsch/vsml-neurips2021",),
    ),
    Chapter(
        "gpicl",
        "GPICL",
        "General-Purpose In-Context Learning by Meta-Learning Transformers",
        "Louis Kirsch, James Harrison, Jascha Sohl-Dickstein and Luke Metz",
        "arXiv 2022",
        "2212.04458",
    ),
    Chapter(
        "metagenrl",
        "MetaGenRL",
        "Improving Generalization in Meta Reinforcement Learning using Learned Objectives",
        "Louis Kirsch, Sjoerd van Steenkiste and Jürgen Schmidhuber",
        "ICLR 2020",
        "1910.04098",
        ("https://github.com/louiskirsch/metagenrl",),
    ),
    Chapter(
        "symla",
        "SymLA",
        "Introducing Symmetries to Black Box Meta Reinforcement Learning",
        "Louis Kirsch, Sebastian Flennerhag, Hado van Hasselt, Abram Friesen, Junhyuk Oh and Yutian Chen",
        "AAAI 2022",
        "2109.10781",
    ),
    Chapter(
        "rcgvf",
        "RC-GVF",
        "Exploring through Random Curiosity with General Value Functions",
        "Aditya Ramesh, Louis Kirsch, Sjoerd van Steenkiste and Jürgen Schmidhuber",
        "NeurIPS 2022",
        "2211.10282",
        (
            "https://github.com/Aditya-Ramesh-10/diabolical-lock-experiments",
            "https://github.com/Aditya-Ramesh-10/exploring-through-rcgvf",
        ),
    ),
    Chapter(
        "mbrl",
        "Model-based RL",
        "The Benefits of Model-Based Generalization in Reinforcement Learning",
        "Kenny Young, Aditya Ramesh, Louis Kirsch and Jürgen Schmidhuber",
        "ICML 2023",
        "2211.02222",
        ("https://github.com/kenjyoung/Model_Generalization_Code_supplement",),
    ),
    Chapter(
        "gogepo",
        "GoGePo",
        "Goal-Conditioned Generators of Deep Policies",
        "Francesco Faccio, Vincent Herrmann, Aditya Ramesh, Louis Kirsch and Jürgen Schmidhuber",
        "AAAI 2023",
        "2207.01570",
        ("https://github.com/IDSIA/GoGePo",),
    ),
    Chapter(
        "gmf",
        "Mean field",
        "Gaussian Mean Field Regularizes by Limiting Learned Information",
        "Julius Kunze, Louis Kirsch, Hippolyt Ritter and David Barber",
        "Entropy 2019",
        "1902.04340",
    ),
    Chapter(
        "modular",
        "Modular networks",
        "Modular Networks: Learning to Decompose Neural Computation",
        "Louis Kirsch, Julius Kunze and David Barber",
        "NeurIPS 2018",
        "1811.05249",
        ("https://github.com/louiskirsch/libmodular",),
    ),
    Chapter(
        "asr",
        "Speech transfer",
        "Transfer Learning for Speech Recognition on a Budget",
        "Julius Kunze, Louis Kirsch, Ilia Kurenkov, Andreas Krug, Jens Johannsmeier and Sebastian Stober",
        "RepL4NLP 2017",
        "1706.00290",
        ("https://github.com/transfer-learning-asr/transfer-learning-asr",),
    ),
)
"""In the order of the book's parts."""
