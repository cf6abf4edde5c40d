"""Devices by name."""

from __future__ import annotations

import os

import torch

from ..errors import WsolbenchError

__all__ = ["device_named", "require_precision"]


def device_named(name: str) -> torch.device:
    """A device, e.g. "cpu", "cuda:1", or "auto": the first available of cuda, mps, cpu.

    Under `torchrun`, "auto" and "cuda" are the GPU with the process's local number.

    Raises:
        WsolbenchError: the name is unknown, or there is no such device.
    """
    local = os.environ.get("LOCAL_RANK", "")
    if name in ("auto", "cuda") and torch.cuda.is_available():
        name = f"cuda:{local}" if local.isdecimal() else "cuda:0"
    if name == "auto":
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise WsolbenchError(
            f"device {name!r}",
            found="an unknown device",
            expected="cpu, cuda, mps or auto",
            cure="name one of them",
        ) from error
    there = {
        "cpu": 1,
        "cuda": torch.cuda.device_count(),
        "mps": int(torch.backends.mps.is_available()),
    }.get(device.type, 0)
    if (device.index or 0) >= there:
        raise WsolbenchError(
            f"device {name!r}",
            found=f"only {there} {device.type} devices are available",
            cure='name another device, or "auto" for the best one',
        )
    return device


def require_precision(precision: str, device: torch.device) -> None:
    """Raise unless a device can train in a precision, which only CUDA can in float16."""
    if precision == "float16" and device.type != "cuda":
        raise WsolbenchError(
            "precision",
            found=f"float16 on {device.type}",
            expected="float32 or bfloat16 there",
            cure="use bfloat16, or a CUDA device",
        )
