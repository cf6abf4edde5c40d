"""Backbones with their layers, names and strides, but few channels, so that tests are quick."""

from __future__ import annotations

from functools import partial

import pytest
import torchvision

from wsolbench.baselines import networks

__all__ = ["narrow_networks"]

_VGG = [8, 8, "M", 8, 8, "M", 16, 16, 16, "M", 16, 16, 16, "M", 16, 16, 512, "M"]


def narrow_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Narrow VGG16, the ResNets and the head of ACoL; Inception and SqueezeNet stay as they are."""
    monkeypatch.setattr(networks, "HEAD_CHANNELS", 8)
    monkeypatch.setitem(torchvision.models.vgg.cfgs, "D", _VGG)
    for name in ("resnet50", "resnet101"):
        whole = getattr(torchvision.models, name)
        monkeypatch.setattr(torchvision.models, name, partial(whole, width_per_group=4))
