"""Models and functions of the user's own, which may raise anything."""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import nn

from ..errors import WsolbenchError, require_type
from .any_networks import class_map_model
from .backbones import ClassMapModel

__all__ = ["fault_in_user_code", "load_model_function", "user_function"]


USUAL_SIZE = 224
"""The side of photos on which a classifier without any other statement is traced."""


def load_model_function(where: str, size: int | None = None) -> ClassMapModel:
    """Call your function that returns a `ClassMapModel`, or a classifier.

    A classifier is a `torch.nn.Module` from photos with ImageNet's mean and deviation to logits; it
    is traced (`any_networks.class_map_model`).

    Args:
        where: "PACKAGE.MODULE:FUNCTION", see `user_function`. It is called without arguments.
        size: side of the photos on which a classifier is traced; None for `USUAL_SIZE`.

    Raises:
        WsolbenchError: there is no such module or function, it raises (the message states where),
            or it returns something else.
    """
    function = user_function(where, what="model")
    needed = _needed_arguments(function)
    if needed:
        raise WsolbenchError(
            f"model {where!r}",
            found=f"a function that needs arguments ({', '.join(needed)})",
            expected="one that is called without arguments",
            cure="give them default values, or read them from environment variables",
        )
    try:
        model = function()
    except Exception as error:
        raise fault_in_user_code(f"model {where!r}", error) from error
    if isinstance(model, nn.Module):
        model = class_map_model(model, name=where.rpartition(":")[2], size=size or USUAL_SIZE)
    if not isinstance(model, ClassMapModel) or not isinstance(model.module, nn.Module):
        raise WsolbenchError(
            f"model {where!r}",
            found=f"a return value of type {type(model).__name__}",
            expected="a wsolbench.baselines.ClassMapModel of a torch.nn.Module, or a classifier as "
            "a torch.nn.Module",
            cure="return ClassMapModel(name, module, preprocess)",
        )
    if not isinstance(model.name, str) or not callable(model.preprocess):
        raise WsolbenchError(
            f"model {where!r}",
            found=f"a ClassMapModel with a name of type {type(model.name).__name__} and a "
            f"preprocess of type {type(model.preprocess).__name__}",
            expected="a text and a function",
            cure="return ClassMapModel(name, module, preprocess)",
        )
    return model


def user_function(name: str, *, what: str) -> Callable[..., Any]:
    """Your function of this name.

    Args:
        name: "PACKAGE.MODULE:FUNCTION". The module is searched on `sys.path`, to which the working
            folder is appended (and stays there for worker processes).
        what: what the function is for, for messages.

    Raises:
        WsolbenchError: there is no such module or function, or importing the module fails.
    """
    require_type(what, name, (str,), "PACKAGE.MODULE:FUNCTION")
    match = re.fullmatch(r"([^\W\d]\w*(?:\.[^\W\d]\w*)*):([^\W\d]\w*)", name)
    if match is None:
        library = f"; of a library: torchvision:{name} or timm:{name}" if what == "model" else ""
        raise WsolbenchError(
            f"{what} {name!r}",
            found="a malformed name",
            expected="PACKAGE.MODULE:FUNCTION",
            cure=f"name module and function, separated by a colon: my_models:resnet{library}",
        )
    module_name, function_name = match.groups()
    folder = os.getcwd()
    if folder not in sys.path and "" not in sys.path:
        sys.path.append(folder)
    try:
        importlib.invalidate_caches()
        module = importlib.import_module(module_name)
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and _is_part(error.name, module_name):
            raise WsolbenchError(
                f"{what} {name!r}",
                found=f"no module {error.name}",
                cure=f"check the name, and run from the folder that contains it (now {folder})",
            ) from error
        raise fault_in_user_code(f"{what} {name!r}", error) from error
    function: Any = getattr(module, function_name, None)
    if not callable(function):
        raise WsolbenchError(
            f"{what} {name!r}",
            found=f"no function {function_name} in {getattr(module, '__file__', module_name)}",
            cure="check the name after the colon",
        )
    found: Callable[..., Any] = function
    return found


def fault_in_user_code(where: str, error: Exception, *, cure: str = "correct it") -> WsolbenchError:
    """An exception of the user's code on one line: its type, message and location."""
    if isinstance(error, WsolbenchError):
        return error
    frames = traceback.extract_tb(error.__traceback__)
    # The last frame outside installed packages is the line that the user can correct.
    own = [frame for frame in frames if not _is_installed(frame.filename)]
    place = f" at {own[-1].filename}:{own[-1].lineno}" if own else ""
    if isinstance(error, SyntaxError) and error.filename:
        place = f" at {error.filename}:{error.lineno}"
    return WsolbenchError(where, found=f"{type(error).__name__}: {error}{place}", cure=cure)


def _needed_arguments(function: Callable[..., object]) -> list[str]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some compiled functions have no signature
        return []
    return [
        own.name
        for own in parameters
        if own.default is own.empty and own.kind not in (own.VAR_POSITIONAL, own.VAR_KEYWORD)
    ]


def _is_installed(filename: str) -> bool:
    parts = Path(filename).parts
    here = Path(__file__).parent.parts
    return (
        "site-packages" in parts
        or filename.startswith("<")
        or filename.startswith(os.path.dirname(os.__file__))
        or parts[: len(here)] == here
    )


def _is_part(missing: str | None, module_name: str) -> bool:
    return missing is not None and f"{module_name}.".startswith(f"{missing}.")
