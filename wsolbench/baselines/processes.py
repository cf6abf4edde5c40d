"""The processes of one run under `torchrun`: who this one is, and how they wait for one another."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed

from ..errors import WsolbenchError

__all__ = ["Processes", "joined_processes", "processes_here"]

LONGEST_WAIT = timedelta(days=2)
"""Processes may differ in speed by this much before they are taken for dead."""


@dataclass(frozen=True)
class Processes:
    """One process of a run.

    Attributes:
        rank: its number, from 0.
        count: how many there are.
    """

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and prints."""
        return self.rank == 0

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.count > 1:
            distributed.barrier()

    def summed(self, values: Tensor) -> Tensor:
        """The sum of a tensor over all processes."""
        if self.count > 1:
            distributed.all_reduce(values)
        return values


def processes_here() -> Processes:
    """This process as `torchrun` numbered it; the only one without `torchrun`.

    Raises:
        WsolbenchError: the environment is inconsistent.
    """
    try:
        own = Processes(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))
    except ValueError as error:
        raise _inconsistent() from error
    if not 0 <= own.rank < own.count:
        raise _inconsistent()
    return own


def _inconsistent() -> WsolbenchError:
    found = {name: os.environ.get(name) for name in ("RANK", "WORLD_SIZE")}
    return WsolbenchError(
        "the environment",
        found=f"RANK {found['RANK']!r} and WORLD_SIZE {found['WORLD_SIZE']!r}",
        expected="a number below another",
        cure="start with torchrun, or unset both variables",
    )


@contextmanager
def joined_processes(device: torch.device) -> Iterator[Processes]:
    """The processes of this run, connected by NCCL on CUDA and by Gloo elsewhere."""
    own = processes_here()
    if own.count == 1:
        yield own
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    distributed.init_process_group(
        "nccl" if device.type == "cuda" else "gloo", timeout=LONGEST_WAIT
    )
    try:
        yield own
    finally:
        distributed.destroy_process_group()
