import torch

from drumblender.dsp.partials import partial_order, partials_hz


def test_without_stiffness_partials_are_whole_multiples():
    assert partials_hz(torch.tensor([110.0]), torch.zeros(1), 3).tolist() == [[110.0, 220.0, 330.0]]


def test_order_undoes_places(generator):
    f0_hz = 80 + 800 * torch.rand(5, 7, generator=generator)
    stiffness = 5e-4 * torch.rand(5, 7, generator=generator)
    order = partial_order(partials_hz(f0_hz, stiffness, 40) / f0_hz[..., None], stiffness)
    assert torch.allclose(order, torch.arange(1.0, 41).expand_as(order), atol=1e-3)


def test_gradients_match_finite_differences():
    f0_hz = torch.tensor([110.0, 220.0], dtype=torch.float64, requires_grad=True)
    stiffness = torch.tensor([1e-4, 3e-4], dtype=torch.float64, requires_grad=True)
    torch.autograd.gradcheck(lambda f, b: partials_hz(f, b, 10), (f0_hz, stiffness))
