"""The golden files and what is said of them: neither stands alone, and a wrong number fails."""

import pytest
import torch
from golden_case import ENTRIES, FOLDERS, TRAVELLING, Golden

TOLD = [(system, name) for system, entries in ENTRIES.items() for name in entries]
MEASURES = {"exact", "abs", "max", "among", "each", "l2", "share"}


def test_each_entry_has_its_file_here_or_says_that_it_is_elsewhere():
    here = {(file.parent.name, file.stem) for file in TRAVELLING.glob("*/*.npz")}
    assert here >= {(system, name) for system, name in TOLD if ENTRIES[system][name].get("travels", True)}
    elsewhere = {(system, name) for system, name in TOLD if not ENTRIES[system][name].get("travels", True)}
    assert not here & elsewhere
    if FOLDERS[1].is_dir():
        assert elsewhere <= {(file.parent.name, file.stem) for file in FOLDERS[1].glob("*/*.npz")}


def test_rules_are_measures_with_limits():
    for system, name in TOLD:
        rules = [rule for rule in ENTRIES[system][name].values() if isinstance(rule, str)]
        for part in (part for rule in rules for part in rule.split(", ")):
            measure, *limit = part.split()
            assert measure in MEASURES and len(limit) == (measure != "exact"), (name, part)
            assert all(float(number) > 0 for number in limit), (name, part)


def test_a_file_without_an_entry_is_refused():
    with pytest.raises(KeyError, match="drums/unheard_of has no entry in tests/golden/tolerances.yaml"):
        Golden("drums", "unheard_of")


def test_a_wrong_number_is_named_with_its_file_and_its_limit(golden):
    case = golden("remap", "feat_windows")
    case.check("out_hann", case["out_hann"] + 5e-7)
    with pytest.raises(AssertionError, match=r"out_hann of remap/feat_windows .* 2\S*e-06 \(abs\); 1e-6"):
        case.check("out_hann", case["out_hann"] + 2e-6)
    with pytest.raises(AssertionError, match="out_hann of remap/feat_windows is off by nan"):
        case.check("out_hann", case["out_hann"] * torch.nan)
    with pytest.raises(AssertionError, match="out_hann of remap/feat_windows has the shape"):
        case.check("out_hann", case["out_hann"][None])


@pytest.mark.parametrize(
    "rule, limit",
    [
        ("abs 0.2", 0.2),
        ("max 0.02", 0.2),
        ("each 0.2", 0.2),
        ("l2 0.02", 0.2 * 1.01**0.5),
        ("among 0.02", 0.2),
    ],
)
def test_measures_are_what_they_say(golden, rule, limit):
    case = golden("remap", "feat_windows")
    case.tolerances = {"grad": rule}
    case["grad_x"] = torch.tensor([10.0, -1.0, 0.0])
    for error, passes in ((0.99 * limit, True), (1.01 * limit, False)):
        actual = case["grad_x"] + torch.tensor([0.0, error, 0.0])
        if passes:
            case.check("grad_x", actual)
        else:
            with pytest.raises(AssertionError, match="grad_x"):
                case.check("grad_x", actual)


def test_a_gradient_that_vanishes_is_compared_with_the_others(golden):
    case = golden("remap", "feat_windows")
    case.tolerances = {"grad": "among 0.1"}
    case["grad_x"], case["grad_small"] = torch.tensor([100.0]), torch.tensor([1e-6])
    case.check("grad_small", torch.tensor([0.09]))
    with pytest.raises(AssertionError, match="grad_small"):
        case.check("grad_small", torch.tensor([0.11]))


def test_either_precision_of_the_published_code_is_accepted(golden):
    case = golden("remap", "feat_windows")
    case["out_y"], case["ref64_out_y"] = torch.tensor([1.0]), torch.tensor([1.1])
    case.check("out_y", torch.tensor([1.1]))
    case.check("out_y", torch.tensor([1.0]))
    with pytest.raises(AssertionError, match="out_y"):
        case.check("out_y", torch.tensor([1.05]))
