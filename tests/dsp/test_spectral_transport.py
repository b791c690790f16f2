import pytest
import torch

from drumblender.dsp.spectral_transport import spectral_transport, spectral_transport_plain

CASES = (
    "sot_01_fixed_x_2d",
    "sot_02_paper_cut_512",
    "sot_03_paper_nocut_512",
    "sot_04_dims1_p1",
    "sot_07_silent_target",
    "sot_08_call_dont_normalize_louder_y",
    "sot_09_log_positions_cut_512",
    "sot_10_paper_cut_2048_quiet_y",
)


def random_spectra(rows: int, bins: int, generator: torch.Generator) -> torch.Tensor:
    return torch.rand(rows, bins, generator=generator, dtype=torch.float64) ** 4


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient_are_the_published_ones(golden, name):
    case = golden("pitch", name)
    inputs = case.inputs()
    bins = inputs["x"].shape[-1]
    positions = inputs.get("x_pos", torch.linspace(0, 1, bins))
    prediction = inputs["y"].requires_grad_()
    said = case.config["init"] | case.config["call"]
    distance = spectral_transport(
        prediction.flatten(0, -2),
        inputs["x"].flatten(0, -2),
        positions,
        p=said["p"],
        squared=said.get("square_dist", False),
        balanced=not said.get("dont_normalize", False),
        cutoff="clip" if said.get("limit_quantile_range") else None,
    ).reshape(prediction.shape[:-1])
    loss = distance.mean(dim=said["dims"]) if "dims" in said else distance.mean()
    loss.backward(torch.as_tensor(case["cot_loss"]))
    case.check("out_loss", loss)
    case.check("grad_y", prediction.grad)


@pytest.mark.parametrize("cutoff", [None, "clip", "drop"])
@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize("squared", [True, False])
def test_one_pass_and_sort_give_the_same(generator, squared, balanced, cutoff):
    x, y = random_spectra(5, 40, generator), 2 * random_spectra(5, 31, generator)
    places = torch.rand(31, generator=generator).double(), torch.rand(40, generator=generator).double()
    pairs = []
    for _ in range(2):
        pair = y.clone().requires_grad_(), x.clone().requires_grad_()
        if not pairs:
            value = spectral_transport(
                *pair, *places, p=1.5, squared=squared, balanced=balanced, cutoff=cutoff
            )
        else:
            value = spectral_transport_plain(*pair, *places, 1.5, squared, balanced, cutoff)
        (value * torch.arange(1, 6)).sum().backward()
        pairs.append((value.detach(), pair[0].grad, pair[1].grad))
    for found, expected in zip(*pairs, strict=True):
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("cutoff", [None, "clip", "drop"])
def test_a_share_of_the_mass_is_the_same_by_both(generator, cutoff):
    x, y = random_spectra(4, 30, generator), random_spectra(4, 30, generator).requires_grad_()
    positions = torch.linspace(0, 1, 30, dtype=torch.float64)
    settings = {"p": 2.0, "squared": False, "balanced": True, "cutoff": cutoff}
    found = spectral_transport(y, x, positions, **settings, share=0.2)
    expected = spectral_transport_plain(y, x, positions, positions, **settings, limit=0.2)
    torch.testing.assert_close(found, expected)
    grads = [torch.autograd.grad(value.sum(), y)[0] for value in (found, expected)]
    torch.testing.assert_close(*grads)


def test_of_a_small_share_only_the_lowest_peak_is_heard():
    """Two combs of one fundamental, of other partials: nothing to move; an octave up, an octave."""
    octaves = torch.arange(16.0).log2().clamp(min=-1)
    comb, few, high = torch.zeros(3, 16)
    comb[[2, 4, 6, 8]], few[2], high[[4, 8, 12]] = torch.tensor([0.4, 1.0, 0.7, 1.0]), 1.0, 1.0

    def distance(y, x, share):
        return spectral_transport(y[None], x[None], octaves, p=1, share=share).item()

    assert distance(few, comb, 0.03) == 0 < distance(few, comb, 1.0)
    assert distance(high, comb, 0.03) == pytest.approx(0.03)


@pytest.mark.parametrize("share", [0.0, 1.5])
def test_a_share_is_one(unchecked, share):
    with pytest.raises(ValueError, match="share lies in"):
        spectral_transport(torch.ones(1, 3), torch.ones(1, 3), torch.arange(3.0), share=share)


@pytest.mark.parametrize("balanced", [True, False])
def test_gradients_match_finite_differences(generator, balanced):
    x, y = random_spectra(2, 6, generator), 1.5 * random_spectra(2, 6, generator)
    positions = torch.linspace(0, 1, 6, dtype=torch.float64)
    torch.autograd.gradcheck(
        lambda *s: spectral_transport(*s, positions, squared=True, balanced=balanced, cutoff="clip"),
        [y.requires_grad_(), x.requires_grad_()],
    )


def test_a_peak_costs_its_way_squared():
    bins = torch.eye(10)
    distance = spectral_transport(bins[7:8], bins[3:4], torch.arange(10.0), p=2)
    assert distance.item() == 16


def test_level_counts_only_unbalanced(generator):
    x = random_spectra(3, 20, generator)
    positions = torch.linspace(0, 1, 20)
    assert spectral_transport(0.3 * x, x, positions).max() < 1e-12
    assert (spectral_transport(0.3 * x, x, positions, balanced=False) > 0).all()
    louder = spectral_transport(2 * x, x, positions, balanced=False, p=1, cutoff="clip")
    assert (louder > 0).all()


@pytest.mark.parametrize("balanced", [True, False])
@pytest.mark.parametrize("cutoff", [None, "clip", "drop"])
def test_silence_is_finite(balanced, cutoff):
    silence, sound = torch.zeros(1, 8), torch.linspace(0, 1, 8)[None]
    positions = torch.linspace(0, 1, 8)
    for prediction, target in ((sound, silence), (silence, sound), (silence, silence)):
        prediction = prediction.clone().requires_grad_()
        distance = spectral_transport(
            prediction, target, positions, squared=True, balanced=balanced, cutoff=cutoff
        )
        distance.sum().backward()
        assert distance.isfinite().all() and prediction.grad.isfinite().all()
        if target is silence:
            assert distance.item() == 0 and not prediction.grad.any()


@pytest.mark.parametrize(
    ("prediction", "positions", "message"),
    [
        (torch.tensor([[1.0, -1.0]]), torch.arange(2.0), "not negative"),
        (torch.tensor([[1.0, torch.nan]]), torch.arange(2.0), "finite"),
        (torch.tensor([[1.0, torch.inf]]), torch.arange(2.0), "finite"),
        (torch.ones(1, 2), torch.arange(3.0), "2 bins"),
        (torch.ones(1, 2), torch.tensor([0.0, torch.nan]), "Positions"),
    ],
)
@pytest.mark.parametrize("squared", [True, False])
def test_rejects(unchecked, prediction, positions, message, squared):
    with pytest.raises(ValueError, match=message):
        spectral_transport(prediction, torch.ones(1, 2), positions, torch.arange(2.0), squared=squared)
    with pytest.raises(ValueError, match="p=0"):
        spectral_transport(torch.ones(1, 2), torch.ones(1, 2), torch.arange(2.0), p=0)
