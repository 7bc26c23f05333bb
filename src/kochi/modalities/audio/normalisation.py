"""Normalise each number of a frame to mean 0 and standard deviation 1.

Over all of the training data (`Normalisation`, saved with the model), or over each utterance
(`normalise_each`), which also removes the constant influence of the microphone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float32, Float64
from torch import Tensor

LEAST_SPREAD = 1e-6


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of each number of a frame."""

    mean: Float32[Tensor, " size"]
    std: Float32[Tensor, " size"]

    def apply(self, frames: Float[Tensor, "*batch size"]) -> Float[Tensor, "*batch size"]:
        """Return (frames - mean) / std.

        Raises:
            ValueError: The frames have another size.

        >>> both = Normalisation(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0]))
        >>> both.apply(torch.tensor([[2.0, 10.0]]))
        tensor([[1., 2.]])
        """
        if frames.shape[-1] != len(self.mean):
            raise ValueError(
                f"frames have {frames.shape[-1]} numbers, the normalisation {len(self.mean)}"
            )
        return (frames - self.mean.to(frames)) / self.std.to(frames)

    def to_lists(self) -> dict[str, list[float]]:
        """Return plain lists, which JSON stores exactly."""
        return {"mean": self.mean.tolist(), "std": self.std.tolist()}

    @classmethod
    def from_lists(cls, lists: dict[str, Sequence[float]]) -> "Normalisation":
        """Build an instance from the result of `to_lists`.

        Raises:
            ValueError: The lists differ in length, or a deviation is not positive.
        """
        mean, std = torch.tensor(lists["mean"]).float(), torch.tensor(lists["std"]).float()
        if mean.shape != std.shape or not bool((std > 0).all()) or not bool(mean.isfinite().all()):
            raise ValueError(
                "expected as many means as standard deviations, finite and the latter positive; "
                f"got {len(mean)} and {len(std)}"
            )
        return cls(mean, std)


class Moments:
    """Count, mean and squared deviations of a stream of frames, in float64.

    Combined as in Chan, Golub and LeVeque 1983, "Algorithms for computing the sample variance:
    analysis and recommendations", https://doi.org/10.1080/00031305.1983.10483115: with n frames of
    mean m, and N before of mean M,

        S += sum (x - m)^2 + (m - M)^2 n N / (n + N);   M += (m - M) n / (n + N)

    which remains accurate if the mean is large relative to the deviation.
    """

    def __init__(self) -> None:
        self.count = 0
        self._mean: Float64[Tensor, " size"] = torch.zeros(0, dtype=torch.float64)
        self._squares: Float64[Tensor, " size"] = torch.zeros(0, dtype=torch.float64)

    def add(self, frames: Float[Tensor, "frames size"]) -> None:
        """Add frames (without padding)."""
        new = len(frames)
        if not new:
            return
        wide = frames.detach().double().cpu()
        mean = wide.mean(0)
        squares = (wide - mean).square().sum(0)
        if not self.count:
            self.count, self._mean, self._squares = new, mean, squares
            return
        total = self.count + new
        shift = mean - self._mean
        self._squares = self._squares + squares + shift.square() * (self.count * new / total)
        self._mean = self._mean + shift * (new / total)
        self.count = total

    def normalisation(self) -> Normalisation:
        """Return the mean and the (population's) standard deviation so far.

        A constant number gets deviation 1, so that it becomes 0.

        Raises:
            ValueError: No frames were added.
        """
        if not self.count:
            raise ValueError("no frames: expected at least one to take the mean of")
        std = (self._squares / self.count).sqrt()
        return Normalisation(self._mean.float(), _usable(std, self._mean).float())


def measure(stream: Iterable[Float[Tensor, "_ size"]]) -> Normalisation:
    """Compute the mean and standard deviation over a stream of utterances.

    >>> measure([torch.tensor([[1.0], [3.0]]), torch.tensor([[5.0], [7.0]])]).to_lists()
    {'mean': [4.0], 'std': [2.2360680103302]}
    """
    moments = Moments()
    for frames in stream:
        moments.add(frames)
    return moments.normalisation()


def normalise_each(
    frames: Float[Tensor, "*batch frames size"], mask: Bool[Tensor, "*batch frames"] | None = None
) -> Float[Tensor, "*batch frames size"]:
    """Normalise each utterance to mean 0 and deviation 1; padding becomes 0.

    Args:
        frames: An utterance, or a padded batch.
        mask: True at frames that are not padding; None if there is no padding.

    >>> normalise_each(torch.tensor([[1.0], [3.0], [9.0]]), torch.tensor([True, True, False]))
    tensor([[-1.],
            [ 1.],
            [ 0.]])
    """
    real = torch.ones(frames.shape[:-1], dtype=torch.bool, device=frames.device)
    real = (real if mask is None else mask)[..., None]
    count = real.sum(-2, keepdim=True).clamp_min(1)
    wide = frames.double().masked_fill(~real, 0)
    mean = wide.sum(-2, keepdim=True) / count
    centred = (wide - mean).masked_fill(~real, 0)
    std = (centred.square().sum(-2, keepdim=True) / count).sqrt()
    return (centred / _usable(std, mean)).to(frames.dtype)


def _usable(
    std: Float64[Tensor, "*batch size"], mean: Float64[Tensor, "*batch size"]
) -> Float64[Tensor, "*batch size"]:
    """Replace deviations that are only rounding errors by 1."""
    return torch.where(std > LEAST_SPREAD * mean.abs().clamp_min(1), std, 1.0)
