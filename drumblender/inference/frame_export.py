"""Timbre transfer that leaves Python: frames as TorchScript or ONNX, the state in and out."""

import json
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from drumblender.atomic import atomic_write
from drumblender.inference.frame_step import FrameStep, Player
from drumblender.inference.stepped_stream import SteppedStream
from drumblender.inference.transfer import TransferStream

_FRAMES = ("curves", "index", "noise")
_STATE = ("hidden", "turns", "last", "waiting", "sound")
_OPSET = 17
_LOUDEST_DIFFERENCE = 1e-3
_CHECKED_FRAMES = 200
_ELEMENTWISE = {f"aten::{name}" for name in ("add", "sub", "mul", "div", "lt", "where")}
_TRACED_FRAMES = 2  # more than one, so that no size of 1 is taken for one that stays


def traced(step: FrameStep) -> torch.jit.ScriptModule:
    """The step as TorchScript: called as the step is."""
    with warnings.catch_warnings(action="ignore"), torch.no_grad():  # of sizes, which do not change
        frozen = torch.jit.freeze(torch.jit.trace(step, _example(step), check_trace=False))
        _narrow_numbers(frozen)
        return torch.jit.optimize_for_inference(frozen)


def _narrow_numbers(module: torch.jit.ScriptModule) -> None:
    """Make float32 of the plain numbers that a tracer keeps as float64: each would be cast in every call.

    And of one dimension: beside a tensor of none, torch takes two to three times as long for an operation.
    """
    for constant in module.graph.findAllNodes("prim::Constant"):
        if not constant.hasAttribute("value") or constant.kindOf("value") != "t":
            continue
        value, users = constant.t("value"), {use.user.kind() for use in constant.output().uses()}
        if value.ndim == 0 and (value.dtype == torch.float64 or users == {"aten::div"}):
            value = value.float()
        constant.t_("value", value.reshape(1) if value.ndim == 0 and users <= _ELEMENTWISE else value)


def export_step(step: FrameStep, path: str | Path, metadata: dict[str, object]) -> float:
    """Write the step as ``.pt`` (TorchScript) or ``.onnx``, once what the file plays is what the step plays.

    Inputs are ``curves`` (a column a frame, rows in the order of the metadata's ``curves``), ``index`` (the
    frames' numbers, from 0), ``noise`` (the ``n_fft`` samples of white noise under each frame, a row a frame,
    each a hop later than the one before) and the state; outputs are ``audio`` (a hop for each frame) and the
    next state, ``next_`` before each name. Up to ``most_frames`` are played in a call, and nothing sounds in
    a frame whose ``loudness_db`` is -80 or less. The state starts as zeros of the shapes that the metadata
    tells. A model without noise takes none: no input of ONNX, rows of no length of TorchScript.

    Args:
        step: Of a trained model.
        path: Its suffix decides the format; onnx and onnxruntime are needed for ``.onnx``.
        metadata: Goes into the file.

    Returns:
        The largest difference between both over two seconds of moving curves.

    Raises:
        ValueError: Another suffix, or what was exported plays something else.
    """
    path = Path(path)
    if path.suffix.lower() not in (".pt", ".onnx"):
        raise ValueError(f"A model is written as .pt or .onnx, not as {path.name}.")
    state = dict(zip(_STATE, step.initial(), strict=False))
    told = metadata | {
        "curves": list(step.inputs),
        "hop_length": step.hop_length,
        "n_fft": step.n_fft,
        "late_samples": step.late_samples,
        "most_frames": step.most_frames,
        "state": {name: list(value.shape) for name, value in state.items()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as aside:
        if path.suffix.lower() == ".pt":
            torch.jit.save(traced(step), str(aside), _extra_files={"metadata": json.dumps(told)})
        else:
            _write_onnx(step, aside, list(state), told)
        call = _session(step, aside) if path.suffix.lower() == ".onnx" else torch.jit.load(str(aside))
        worst = _difference(step, call)
        if not worst < _LOUDEST_DIFFERENCE:
            raise ValueError(f"{path} would not play what the model plays: {worst:.2g} apart.")
    return worst


def load_step(player: Player, path: str | Path, hop_length: int = 160) -> tuple[FrameStep, Callable]:
    """A step and what its file plays it by, for ``SteppedStream(step, call)``."""
    step = FrameStep(player, hop_length)
    onnx = Path(path).suffix.lower() == ".onnx"
    return step, _session(step, Path(path)) if onnx else torch.jit.load(str(path))


def _example(step: FrameStep) -> tuple[Tensor, ...]:
    curves = torch.tensor([[{"f0_hz": 220.0}.get(name, -20.0)] * _TRACED_FRAMES for name in step.inputs])
    noise = torch.zeros(_TRACED_FRAMES, step.n_fft if step.has_noise else 0)
    return curves, torch.arange(_TRACED_FRAMES), noise, *step.initial()


def _write_onnx(step: FrameStep, path: Path, state: list[str], metadata: dict[str, object]) -> None:
    import onnx

    with warnings.catch_warnings(action="ignore"):
        torch.onnx.export(
            step,
            _example(step),
            str(path),
            input_names=[*_FRAMES, *state],
            output_names=["audio", *(f"next_{name}" for name in state)],
            dynamic_axes={
                "curves": {1: "frames"},
                "index": {0: "frames"},
                "noise": {0: "frames"},
                "audio": {0: "samples"},
            },
            dynamo=False,
            opset_version=_OPSET,
        )
    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, {"metadata": json.dumps(metadata)})
    onnx.save(model, str(path))


def _session(step: FrameStep, path: Path) -> Callable[..., list]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # a frame is too small to share
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    heard = {value.name for value in session.get_inputs()}
    names = [name if name in heard else None for name in (*_FRAMES, *_STATE)]
    made = [value.name for value in session.get_outputs()]

    def call(*given: Tensor | np.ndarray) -> list[Tensor | np.ndarray]:
        inputs = {
            name: value.numpy() if isinstance(value, Tensor) else value
            for name, value in zip(names, given, strict=False)
            if name
        }
        audio, *state = session.run(made, inputs)
        return [torch.from_numpy(audio), *state]  # which only comes back here

    return call


def _difference(step: FrameStep, call: Callable) -> float:
    """Of two seconds of curves that move over all that the model may hear, started from silence."""
    even = torch.linspace(0, 1, _CHECKED_FRAMES)
    curves = {
        "f0_hz": 60 * 20**even,
        "loudness_db": -60 + 50 * even,
        "periodicity": even,
        "age_s": 2 * even,
        "peak_db": -50 + 40 * even,
        "brightness_hz": 300 * 10**even,
    }
    kept = {name: curve for name, curve in curves.items() if name in step.inputs or name == "f0_hz"}
    streams = TransferStream(step.player, step.hop_length, n_fft=step.n_fft), SteppedStream(step, call)
    whole, other = (torch.cat([stream.push(kept), stream.finish()]) for stream in streams)
    return float((whole - other).abs().max())
