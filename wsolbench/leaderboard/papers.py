"""The papers of methods that entries cite, with all authors and the whole title.

Source: the papers on arXiv; [3] to [7] and [10] of Zhang et al., Rethinking Localization Map.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["PAPERS", "Paper"]


@dataclass(frozen=True)
class Paper:
    """A paper on arXiv.

    Attributes:
        authors: all, as the paper prints them, with commas between.
        title: the whole title.
        arxiv: its number.
    """

    authors: str
    title: str
    arxiv: str

    @property
    def link(self) -> str:
        """Its address."""
        return f"https://arxiv.org/abs/{self.arxiv}"


PAPERS: dict[str, Paper] = {
    "cam": Paper(
        "Bolei Zhou, Aditya Khosla, Agata Lapedriza, Aude Oliva, Antonio Torralba",
        "Learning Deep Features for Discriminative Localization",
        "1512.04150",
    ),
    "has": Paper(
        "Krishna Kumar Singh, Yong Jae Lee",
        "Hide-and-Seek: Forcing a Network to be Meticulous for Weakly-supervised Object and Action "
        "Localization",
        "1704.04232",
    ),
    "acol": Paper(
        "Xiaolin Zhang, Yunchao Wei, Jiashi Feng, Yi Yang, Thomas Huang",
        "Adversarial Complementary Learning for Weakly Supervised Object Localization",
        "1804.06962",
    ),
    "spg": Paper(
        "Xiaolin Zhang, Yunchao Wei, Guoliang Kang, Yi Yang, Thomas Huang",
        "Self-produced Guidance for Weakly-supervised Object Localization",
        "1807.08902",
    ),
    "cutmix": Paper(
        "Sangdoo Yun, Dongyoon Han, Seong Joon Oh, Sanghyuk Chun, Junsuk Choe, Youngjoon Yoo",
        "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features",
        "1905.04899",
    ),
    "adl": Paper(
        "Junsuk Choe, Hyunjung Shim",
        "Attention-based Dropout Layer for Weakly Supervised Object Localization",
        "1908.10028",
    ),
    "sem": Paper(
        "Xiaolin Zhang, Yunchao Wei, Yi Yang, Fei Wu",
        "Rethinking Localization Map: Towards Accurate Object Perception with Self-Enhancement "
        "Maps",
        "2006.05220",
    ),
}
"""By the name of the method, in small letters."""
