"""Transforms of ``torch.func`` and ``torch.compile`` go through every public op that has gradients."""

import inspect
import pkgutil
from importlib import import_module

import pytest
import torch
from dsp_ops import OPS

import drumblender.dsp
from drumblender.dsp.tables import placed

WITHOUT = {
    "tables.placed": "of constants, which are kept",
    "a_weighting.bandpass_weight": "runs SciPy's filter from rest, and says so",
    "coloured_noise.coloured_noise": "is a baseline, without gradients by intention",
    "frame_filter.filter_by_places": "is filter_frame in real numbers, for ONNX",
    "frame_filter.real_filter_frame": "is filter_frame in real numbers, for ONNX",
    "frame_overlap.add_frames": "adds up what an exported model plays, which is not trained",
    "mode_fit.fit_quadrature": "solves for one recording, as preparation of data",
    "mode_fit.match_amplitudes": "measures a recording, as preparation of data",
    "moments.bin_numbers": "counts bins, whatever is in them",
    "offset.remove_offset": "decides on one recording, as preparation of data",
}
COMPILED = [  # compiling takes a second: one of each kind of kernel, and of what has none
    "filtered_noise.filtered_noise",
    "filters.biquad",
    "moments.flatness",
    "moments.frame_magnitudes",
    "oscillators.modal_bank",
    "resample.kaiser_resample",
    "spectral_distance.spectral_sums",
    "spectral_transport.spectral_transport",
    "splines.spline_upsample",
    "strings.karplus_strong",
    "strings.constrain_loop_coefficients",
    "transport.wasserstein_1d",
    "windows.keep_windows",
]


def differentiable() -> set[str]:
    """``module.function`` of all that take tensors of real or complex numbers and give some."""
    found = set()
    for info in pkgutil.iter_modules(drumblender.dsp.__path__):
        module = import_module(f"drumblender.dsp.{info.name}")
        for name, function in vars(module).items():
            ours = inspect.isfunction(function) and function.__module__ == module.__name__
            if not ours or name.startswith("_") or name.endswith("_plain"):  # the formula that others fall to
                continue
            signature = inspect.signature(function)
            taken = [parameter.annotation for parameter in signature.parameters.values()]
            if any(map(_real, taken)) and _real(signature.return_annotation):
                found.add(f"{info.name}.{name}")
    return found


def _real(annotation: object) -> bool:
    text = str(annotation)
    return annotation is torch.Tensor or "Float[Tensor" in text or "Complex[Tensor" in text


def test_every_op_with_gradients_has_an_example_or_a_reason():
    assert not OPS.keys() & WITHOUT.keys()
    assert differentiable() - OPS.keys() == WITHOUT.keys()


def case(name):
    """The op, its arguments, what it gives, a weight for that, and the gradients of the weighted sum."""
    torch.manual_seed(0)
    op, make = OPS[name]
    args = make()
    leaves = [value.clone().requires_grad_() for value in args]
    out = op(*leaves)
    weight = torch.randn_like(out)
    return op, args, out.detach(), weight, torch.autograd.grad((out * weight).sum(), leaves)


def assert_near(found, expected):
    for one, other in zip(found, expected, strict=True):
        assert (one - other).abs().max() <= 1e-9 * other.abs().max().clamp(min=1e-6)


@pytest.mark.parametrize("name", OPS)
@pytest.mark.usefixtures("unchecked")
def test_func_grad_and_vmap_equal_autograd(name):
    op, args, out, weight, expected = case(name)
    every = tuple(range(len(args)))
    assert_near(torch.func.grad(lambda *given: (op(*given) * weight).sum(), every)(*args), expected)

    def one(*given):
        return op(*(value[None] for value in given))[0]

    assert_near([torch.vmap(one)(*args)], [out])
    by_item = torch.func.grad(lambda share, *given: (one(*given) * share).sum(), tuple(n + 1 for n in every))
    assert_near(torch.vmap(by_item)(weight, *args), expected)


@pytest.mark.parametrize("name", COMPILED)
@pytest.mark.usefixtures("unchecked")
def test_compile_goes_through(name):
    op, args, out, weight, expected = case(name)
    leaves = [value.clone().requires_grad_() for value in args]
    torch._dynamo.reset()  # or it stops to compile what all ops share, after eight of them
    found = torch.compile(op, backend="aot_eager")(*leaves)
    assert_near([found.detach()], [out])
    assert_near(torch.autograd.grad((found * weight).sum(), leaves), expected)


def test_what_is_placed_in_a_transform_is_kept_and_none_of_it():
    """A copy made anew in every step would make a GPU wait."""
    ramp, wide, found = torch.arange(3), torch.ones(2, 3, dtype=torch.float64), []

    def one(x):
        found.append(placed(ramp, x))
        return (x * found[-1]).sum()

    torch.vmap(one)(wide)
    torch.func.grad(one)(wide[0])
    assert found[0] is found[1] is placed(ramp, wide)
    assert not torch._C._functorch.is_functorch_wrapped_tensor(found[0])
