"""State dicts from files, and networks filled from them.

Files are those of `torch.save`, read without running code, of safetensors or of `numpy.savez`.
Checkpoints of other programs wrap the state dict in dicts with other content and its names in
prefixes (`module.` of DataParallel, `_orig_mod.` of torch.compile, `model.` of Lightning); both are
removed if that is the only way to read the file, and recorded. Every parameter must come from the
file.
"""

from __future__ import annotations

import argparse
import importlib
import os
import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..errors import WsolbenchError, one_of, some
from ..files import require_file
from ..formats.untrusted.arrays import read_arrays
from ..formats.untrusted.byte_file import ByteFile
from ..formats.untrusted.torch_files import check_torch_file
from ..formats.untrusted.zip_files import ZipLimits, checked_members

__all__ = ["Match", "fill", "match_names", "read_state_dict"]

MAX_ARRAYS = 10_000
"""Arrays of a .npz file of weights: networks have a few hundred."""

MAX_RATIO = 16
"""Unpacked bytes of such a file for each of its own: weights hardly compress."""

ARCHIVE = ZipLimits(members=100_000, total=1 << 40)
"""An archive of which only the names are read."""

_DEEPEST = 3  # nested dicts around a state dict

_WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}

_COUNTERS = ".num_batches_tracked"  # of batch norm: unused here, and missing in older files

# torchvision's DenseNet files keep the names of 2017: denselayer1.norm.1 is denselayer1.norm1 now.
_OLD_DENSENET = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12])\.")


def read_state_dict(
    path: str | os.PathLike[str], key: str | None = None
) -> tuple[dict[str, Tensor], list[str]]:
    """Read named tensors from a file of `torch.save`, of safetensors or of `numpy.savez`.

    Code in the file is never run (`weights_only=True`). Of nested dicts with other content, the
    only one of named tensors is taken.

    Args:
        path: the file.
        key: the dict to take, e.g. "model_ema", or "ema.state_dict" of nested dicts; or the first
            part of the names to take, if one dict holds several networks.

    Returns:
        The tensors by name, and what was unwrapped, in words.

    Raises:
        WsolbenchError: the file is missing or cannot be read safely, has no named tensors, has
            several dicts of them and no key was given, or has no such key.
    """
    file = require_file(path, "a state dict")
    content = _read(file)
    found = _state_dicts(content)
    if not found:
        raise WsolbenchError(
            file,
            found=_other_content(content),
            expected="a dict of named tensors (a state dict)",
            cure="save it with torch.save(model.state_dict(), FILE)",
        )
    least = min(depth for depth, _ in found.values())
    outer = [name for name, (depth, _) in found.items() if depth == least]
    if key is not None:
        return _chosen(file, {name: state for name, (_, state) in found.items()}, key, outer)
    if len(outer) > 1:
        raise WsolbenchError(
            file,
            found=f"{len(outer)} state dicts: {some(outer)}",
            expected="one",
            cure="choose one: --weights-key NAME (weights_key=)",
        )
    (name,) = outer
    return dict(found[name][1]), [f"taken from the entry {name!r}"] if name else []


def _chosen(
    file: Path, found: Mapping[str, Mapping[str, Tensor]], key: str, outer: Sequence[str]
) -> tuple[dict[str, Tensor], list[str]]:
    """The state dict with this key, or else the names with this prefix."""
    if key in found:
        return dict(found[key]), [f"taken from the entry {key!r}"]
    prefix = f"{key}."
    parts = [
        {name[len(prefix) :]: tensor for name, tensor in state.items() if name.startswith(prefix)}
        for state in found.values()
    ]
    named = [part for part in parts if part]
    if len(named) == 1:
        return named[0], [f"only the names with the prefix {prefix!r} were taken"]
    if list(outer) == [""]:
        raise WsolbenchError(
            file,
            found=f"a state dict itself, without an entry {key!r}",
            expected="several state dicts to choose from",
            cure="leave --weights-key out (weights_key=None)",
        )
    raise WsolbenchError(
        file,
        found=f"no state dict {key!r}",
        expected=one_of(outer),
        cure="name one of these with --weights-key (weights_key=)",
    )


def fill(
    network: nn.Module,
    state: Mapping[str, Tensor],
    where: str | os.PathLike[str],
    *,
    skipped: Collection[str],
    cure: Callable[[], str],
) -> list[str]:
    """Fill all parameters of a network.

    Args:
        network: to fill.
        state: tensors by name; a prefix of all names that are wanted is removed.
        where: their file, for messages.
        skipped: prefixes of names that may be left over.
        cure: what to do if parameters are missing, unexpected or of another shape; called only
            then.

    Returns:
        What was renamed or converted, in words.

    Raises:
        WsolbenchError: parameters are missing, unexpected, of another shape or type, or not finite.
    """
    wanted = network.state_dict()
    match = match_names(state, wanted, skipped=skipped)
    if len(match.prefixes) > 1:
        keys = [repr(prefix.rstrip(".")) for prefix in match.prefixes if prefix]
        raise WsolbenchError(
            where,
            found=f"the parameters of several such networks, whose names start with {some(keys)}"
            + (" or with nothing" if "" in match.prefixes else ""),
            expected="one",
            cure="choose one: --weights-key NAME (weights_key=)",
        )
    if match.faults:
        raise WsolbenchError(
            where,
            found=f"parameters {', '.join(match.faults)}",
            expected=f"the {len(wanted)} of this backbone",
            cure=cure(),
        )
    given = match.given
    broken = [n for n, t in given.items() if t.is_floating_point() and not t.isfinite().all()]
    if broken:
        raise WsolbenchError(
            where,
            found=f"NaN or infinite values in {some(broken)}",
            expected="finite parameters",
            cure="pass weights that are finite",
        )
    kinds = {str(given[n].dtype)[6:] for n in given if given[n].dtype != wanted[n].dtype}
    network.load_state_dict(given, strict=False)
    return [*match.notes, *(f"{kind} values were converted" for kind in sorted(kinds))]


@dataclass(frozen=True)
class Match:
    """How the tensors of a file fit a network.

    Attributes:
        given: the tensors under the network's names.
        notes: what was renamed or ignored, in words.
        faults: what is missing, unexpected, or of another shape or type, in words.
        prefixes: the prefixes under which the file has the whole network.
        left: the names that were skipped, as far as a prefix of the network's is removed.
    """

    given: Mapping[str, Tensor]
    notes: Sequence[str]
    faults: Sequence[str]
    prefixes: Sequence[str]
    left: Sequence[str] = ()


def match_names(
    state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], *, skipped: Collection[str]
) -> Match:
    """Find a network's parameters in a state dict; nothing is changed.

    Args:
        state: the tensors of a file.
        wanted: those of the network, of which only names, shapes and kinds of type are read.
        skipped: prefixes of names that may be left over.
    """
    named, notes, prefixes = _renamed(state, wanted)
    given = {
        name: tensor
        for name, tensor in named.items()
        if name in wanted or not name.startswith(tuple(skipped))
    }
    unexpected = [name for name in given if name not in wanted]
    both = [name for name in wanted if name in given]
    kinds = {
        "missing": [n for n in wanted if n not in given and not n.endswith(_COUNTERS)],
        "unexpected": unexpected,
        "of another shape": [
            f"{name} {tuple(given[name].shape)} for {tuple(wanted[name].shape)}"
            for name in both
            if given[name].shape != wanted[name].shape
        ],
        "of another type": [
            f"{name} {'without values' if given[name].is_meta else str(given[name].dtype)[6:]}"
            for name in both
            if not _fills(given[name], wanted[name])
        ],
    }
    faults = [f"{len(names)} {kind} ({some(names)})" for kind, names in kinds.items() if names]
    if shared := _shared(unexpected):
        faults[-1] += f"; every unexpected name starts with {shared!r}"
    left = [name for name in named if name not in given]
    return Match(given, notes, faults, prefixes, left)


def _fills(tensor: Tensor, wanted: Tensor) -> bool:
    """Whether a tensor holds the numbers of a parameter: a quantised one has only its codes."""
    dense = tensor.layout == torch.strided and not tensor.is_quantized and not tensor.is_meta
    return dense and tensor.is_floating_point() == wanted.is_floating_point()


def _renamed(
    state: Mapping[str, Tensor], wanted: Collection[str]
) -> tuple[dict[str, Tensor], list[str], list[str]]:
    """The tensors under the network's names, as far as these are known; what was done; and the
    prefixes under which all are there.
    """
    named = {_OLD_DENSENET.sub(r"\1\2.", name): tensor for name, tensor in state.items()}
    old = len(state.keys() - named.keys())
    notes = [f"{old} names of DenseNet's older form were read as today's"] if old else []
    needed = [name for name in wanted if not name.endswith(_COUNTERS)]
    prefixes = _prefixes(named, needed)
    if not prefixes:
        plain = {_unwrapped(name): tensor for name, tensor in named.items()}
        inner = {part for name in named for part in name.split(".")} & _WRAPPERS
        if inner and len(plain) == len(named):
            wrappers = ", ".join(map(repr, sorted(inner)))
            notes.append(f"the parts {wrappers} were removed from names")
            named, prefixes = plain, _prefixes(plain, needed)
    if len(prefixes) > 1:
        return named, notes, prefixes
    prefix = prefixes[0] if prefixes else _likely_prefix(named, needed)
    if not prefix:
        return named, notes, prefixes
    other = [name for name in named if not name.startswith(prefix)]
    notes.append(
        f"the prefix {prefix!r} of names was removed"
        + (f"; ignored, because without it: {some(other)}" if other else "")
    )
    own = {n[len(prefix) :]: tensor for n, tensor in named.items() if n.startswith(prefix)}
    return own, notes, prefixes


def _unwrapped(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def _prefixes(names: Collection[str], wanted: Sequence[str]) -> list[str]:
    """The prefixes, perhaps an empty one, under which all wanted names are there."""
    first = wanted[0]
    found = [name.removesuffix(first) for name in names if name.endswith(first)]
    return [
        prefix
        for prefix in found
        if (not prefix or prefix.endswith(".")) and all(prefix + name in names for name in wanted)
    ]


def _likely_prefix(names: Collection[str], wanted: Sequence[str]) -> str:
    """The prefix under which more than half of the wanted names are there; otherwise nothing."""
    needed = set(wanted)
    counts: Counter[str] = Counter()
    for name in names:
        parts = name.split(".")
        ends = (".".join(parts[start:]) for start in range(len(parts)))
        counts.update(name.removesuffix(end) for end in ends if end in needed)
    ((prefix, count),) = counts.most_common(1) or [("", 0)]
    return prefix if 2 * count > len(needed) else ""


def _shared(names: Collection[str]) -> str:
    """The first part of dotted names, with its dot, if all have the same; otherwise nothing."""
    first = {name.partition(".")[0] for name in names}
    prefix = f"{first.pop()}." if len(first) == 1 else ""
    return prefix if all(len(name) > len(prefix) > 1 for name in names) else ""


def _state_dicts(
    content: object, path: str = "", depth: int = 0
) -> dict[str, tuple[int, Mapping[str, Tensor]]]:
    """The dicts of named tensors in nested dicts, with their depth, by their dotted keys."""
    if not isinstance(content, Mapping) or depth > _DEEPEST:
        return {}
    if _is_state_dict(content):
        return {path: (depth, content)}
    found: dict[str, tuple[int, Mapping[str, Tensor]]] = {}
    for name, value in content.items():
        if isinstance(name, str):
            found |= _state_dicts(value, f"{path}.{name}" if path else name, depth + 1)
    return found


def _other_content(content: object) -> str:
    """What a file holds that has no state dict."""
    if not isinstance(content, Mapping):
        return f"content of type {type(content).__name__}"
    others = [
        f"{k!r} ({type(v).__name__})" for k, v in content.items() if not isinstance(v, Tensor)
    ]
    return f"a dict with other entries: {some(others)}" if others else "an empty dict"


def _is_state_dict(content: object) -> bool:
    return (
        isinstance(content, Mapping)
        and bool(content)
        and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items())
    )


def _read(file: Path) -> object:
    """The content of a file, of the kind that its first bytes show."""
    # The file that is checked is loaded. Links are followed, of which caches of models consist.
    with ByteFile(os.path.realpath(file), "a state dict") as opened:
        return _read_opened(file, opened)


def _read_opened(file: Path, opened: ByteFile) -> object:
    head = opened.read(0, min(512, opened.size)).tobytes()
    if head.startswith(b"PK"):
        names = _members(opened)
        if names and all(name.endswith(".npy") for name in names):
            return _read_arrays(file, opened)
        if any(name.endswith("/constants.pkl") for name in names):
            raise WsolbenchError(
                file,
                found="a TorchScript archive, which is a program",
                expected="a state dict",
                cure="save it with torch.save(torch.jit.load(FILE).state_dict(), NEW_FILE)",
            )
    for start, kind, cure in _OTHER_FILES:
        if head.lstrip().startswith(start) if start else not head:
            raise WsolbenchError(file, found=kind, expected="a state dict", cure=cure)
    if head[8:9] == b"{" or file.suffix == ".safetensors":
        return _read_safetensors(file)
    return _read_pickled(file, opened)


_OTHER_FILES = (
    (b"", "an empty file", "download or copy it again"),
    (b"version https://git-lfs", "a pointer of Git LFS", "fetch the file with git lfs pull"),
    (b"<", "a web page", "download the file itself"),
    (b"\x89HDF", "an HDF5 file", "save the network's state dict with torch.save"),
)


def _members(opened: ByteFile) -> list[str]:
    """The names in an archive; none if it is damaged, which its reader then tells."""
    try:
        return [member.filename for member in checked_members(opened.stream(), ARCHIVE)]
    except ValueError:
        return []


def _read_pickled(file: Path, opened: ByteFile) -> object:
    # Checkpoints keep the options of a run beside the tensors; a Namespace only holds values.
    allowing = getattr(torch.serialization, "safe_globals", None)  # of torch 2.5
    try:
        check_torch_file(opened)
        with allowing([argparse.Namespace]) if allowing else nullcontext():
            return torch.load(opened.stream(), map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file makes torch raise almost anything
        blocked = re.search(r"(?:GLOBAL|Unsupported class) ([\w.]+)", str(error))
        raise WsolbenchError(
            file,
            found="a file that cannot be read safely "
            + (
                f"(it holds an object of {blocked[1]}, which may run code)"
                if blocked
                else f"({error if isinstance(error, ValueError) else type(error).__name__})"
            ),
            expected="a state dict of torch.save that contains only tensors",
            cure="save it with torch.save(model.state_dict(), FILE)"
            if blocked
            else "check that torch.save wrote it; if so, download or copy it again",
        ) from error


def _read_arrays(file: Path, opened: ByteFile) -> object:
    try:
        content = opened.read(0, opened.size).tobytes()
        limits = ZipLimits(MAX_ARRAYS, MAX_RATIO * len(content))
        return {name: torch.from_numpy(own) for name, own in read_arrays(content, limits).items()}
    except (OSError, ValueError, TypeError) as error:
        raise WsolbenchError(
            file, found=f"a damaged .npz file ({error})", cure="download or copy it again"
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
            file,
            found=f"not a safetensors file ({error})",
            cure="check that it was one; if so, copy it again",
        ) from error
