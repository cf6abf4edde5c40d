"""The paper's statements on the methods, as comparisons that a study can make.

Sources are the paper's sections and tables. A statement about InceptionV3 on ImageNet may well be
true there and not here: a finding says what holds in this study, nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..baselines.settings import METHODS
from .estimate import Estimate
from .plan import FEAT5

__all__ = ["Claim", "Finding", "claims", "judged"]

WORSE_DEPTHS = {("feat3",), ("feat4",), ("feat4", "feat5")}
"""Features of which the supplement's Table 1 says that they localize worse than feat5."""

Side = tuple[str, tuple[str, ...] | float | int | None]
"""A method, and its maps: None for its own, features for SEM on them at the K chosen on val, or a
K."""


@dataclass(frozen=True)
class Claim:
    """A statement that `second` scores higher, or lower, than `first`.

    Attributes:
        text: the statement.
        source: where the paper makes it.
        key: of the score on test; "peak_threshold" is compared on val.
        first: the one side.
        second: the other side.
        expected: 1 if the second is said to be higher, -1 if lower.
    """

    text: str
    source: str
    key: str
    first: Side
    second: Side
    expected: int


@dataclass(frozen=True)
class Finding:
    """What a study says of a claim.

    Attributes:
        claim: the statement.
        difference: second minus first.
        verdict: "holds", "is contradicted" or "undecided".
    """

    claim: Claim
    difference: Estimate
    verdict: str


def judged(claim: Claim, difference: Estimate) -> Finding:
    """Whether a difference, with its interval and over its seeds, has the sign of a claim."""
    sign = difference.sign
    verdict = "undecided" if not sign else "holds" if sign == claim.expected else "is contradicted"
    return Finding(claim, difference, verdict)


def claims(methods: Sequence[str], plan: Mapping[str, Any]) -> list[Claim]:
    """The statements about the methods of a study, as far as it has both sides."""
    shares = plan["shares"]
    found: list[Claim] = []
    for name in methods:
        title = METHODS[name].title
        own, sem = (name, None), (name, FEAT5)
        erasing = name in ("acol", "adl")
        found += [
            Claim(
                f"SEM raises the IoU of {title}'s maps",
                "section 4.2, Table 1",
                "iou_at_threshold",
                own,
                sem,
                1,
            ),
            Claim(
                f"SEM raises Peak-T of {title}",
                "section 4.2, Table 1",
                "peak_threshold",
                own,
                sem,
                1,
            ),
            Claim(
                f"SEM {'lowers' if erasing else 'raises'} the AP of {title}'s maps",
                "section 4.2, Table 1",
                "ap",
                own,
                sem,
                -1 if erasing else 1,
            ),
        ]
        if not erasing:
            found.append(
                Claim(
                    f"SEM raises GT-known of {title}",
                    "section 4.2, Table 4",
                    "gt_known_loc",
                    own,
                    sem,
                    1,
                )
            )
    for name, expected in (("has", 1), ("spg", 1), ("acol", -1), ("cutmix", -1), ("adl", -1)):
        if name in methods and "cam" in methods:
            words = "a higher" if expected > 0 else "no higher"
            found.append(
                Claim(
                    f"{METHODS[name].title}'s own maps have {words} AP than CAM's",
                    "section 4.2, Table 1",
                    "ap",
                    ("cam", None),
                    (name, None),
                    expected,
                )
            )
    depth = plan["depth_method"]
    if depth in methods:
        for features in plan["depths"]:
            if tuple(features) not in WORSE_DEPTHS:
                continue
            found.append(
                Claim(
                    f"SEM on {' + '.join(features)} has a lower GT-known than on feat5",
                    "supplement, Table 1",
                    "gt_known_loc",
                    (depth, FEAT5),
                    (depth, tuple(features)),
                    -1,
                )
            )
        ends = ((shares[0], "smallest"), (shares[-1], "largest")) if len(shares) > 1 else ()
        for share, words in ends:
            found.append(
                Claim(
                    f"The {words} K ({share:g}) has a lower GT-known than the best",
                    "section 4.3, Table 6 (there 1 and 100 of 1,600)",
                    "gt_known_loc",
                    (depth, FEAT5),
                    (depth, share),
                    -1,
                )
            )
    return found
