"""Each candidate's own loss, in one call, against a target that is analysed once."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from drumblender.dsp.kernels import served
from drumblender.dsp.loudness import a_weight
from drumblender.dsp.precision import in_full_precision
from drumblender.dsp.roots import safe_root
from drumblender.dsp.spectra import stft
from drumblender.dsp.spectral_distance import spectral_sums
from drumblender.losses.calling import call_loss
from drumblender.losses.spectral import MultiResolutionSTFTLoss
from drumblender.losses.weighted import WeightedLoss
from drumblender.types import Audio

ItemLosses = Callable[[Audio], Float[Tensor, "sounds"]]
_LEAST = 1e-15  # a magnitude whose ratios stay in float32


def item_losses(loss: nn.Module, target: Float[Tensor, "samples"]) -> ItemLosses:
    """What compares sounds ``(sounds, samples)`` with ``target``, each as though it were alone.

    Losses may divide by norms of the whole batch, so a batch's loss says nothing of its sounds. The
    multi-resolution STFT loss, also inside a :class:`~drumblender.losses.WeightedLoss`, compares all at once
    with spectra of the target that it keeps; any other loss is called for each sound. Differentiable.

    >>> compare = item_losses(nn.L1Loss(), torch.zeros(100))
    >>> compare(torch.tensor([[0.5], [0.25]]).expand(2, 100))
    tensor([0.5000, 0.2500])
    """
    if type(loss) is MultiResolutionSTFTLoss:
        return _against_spectra(loss, target[None])
    if type(loss) is WeightedLoss:
        parts = [(loss.weights[name], item_losses(part, target)) for name, part in loss.losses.items()]
        return lambda audio: sum(weight * part(audio) for weight, part in parts)
    return lambda audio: torch.stack([call_loss(loss, sound[None], target[None]) for sound in audio])


def _against_spectra(loss: MultiResolutionSTFTLoss, target: Audio) -> ItemLosses:
    loss(target, target)  # whatever it refuses, it refuses before a search
    weighted = _weighted(loss, target)
    windows = [loss.get_buffer(f"window_{index}") for index in range(len(loss.resolutions))]
    spectra = [
        stft(weighted, n_fft, hop_length, window)
        for (n_fft, hop_length, _), window in zip(loss.resolutions, windows, strict=True)
    ]
    on_power = loss.floor == "power"
    floor, offset = (loss.eps, 0.0) if on_power else (0.0, loss.eps)
    fused = served(target) and target.dtype == torch.float32 and not loss.scale_invariance
    if fused and max(floor**0.5, offset) >= _LEAST:
        return _compiled(loss, spectra, floor, offset)

    @in_full_precision
    def compare(audio: Audio) -> Float[Tensor, "sounds"]:
        audio, total = _weighted(loss, audio), 0.0
        for (n_fft, hop_length, _), window, kept in zip(loss.resolutions, windows, spectra, strict=True):
            found = stft(audio, n_fft, hop_length, window)
            sums = spectral_sums(
                found, kept.expand_as(found), floor=floor, offset=offset, match_gain=loss.scale_invariance
            )
            length = sums.energy.sqrt() + offset
            cells = kept.numel()
            value = loss.w_sc * safe_root(sums.squares) / length
            total = total + value + (loss.w_log_mag * sums.logs + loss.w_lin_mag * sums.absolute) / cells
        return (total / len(spectra)).to(audio.dtype)

    return compare


def _compiled(
    loss: MultiResolutionSTFTLoss, spectra: list[Tensor], floor: float, offset: float
) -> ItemLosses:
    from drumblender.dsp.kernels.target_distance import Plan, Resolution, TargetDistance  # numba: slow

    plan = Plan(
        [
            Resolution(
                target=torch.view_as_real(kept[0].resolve_conj().contiguous()).flatten(1).numpy(),
                n_fft=n_fft,
                hop_length=hop_length,
                window=loss.get_buffer(f"window_{index}").contiguous().numpy(),
                convergence=loss.w_sc,
                logs=loss.w_log_mag,
                absolute=loss.w_lin_mag,
                floor=floor,
                offset=offset,
                lift=offset,
            )
            for index, ((n_fft, hop_length, _), kept) in enumerate(
                zip(loss.resolutions, spectra, strict=True)
            )
        ]
    )
    return lambda audio: TargetDistance.apply(_weighted(loss, audio).float(), plan)


def _weighted(loss: MultiResolutionSTFTLoss, audio: Audio) -> Audio:
    return a_weight(audio, loss.sample_rate) if loss.perceptual_weighting else audio
