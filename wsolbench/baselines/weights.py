"""State dicts from files, and networks filled from them.

Files are those of `torch.save`, read without running code, or of safetensors. Checkpoints of other
programs wrap the state dict in a dict with other content and its names in prefixes (`module.` of
DataParallel, `_orig_mod.` of torch.compile, `model.` of Lightning); both are removed if that is the
only way to read the file, and recorded. Every parameter must come from the file.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import WsolbenchError, one_of, some
from ..files import require_file

__all__ = ["fill", "read_state_dict"]

_COUNTERS = ".num_batches_tracked"  # of batch norm: unused here, and missing in older files

# torchvision's DenseNet files keep the names of 2017: denselayer1.norm.1 is denselayer1.norm1 now.
_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12])\.")


def read_state_dict(
    path: str | os.PathLike[str], key: str | None = None
) -> tuple[dict[str, Tensor], list[str]]:
    """Read named tensors from a file of `torch.save` or of safetensors (suffix .safetensors).

    Code in the file is never run (`weights_only=True`). Of a dict with other content, the only
    entry that is a dict of named tensors is taken.

    Args:
        path: the file.
        key: the entry to take, e.g. "model_ema".

    Returns:
        The tensors by name, and what was unwrapped, in words.

    Raises:
        WsolbenchError: the file is missing or cannot be read safely, has no named tensors, has
            several dicts of them and no key was given, or has no such key.
    """
    file = require_file(path, "a state dict")
    content = _read_safetensors(file) if file.suffix == ".safetensors" else _read_pickled(file)
    if key is None and _is_state_dict(content):
        return dict(content), []  # type: ignore[call-overload]
    entries = content if isinstance(content, Mapping) else {}
    inner = {str(name): value for name, value in entries.items() if _is_state_dict(value)}
    if not inner:
        raise WsolbenchError(
            file,
            found=f"a {type(content).__name__} that is not a dict of named tensors"
            if key is None or not _is_state_dict(content)
            else "a state dict itself, without entries to choose from",
            expected="a state dict",
            cure="save it with torch.save(model.state_dict(), FILE)"
            if key is None
            else "leave --weights-key out (key=None)",
        )
    if key is None and len(inner) > 1:
        raise WsolbenchError(
            file,
            found=f"{len(inner)} state dicts: {', '.join(inner)}",
            expected="one",
            cure="choose one: --weights-key NAME (weights_key=)",
        )
    chosen = next(iter(inner)) if key is None else key
    if chosen not in inner:
        raise WsolbenchError(
            file,
            found=f"no state dict {chosen!r}",
            expected=one_of(inner),
            cure="name one of these with --weights-key (weights_key=)",
        )
    return dict(inner[chosen]), [f"taken from the entry {chosen!r}"]


def fill(
    network: nn.Module,
    state: Mapping[str, Tensor],
    where: str | os.PathLike[str],
    *,
    skipped: Collection[str],
    cure: str,
) -> list[str]:
    """Fill all parameters of a network.

    Args:
        network: to fill.
        state: tensors by name; if all that are wanted have one prefix more, it is removed.
        where: their file, for messages.
        skipped: prefixes of names that may be left over.
        cure: what to do if parameters are missing, unexpected or of another shape.

    Returns:
        What was renamed, in words.

    Raises:
        WsolbenchError: parameters are missing, unexpected or of another shape.
    """
    wanted = network.state_dict()
    named, notes = _renamed(state, wanted)
    given = {
        name: tensor
        for name, tensor in named.items()
        if name in wanted or not name.startswith(tuple(skipped))
    }
    missing = [n for n in wanted if n not in given and not n.endswith(_COUNTERS)]
    unexpected = [name for name in given if name not in wanted]
    misshapen = [
        f"{name} {tuple(given[name].shape)} for {tuple(wanted[name].shape)}"
        for name in wanted
        if name in given and given[name].shape != wanted[name].shape
    ]
    faults = [
        f"{len(names)} {kind} ({some(names)})"
        for kind, names in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape", misshapen),
        )
        if names
    ]
    if faults:
        shared = _shared(unexpected)
        raise WsolbenchError(
            where,
            found=f"parameters {', '.join(faults)}"
            + (f"; every unexpected name starts with {shared!r}" if shared else ""),
            expected=f"the {len(wanted)} of this backbone",
            cure=cure,
        )
    network.load_state_dict(given, strict=False)
    return notes


def _renamed(
    state: Mapping[str, Tensor], wanted: Collection[str]
) -> tuple[dict[str, Tensor], list[str]]:
    """The tensors under the network's own names, as far as these are known, and what was done."""
    named = {_OLD_DENSENET.sub(r"\1\2.", name): tensor for name, tensor in state.items()}
    old = len(state.keys() - named.keys())
    notes = [f"{old} names of DenseNet's older form were read as today's"] if old else []
    prefixes = _prefixes(named, [name for name in wanted if not name.endswith(_COUNTERS)])
    if len(prefixes) != 1 or not prefixes[0]:
        return named, notes
    (prefix,) = prefixes
    other = [name for name in named if not name.startswith(prefix)]
    notes.append(
        f"the prefix {prefix!r} of names was removed"
        + (f"; {len(other)} names without it were ignored ({some(other)})" if other else "")
    )
    own = {name: tensor for name, tensor in named.items() if name not in other}
    return {name[len(prefix) :]: tensor for name, tensor in own.items()}, notes


def _prefixes(names: Collection[str], wanted: Sequence[str]) -> list[str]:
    """The prefixes, perhaps an empty one, under which all wanted names are there."""
    first = wanted[0]
    found = [name.removesuffix(first) for name in names if name.endswith(first)]
    return [
        prefix
        for prefix in found
        if (not prefix or prefix.endswith(".")) and all(prefix + name in names for name in wanted)
    ]


def _shared(names: Collection[str]) -> str:
    """The first part of dotted names, with its dot, if all have the same; otherwise nothing."""
    first = {name.partition(".")[0] for name in names}
    prefix = f"{first.pop()}." if len(first) == 1 else ""
    return prefix if all(len(name) > len(prefix) > 1 for name in names) else ""


def _is_state_dict(content: object) -> bool:
    return (
        isinstance(content, Mapping)
        and bool(content)
        and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items())
    )


def _read_pickled(file: Path) -> object:
    # Checkpoints keep the options of a run beside the tensors; a Namespace only holds values.
    allowing = getattr(torch.serialization, "safe_globals", None)
    try:
        with allowing([argparse.Namespace]) if allowing else nullcontext():
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes torch raise almost anything
        blocked = re.search(r"GLOBAL ([\w.]+)", str(error))
        raise WsolbenchError(
            file,
            found="a file that cannot be read safely "
            + (
                f"(it holds an object of {blocked[1]}, which may run code)"
                if blocked
                else f"({type(error).__name__})"
            ),
            expected="a state dict of torch.save that contains only tensors",
            cure="save it with torch.save(model.state_dict(), FILE)",
        ) from error


def _read_safetensors(file: Path) -> object:
    try:
        reader = importlib.import_module("safetensors.torch")
    except ModuleNotFoundError as error:
        raise WsolbenchError(
            file,
            found="reading it needs safetensors, which is not installed",
            cure="pip install safetensors, or save the weights with torch.save",
        ) from error
    try:
        return reader.load_file(file)
    except Exception as error:
        raise WsolbenchError(
            file, found=f"not a safetensors file ({error})", cure="download it again"
        ) from error
