"""Training of the embedded benchmark's classifier: `python -m wsolbench.mini.train --out FILE`.

Training uses only the pictures and labels of the split "train", whose random streams differ from
those of val and test; masks, badges and boxes are not used.

The logits are the mean of the class maps. A badge covers about 3 % of a picture, so the mean gives
it almost no gradient at first. Early epochs therefore use the log-mean-exp of the class maps, which
follows their maxima, and later ones gradually change to the mean (our own choice).

The same seed, number of threads, torch version and processor give the same weights.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ..baselines.networks import PaperNetwork, PooledNetwork, build_network
from ..errors import WsolbenchError
from .classifier import SIZE, normalise, write_weights
from .scenes import CLASSES, generate_split

__all__ = ["main", "train"]

BATCH = 32
LEARNING_RATE = 0.05
SMOOTHING = 0.05
VAL_SCENES = 200
SHIFT = 6
"""Maximum shift of a batch in pixels."""

MAXIMA_UNTIL, MEAN_FROM = 0.4, 0.55
"""Fractions of the training between which the log-mean-exp changes to the mean."""


def train(
    out: str | os.PathLike[str],
    *,
    seed: int = 0,
    scenes: int = 4000,
    epochs: int = 10,
    threads: int = 2,
    say: Callable[[str], None] = print,
) -> float:
    """Train the classifier and write its weights after each epoch.

    Args:
        out: the .npz file.
        seed: seed of the scenes, the initial weights and the order.
        scenes: number of training scenes.
        epochs: number of passes over the scenes.
        threads: number of torch threads; the weights depend on it.
        say: function that prints a line of progress.

    Returns:
        The accuracy on `VAL_SCENES` val scenes of seed + 1 (at most `scenes`), in [0, 1]. They are
        not used for any choice; the demo's val scenes have seed 0.

    Raises:
        WsolbenchError: a number is out of range, or the file cannot be written.
    """
    for name, value, least in (
        ("seed", seed, 0),
        ("scenes", scenes, BATCH),
        ("epochs", epochs, 1),
        ("threads", threads, 1),
    ):
        if value < least:
            raise WsolbenchError(
                name, found=str(value), expected=f"{least} or more", cure="pass a larger number"
            )
    before = torch.are_deterministic_algorithms_enabled(), torch.get_num_threads()
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(threads)
    try:
        return _train(out, seed, scenes, epochs, say)
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.set_num_threads(before[1])


def _train(
    out: str | os.PathLike[str], seed: int, scenes: int, epochs: int, say: Callable[[str], None]
) -> float:
    say(f"drawing {scenes} scenes")
    images, labels = _pictures("train", scenes, seed)
    val_images, val_labels = _pictures("val", min(VAL_SCENES, scenes), seed + 1)
    network = build_network("mini", len(CLASSES), seed=seed)
    rng = np.random.default_rng([seed, 4])
    network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(
        network.parameters(), lr=LEARNING_RATE, momentum=0.9, nesterov=True, weight_decay=5e-4
    )
    batches = scenes // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, LEARNING_RATE, total_steps=epochs * batches, pct_start=0.2
    )
    accuracy = 0.0
    for epoch in range(epochs):
        network.train()
        order = rng.permutation(scenes)
        loss_sum, correct = 0.0, 0
        for step in range(batches):
            chosen = torch.from_numpy(order[step * BATCH : (step + 1) * BATCH])
            done = (epoch + step / batches) / epochs
            mean_share = min(1.0, max(0.0, (done - MAXIMA_UNTIL) / (MEAN_FROM - MAXIMA_UNTIL)))
            class_maps, _, logits = network(_vary(rng, normalise(images[chosen])))
            scores = mean_share * logits + (1 - mean_share) * _log_mean_exp(class_maps)
            loss = nn.functional.cross_entropy(scores, labels[chosen], label_smoothing=SMOOTHING)
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            loss_sum += loss.item()
            correct += int((scores.argmax(dim=1) == labels[chosen]).sum())
        accuracy = _accuracy(network, val_images, val_labels)
        write_weights(out, network)
        say(
            f"epoch {epoch + 1}/{epochs}: loss {loss_sum / batches:.3f}, "
            f"train accuracy {correct / (batches * BATCH):.3f}, val accuracy {accuracy:.3f}"
        )
    return accuracy


def _pictures(split: str, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """(count, SIZE, SIZE, 3) uint8 and (count,) int64."""
    images = np.empty((count, SIZE, SIZE, 3), np.uint8)
    labels = np.empty(count, np.int64)
    for row, scene in enumerate(generate_split(split, count, seed)):
        picture = Image.fromarray(scene.image)
        images[row] = np.asarray(picture.resize((SIZE, SIZE), Image.Resampling.BILINEAR))
        labels[row] = scene.class_index
    return torch.from_numpy(images), torch.from_numpy(labels)


def _vary(rng: np.random.Generator, images: Tensor) -> Tensor:
    """Mirror, shift, and change the contrast and level of each channel; (B, 3, S, S)."""
    if rng.random() < 0.5:
        images = images.flip(3)
    down, across = (int(shift) for shift in rng.integers(-SHIFT, SHIFT + 1, 2))
    images = torch.roll(images, (down, across), (2, 3))
    shape = (len(images), 3, 1, 1)
    contrast = torch.from_numpy(rng.uniform(0.85, 1.15, shape).astype(np.float32))
    level = torch.from_numpy(rng.uniform(-0.15, 0.15, shape).astype(np.float32))
    return (images * contrast + level).contiguous(memory_format=torch.channels_last)


def _log_mean_exp(class_maps: Tensor) -> Tensor:
    positions = class_maps.flatten(2)
    return positions.logsumexp(dim=2) - math.log(positions.shape[2])


def _accuracy(network: PaperNetwork | PooledNetwork, images: Tensor, labels: Tensor) -> float:
    network.eval()
    correct = 0
    with torch.inference_mode():
        for start in range(0, len(labels), BATCH):
            logits = network(normalise(images[start : start + BATCH]))[2]
            correct += int((logits.argmax(dim=1) == labels[start : start + BATCH]).sum())
    return correct / len(labels)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m wsolbench.mini.train", description="Retrain the embedded classifier."
    )
    parser.add_argument("--out", required=True, metavar="FILE", help="the .npz file to write")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scenes", type=int, default=4000)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args(arguments)

    def say(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    try:
        accuracy = train(
            options.out,
            seed=options.seed,
            scenes=options.scenes,
            epochs=options.epochs,
            threads=options.threads,
            say=say,
        )
    except WsolbenchError as error:
        say(f"Error: {error}")
        return error.exit_status
    print(f"{options.out}: val accuracy {accuracy:.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
