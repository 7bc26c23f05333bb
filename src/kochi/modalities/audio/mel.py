"""The log-mel front end: the log energy of each frequency band in short windows of time.

Kaldi's definition (``compute-fbank-feats`` without dither, edges snipped):
https://kaldi-asr.org/doc/feat.html and ``src/feat/feature-fbank.cc``. With the samples of a window
as x[0..N-1] at 16-bit scale:

    y[n] = x[n] - mean(x)                                      no constant offset
    z[n] = (y[n] - preemphasis * y[n-1]) * w[n],  y[-1] = y[0]
    w[n] = (1/2 - 1/2 cos(2 pi n / (N-1)))^0.85                Povey's window
    P[k] = |FFT(z)[k]|^2                                       z filled with 0 to a power of two
    frame[b] = ln max(eps, sum_k M[b, k] P[k])                 M: triangles on the mel scale

The mel scale is 1127 ln(1 + f / 700 Hz); eps is the float32 machine epsilon.
"""

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float, Float32, Float64, Int16
from torch import Tensor

ENERGY_FLOOR = torch.finfo(torch.float32).eps


@dataclass(frozen=True, kw_only=True)
class MelOptions:
    """Options of the frames.

    Attributes:
        sample_rate_hz: Sample rate.
        window_seconds: Length of the window of a frame.
        hop_seconds: Time from the start of a frame to that of the next.
        mel_bins: Number of bands; 80 is usual for attention models, 40 is enough at 8 kHz.
        lowest_hz: Lower end of the lowest band.
        highest_hz: Upper end of the highest band; None for half the sample rate.
        preemphasis: Fraction of the previous sample that is subtracted; boosts high frequencies.

    Raises:
        ValueError: A size is not positive, the bands are not within 0 to half the sample rate, or
            there are so many that one contains no frequency of the Fourier transform.
    """

    sample_rate_hz: int = 16_000
    window_seconds: float = 0.025
    hop_seconds: float = 0.010
    mel_bins: int = 80
    lowest_hz: float = 20.0
    highest_hz: float | None = None
    preemphasis: float = 0.97

    def __post_init__(self) -> None:
        if self.sample_rate_hz < 1 or self.mel_bins < 1:
            raise ValueError(
                "sample_rate_hz and mel_bins must be at least 1, got "
                f"{self.sample_rate_hz} and {self.mel_bins}"
            )
        if self.window_length < 2 or self.hop_length < 1:
            raise ValueError(
                f"window_seconds={self.window_seconds:g} must hold at least 2 samples and "
                f"hop_seconds={self.hop_seconds:g} at least 1 at {self.sample_rate_hz} Hz"
            )
        if not 0 <= self.preemphasis <= 1:
            raise ValueError(f"preemphasis must be from 0 to 1, got {self.preemphasis}")
        half = self.sample_rate_hz / 2
        if not 0 <= self.lowest_hz < self.top_hz <= half:
            raise ValueError(
                f"expected 0 <= lowest_hz < highest_hz <= {half:g} (half the sample rate), got "
                f"lowest_hz={self.lowest_hz:g} and highest_hz={self.top_hz:g}"
            )
        empty = (mel_filters(self).sum(0) == 0).nonzero().flatten().tolist()
        if empty:
            raise ValueError(
                f"mel_bins={self.mel_bins} is too many: band {empty[0] + 1} holds no frequency of "
                f"a window of {self.window_length} samples; use fewer bins or a longer window"
            )

    @property
    def window_length(self) -> int:
        """Whole samples per window."""
        return int(round(self.sample_rate_hz * self.window_seconds, 6))

    @property
    def hop_length(self) -> int:
        """Whole samples from one frame to the next."""
        return int(round(self.sample_rate_hz * self.hop_seconds, 6))

    @property
    def fft_length(self) -> int:
        """The smallest power of two that is at least the length of a window."""
        return 1 << (self.window_length - 1).bit_length()

    @property
    def top_hz(self) -> float:
        """Upper end of the highest band."""
        return self.sample_rate_hz / 2 if self.highest_hz is None else self.highest_hz


def num_frames(num_samples: int, options: MelOptions) -> int:
    """Return the number of whole windows in a signal, one per hop ("snip edges").

    >>> [num_frames(samples, MelOptions()) for samples in (399, 400, 559, 560)]
    [0, 1, 1, 2]
    """
    beyond = num_samples - options.window_length
    return 0 if beyond < 0 else 1 + beyond // options.hop_length


def log_mel(
    samples: Int16[Tensor, "*batch samples"] | Float[Tensor, "*batch samples"], options: MelOptions
) -> Float32[Tensor, "*batch frames mel_bins"]:
    """Compute the frames of a signal, or of a padded batch of signals.

    A frame depends on its own window only, so that row b of a batch begins with exactly the frames
    of its signal, bit for bit; `num_frames` of its length returns their number.

    Args:
        samples: At 16-bit scale (-32768 to 32767), whatever the type.
        options: Options of the frames.

    Returns:
        Natural logarithms of energies. The sums over a band are computed in float64, so that a
        frame does not depend on the others in the batch.

    >>> log_mel(torch.zeros(560), MelOptions(mel_bins=3))  # silence: ln of the floor
    tensor([[-15.9424, -15.9424, -15.9424],
            [-15.9424, -15.9424, -15.9424]])
    """
    *batch, length = samples.shape
    if length < options.window_length:
        return torch.zeros(*batch, 0, options.mel_bins, device=samples.device)
    windows = samples.float().unfold(-1, options.window_length, options.hop_length)
    windows = windows - windows.mean(-1, keepdim=True)
    before = torch.cat([windows[..., :1], windows[..., :-1]], dim=-1)
    shaped = (windows - options.preemphasis * before) * povey_window(options).to(samples.device)
    spectrum = torch.fft.rfft(shaped, n=options.fft_length)[..., :-1]
    power = spectrum.real.square() + spectrum.imag.square()
    energies = power.double() @ mel_filters(options).to(samples.device)
    return energies.float().clamp_min(ENERGY_FLOOR).log()


def next_log_mel(
    block: Int16[Tensor, "*batch samples"] | Float[Tensor, "*batch samples"],
    rest: Int16[Tensor, "*batch rest"] | Float[Tensor, "*batch rest"] | None,
    options: MelOptions,
) -> tuple[Float32[Tensor, "*batch frames mel_bins"], Tensor]:
    """Compute the frames that the next block of a stream completes.

    Args:
        block: The new samples, at 16-bit scale.
        rest: The samples returned by the previous call; None at the start of a stream.
        options: Options of the frames.

    Returns:
        The new frames, equal to the bit to those of `log_mel` over the whole signal, and the
        samples that later frames still need.
    """
    samples = block if rest is None else torch.cat([rest, block], dim=-1)
    frames = log_mel(samples, options)
    return frames, samples[..., frames.shape[-2] * options.hop_length :]


@lru_cache(maxsize=16)
def povey_window(options: MelOptions) -> Float32[Tensor, " window"]:
    """Return Povey's window: Hann's, with both ends at 0, to the power 0.85."""
    angles = torch.arange(options.window_length, dtype=torch.float64)
    angles = angles * (2 * math.pi / (options.window_length - 1))
    return (0.5 - 0.5 * angles.cos()).pow(0.85).float()


@lru_cache(maxsize=16)
def mel_filters(options: MelOptions) -> Float64[Tensor, "frequencies mel_bins"]:
    """Return the triangular filters: each band rises from the centre below to its own, then falls.

    The centres are equally spaced on the mel scale. The frequency at half the sample rate is left
    out, as in Kaldi.
    """
    frequencies = torch.arange(options.fft_length // 2, dtype=torch.float64)
    mels = mel(frequencies * (options.sample_rate_hz / options.fft_length))[:, None]
    ends = mel(torch.tensor([options.lowest_hz, options.top_hz], dtype=torch.float64))
    step = (ends[1] - ends[0]) / (options.mel_bins + 1)
    centres = ends[0] + step * torch.arange(1, options.mel_bins + 1, dtype=torch.float64)
    return (1 - (mels - centres).abs() / step).clamp_min(0)


def mel(hz: Float64[Tensor, "*shape"]) -> Float64[Tensor, "*shape"]:
    """Convert frequencies to the mel scale.

    >>> mel(torch.tensor([0.0, 700.0], dtype=torch.float64)).round(decimals=2).tolist()
    [0.0, 781.18]
    """
    return 1127.0 * torch.log1p(hz / 700.0)
