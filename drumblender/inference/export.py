"""`drumblender export`: what leaves Python, as TorchScript or ONNX: a mapper for the TorchDrum plug-in, or a
frame of timbre transfer."""

import argparse
import json
import logging
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn

from drumblender.checkpoints import Loaded, load_played
from drumblender.controllers.parameter_mapper import ParameterMapper, frozen_copy, save_torchscript
from drumblender.inference.frame_export import export_step
from drumblender.inference.frame_step import FrameStep
from drumblender.inference.remap import remapping_parts
from drumblender.sound_files import check_apart
from drumblender.synths import Snare808
from drumblender.tasks import RemapVoices
from drumblender.trust import Trust, trusted

log = logging.getLogger(__name__)

PLUGIN_FEATURES, PLUGIN_PARAMS = 3, 14
PLUGIN_FILTER_HZ = 24000.0  # where the plug-in's noise filter ends, whatever the sample rate
_FILTER = "noise_filter.freq"


class RescaledFilter(nn.Module):
    """Turns the noise filter's share of the training's range into one of the plug-in's, in all rows.

    Args:
        mapper: What is rescaled.
        column: The parameter.
        factor: The training's range over the plug-in's.
    """

    factors: Tensor

    def __init__(self, mapper: ParameterMapper, column: int, factor: float) -> None:
        super().__init__()
        self.mapper = mapper
        factors = torch.ones_like(mapper.patch)
        factors[0, column] = factor
        self.register_buffer("factors", factors)

    def forward(self, onset: Float[Tensor, "hits features"]) -> Float[Tensor, "hits+1 params"]:
        return self.mapper(onset) * self.factors


def exportable(
    task: RemapVoices, *, center: bool = False, plugin_ranges: bool = False, plugin: bool = True
) -> nn.Module:
    """The module to export, frozen.

    Args:
        task: A trained mapping.
        center: Subtract from the onset features what training subtracted; the plug-in does not.
        plugin_ranges: Rescale the noise filter's frequency to the plug-in's range.
        plugin: Refuse what the plug-in would not load.

    Raises:
        ValueError: Not the 3 features and 14 parameters of the plug-in, or no noise filter to rescale.
    """
    controls = task.mapping
    params = controls.preset.shape[1]
    if plugin and (controls.mapper.in_size, params) != (PLUGIN_FEATURES, PLUGIN_PARAMS):
        raise ValueError(
            f"The plug-in takes {PLUGIN_FEATURES} onset features and {PLUGIN_PARAMS} parameters; this mapper "
            f"has {controls.mapper.in_size} and {params}. To use it elsewhere, export with --any-size."
        )
    if plugin and controls.param_names != list(Snare808(44100).ranges):
        raise ValueError(
            f"The plug-in plays a Snare808, and this mapper a {type(task.synth).__name__}. "
            "To use it elsewhere, export with --any-size."
        )
    if center and not controls.onset_scale.known:
        raise ValueError("What training subtracted from the onset features is not in an imported checkpoint.")
    mapper = controls.parameter_mapper(center)
    if plugin_ranges:
        if _FILTER not in controls.param_names:
            raise ValueError(f"{type(task.synth).__name__} has no {_FILTER} to rescale.")
        span = task.synth.ranges[_FILTER]
        factor = (span.high - span.low) / (PLUGIN_FILTER_HZ - span.low)
        return frozen_copy(RescaledFilter(mapper, controls.param_names.index(_FILTER), factor))
    return frozen_copy(mapper)


def export_onnx(module: nn.Module, path: str | Path, in_size: int, metadata: dict[str, object]) -> None:
    """Write ONNX with input ``onset`` and output ``parameters``; needs the ``export`` extra.

    From ``(hits, in_size)``, any number of hits, to ``(hits + 1, params)``: the last row is the preset.
    """
    import onnx

    Path(path).parent.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        module,
        (torch.ones(2, in_size),),
        str(path),
        input_names=["onset"],
        output_names=["parameters"],
        dynamic_axes={"onset": {0: "hits"}, "parameters": {0: "hits_and_preset"}},
        dynamo=False,
    )
    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, {"metadata": json.dumps(metadata)})
    onnx.save(model, str(path))


def export(
    checkpoint: str | Path,
    output_path: str | Path,
    *,
    center: bool | None = None,
    plugin_ranges: bool = False,
    plugin: bool = True,
    metadata: bool = True,
    trust: Trust | None = None,
) -> None:
    """Write the mapper of a checkpoint as ``.pt`` (TorchScript) or ``.onnx``.

    With all switches off the file is what the original program wrote. For one hit, row 0 of its output is how
    far each parameter moves from the preset and row 1 is the preset. ONNX takes any number of hits: a row of
    moves for each, in their order, and the preset as the last row.

    Args:
        checkpoint: Of a ``RemapTask``.
        output_path: Its suffix decides the format.
        center: As :func:`exportable`; None where the checkpoint knows what training subtracted.
        plugin_ranges, plugin: As :func:`exportable`.
        metadata: Put sample rate, names and ranges into the file; the plug-in ignores them.
        trust: Modules of your own whose classes the checkpoint may name.
    """
    suffix = Path(output_path).suffix.lower()
    if suffix not in (".pt", ".onnx"):
        raise ValueError(f"The mapper is written as .pt or .onnx, not as {Path(output_path).name}.")
    task, data = remapping_parts(load_played(checkpoint, trust), checkpoint)
    known_center = bool(task.mapping.onset_scale.known)
    if center is None:
        center = known_center
        if not known_center:
            log.warning("What training subtracted from the onset features is unknown; nothing is subtracted.")
    module = exportable(task, center=center, plugin_ranges=plugin_ranges, plugin=plugin)
    if data.center_onset and known_center and not center:
        log.warning(
            "The training centred its onset features, this mapper does not: without --no-center it would."
        )
    heard = {
        "onset_features": list(data.onset_features.labels),
        "onset_samples": data.onset_features.receptive_field,
    }
    chosen = {"centered": center, "plugin_ranges": plugin_ranges}
    known = task.export_metadata() | heard | chosen if metadata else {}
    if suffix == ".pt":
        save_torchscript(module, output_path, task.mapping.mapper.in_size, known)
    else:
        export_onnx(module, output_path, task.mapping.mapper.in_size, known)


def command(given: argparse.Namespace) -> int:
    """`drumblender export CKPT OUT.pt|OUT.onnx`; see :func:`drumblender.options.converting.export`."""
    check_apart([Path(given.checkpoint)], [Path(given.output)])
    loaded = load_played(given.checkpoint, trusted(given.trust))
    if loaded.task.verb == "transfer":
        return _export_transfer(loaded, given)
    export(
        given.checkpoint,
        given.output,
        center=given.center,
        plugin_ranges=given.plugin_ranges,
        plugin=not given.any_size,
        trust=trusted(given.trust),
    )
    log.info("Wrote %s.", given.output)
    return 0


def _export_transfer(loaded: Loaded, given: argparse.Namespace) -> int:
    """A frame of timbre transfer, and how far the file is from the model."""
    if given.center is not None or given.plugin_ranges or given.any_size:
        raise ValueError("--center, --plugin-ranges and --any-size are for mappers of cfg/remap.yaml.")
    curves = loaded.data.curves
    step = FrameStep(loaded.task.player, curves.hop_length)
    told = {"sample_rate": curves.sample_rate, "tracker": curves.tracker, "hold_below": curves.hold_below}
    worst = export_step(step, given.output, told)
    log.info("Wrote %s: frames in, sound out; %.1g from the model at most.", given.output, worst)
    return 0
