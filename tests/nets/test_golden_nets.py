import pytest
from golden_nets import check, load

from drumblender.nets import TCN, AttentionPooling, FiLM, GatedActivation, Pad, TFiLM

CASES = {
    Pad: ["causal", "noncausal"],
    FiLM: ["bn_eval", "bn_train", "nobn_eval"],
    TFiLM: [""],
    GatedActivation: [""],
    AttentionPooling: ["vector", "keep", "zero_query"],
    TCN: [
        "causal_eval",
        "noncausal_gated_eval",
        "batchnorm_film_eval",
        "batchnorm_film_train",
        "instancenorm_film_nobn_eval",
        "gated_film_eval",
        "tfilm_eval",
    ],
}


@pytest.mark.parametrize("kind, case", [(kind, case) for kind, cases in CASES.items() for case in cases])
def test_matches_the_original(golden, kind, case):
    numbers = golden("drums", f"{kind.__name__}_{case}".rstrip("_"))
    module = load(kind(**numbers.config.get("init", {})), numbers)
    inputs = {
        name: value.requires_grad_() for name, value in numbers.inputs().items() if not name.startswith("ct_")
    }
    check(numbers, module, module(**inputs), "y", inputs)
