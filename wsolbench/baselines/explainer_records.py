"""The explainers: methods that make a map of a photo from any classifier; no PyTorch here.

Each is named by what the command line takes. Those of pytorch-grad-cam have their own names, those
of torch-cam the prefix "torchcam:"; "MODULE:FUNCTION" is a function of your own (`explainers`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ..errors import WsolbenchError, meant

__all__ = [
    "EXPLAINERS",
    "OWN",
    "TORCHCAM",
    "Explainer",
    "explainer_named",
    "is_explainer",
]

OWN, GRADCAM, TORCHCAM = "wsolbench", "grad-cam", "torchcam"
"""The packages that compute maps, by their names for pip."""

LAYER = "the layer's grid"
PATCHES = "the grid of patches"
INPUT = "S x S, the input's size"


@dataclass(frozen=True)
class Explainer:
    """A method that makes a map from any classifier.

    Attributes:
        title: in tables.
        paper: where it was published.
        package: `OWN`, `GRADCAM` or `TORCHCAM`, or empty for a function of the user's own.
        code: the name of the class in that package, or of the user's function.
        grid: (height, width) of its maps, in words.
        cost: how often the network runs for a photo, in words.
        needs: what it needs of a network beyond logits, in words; empty if nothing.
        per_class: whether the map depends on the class that is asked for.
        drawn: whether it draws random numbers; then photos are explained one by one, each from the
            same seed.
    """

    title: str
    paper: str
    package: str
    code: str
    grid: str = LAYER
    cost: str = "forward and backward"
    needs: str = ""
    per_class: bool = True
    drawn: bool = False

    @property
    def reads_layer(self) -> bool:
        """Whether it explains one layer, which may be named."""
        whole = self.package == OWN and self.code != "score_cam"
        return bool(self.package) and not whole and self.code != "FullGrad"


_CHANNELS = "a forward for each channel"
_FORWARD = "forward"
_ATTENTION = "attention over all patches (ViT, DeiT, DINOv2)"
_POOLED = "features of which the mean is classified"

_GRADCAM_PAPER = "Selvaraju et al., Grad-CAM, ICCV 2017"
_GRADCAMPP_PAPER = "Chattopadhyay et al., Grad-CAM++, WACV 2018"
_LAYERCAM_PAPER = "Jiang et al., LayerCAM, TIP 2021"
_SCORECAM_PAPER = "Wang et al., Score-CAM, CVPR Workshops 2020"
_XGRADCAM_PAPER = "Fu et al., Axiom-based Grad-CAM, BMVC 2020"
_EIGENCAM_PAPER = "Muhammad and Yeasin, Eigen-CAM, IJCNN 2020"

EXPLAINERS: Mapping[str, Explainer] = MappingProxyType(
    {
        "gradcam": Explainer("Grad-CAM", _GRADCAM_PAPER, GRADCAM, "GradCAM"),
        "gradcam++": Explainer("Grad-CAM++", _GRADCAMPP_PAPER, GRADCAM, "GradCAMPlusPlus"),
        "gradcam-elementwise": Explainer(
            "Element-wise Grad-CAM", _GRADCAM_PAPER, GRADCAM, "GradCAMElementWise"
        ),
        "hirescam": Explainer("HiResCAM", "Draelos and Carin, HiResCAM, 2020", GRADCAM, "HiResCAM"),
        "xgradcam": Explainer("XGrad-CAM", _XGRADCAM_PAPER, GRADCAM, "XGradCAM"),
        "layercam": Explainer("LayerCAM", _LAYERCAM_PAPER, GRADCAM, "LayerCAM"),
        "eigengradcam": Explainer("Eigen-Grad-CAM", _EIGENCAM_PAPER, GRADCAM, "EigenGradCAM"),
        "eigencam": Explainer(
            "Eigen-CAM", _EIGENCAM_PAPER, GRADCAM, "EigenCAM", cost=_FORWARD, per_class=False
        ),
        "kpcacam": Explainer(
            "KPCA-CAM",
            "Karmani et al., KPCA-CAM, 2024",
            GRADCAM,
            "KPCA_CAM",
            cost=_FORWARD,
            per_class=False,
        ),
        "fem": Explainer(
            "FEM", "Fuad et al., FEM, IPTA 2020", GRADCAM, "FEM", cost=_FORWARD, per_class=False
        ),
        "scorecam": Explainer("Score-CAM", _SCORECAM_PAPER, OWN, "score_cam", cost=_CHANNELS),
        "ablationcam": Explainer(
            "Ablation-CAM",
            "Desai and Ramaswamy, Ablation-CAM, WACV 2020",
            GRADCAM,
            "AblationCAM",
            cost=_CHANNELS,
            needs="features (B, c, h, w)",
        ),
        "fullgrad": Explainer(
            "FullGrad",
            "Srinivas and Fleuret, Full-Gradient Representation, NeurIPS 2019",
            GRADCAM,
            "FullGrad",
            grid=INPUT,
            needs="convolutions throughout",
        ),
        "position-score": Explainer(
            "Class score of a position",
            "Zhou et al., CVPR 2016; for tokens the same",
            OWN,
            "position_scores",
            cost=_FORWARD,
            needs=_POOLED,
        ),
        "attention": Explainer(
            "Last attention",
            "Caron et al., Emerging Properties in Self-Supervised Vision Transformers, ICCV 2021",
            OWN,
            "last_attention",
            grid=PATCHES,
            cost=_FORWARD,
            needs=_ATTENTION,
            per_class=False,
        ),
        "attention-rollout": Explainer(
            "Attention rollout",
            "Abnar and Zuidema, Quantifying Attention Flow in Transformers, ACL 2020",
            OWN,
            "attention_rollout",
            grid=PATCHES,
            cost=_FORWARD,
            needs=_ATTENTION,
            per_class=False,
        ),
        "attention-gradient": Explainer(
            "Gradient-weighted attention",
            "Chefer et al., Generic Attention-model Explainability, ICCV 2021",
            OWN,
            "attention_gradient",
            grid=PATCHES,
            needs=_ATTENTION,
        ),
        "legrad": Explainer(
            "LeGrad",
            "Bousselham et al., LeGrad, ICCV 2025",
            OWN,
            "legrad",
            grid=PATCHES,
            cost="forward and a backward for each block",
            needs=_ATTENTION,
        ),
        "torchcam:gradcam": Explainer("Grad-CAM (torch-cam)", _GRADCAM_PAPER, TORCHCAM, "GradCAM"),
        "torchcam:gradcam++": Explainer(
            "Grad-CAM++ (torch-cam)", _GRADCAMPP_PAPER, TORCHCAM, "GradCAMpp"
        ),
        "torchcam:smoothgradcam++": Explainer(
            "Smooth Grad-CAM++ (torch-cam)",
            "Omeiza et al., Smooth Grad-CAM++, 2019",
            TORCHCAM,
            "SmoothGradCAMpp",
            cost="4 times forward and backward",
            drawn=True,
        ),
        "torchcam:xgradcam": Explainer(
            "XGrad-CAM (torch-cam)", _XGRADCAM_PAPER, TORCHCAM, "XGradCAM"
        ),
        "torchcam:layercam": Explainer(
            "LayerCAM (torch-cam)", _LAYERCAM_PAPER, TORCHCAM, "LayerCAM"
        ),
        "torchcam:scorecam": Explainer(
            "Score-CAM (torch-cam)", _SCORECAM_PAPER, TORCHCAM, "ScoreCAM", cost=_CHANNELS
        ),
        "torchcam:sscam": Explainer(
            "SS-CAM (torch-cam)",
            "Wang et al., SS-CAM, 2020",
            TORCHCAM,
            "SSCAM",
            cost="35 forwards for each channel",
            drawn=True,
        ),
        "torchcam:iscam": Explainer(
            "IS-CAM (torch-cam)",
            "Naidu et al., IS-CAM, 2020",
            TORCHCAM,
            "ISCAM",
            cost="10 forwards for each channel",
        ),
    }
)
"""The explainers by the names that the command line takes."""


def is_explainer(name: str) -> bool:
    """Whether a method is an explainer: one of `EXPLAINERS`, or "MODULE:FUNCTION"."""
    return name in EXPLAINERS or (
        ":" in name and not name.startswith(("trivial:", "torchcam:", "edges:"))
    )


def explainer_named(name: str) -> Explainer:
    """The explainer of this name.

    Raises:
        WsolbenchError: the name is unknown.
    """
    if name in EXPLAINERS:
        return EXPLAINERS[name]
    if is_explainer(name):
        return Explainer(
            name.rpartition(":")[2], name, "", name, grid="as returned", cost="unknown"
        )
    raise WsolbenchError(
        f"method {name!r}",
        found="an unknown name",
        expected="cam, sem, one of `wsolbench predict list`, or MODULE:FUNCTION",
        cure=meant([name], ["cam", "sem", *EXPLAINERS], "see `wsolbench predict list`"),
    )
