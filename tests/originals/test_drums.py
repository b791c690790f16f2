import pytest
import torch
import yaml
from golden_case import golden_file

from drumblender.checkpoint_file import read_checkpoint
from drumblender.checkpoints import build, load_checkpoint
from drumblender.originals import drums as import_drums
from drumblender.originals.drums import convert
from drumblender.originals.imported import save_imported
from drumblender.weights_check import load_weights


def imported(name):
    config = yaml.safe_load(golden_file(f"drums/{name}.yaml").read_text())
    return convert(config, read_checkpoint(golden_file(f"drums/{name}.ckpt")))


@pytest.fixture
def original(golden):
    """A task and batch of an original checkpoint, and what it should give."""

    def load(name, mode):
        case = golden("drums", f"{name}_{mode}")
        made = imported(name)
        task, _ = build(made.config)
        load_weights(task, made.state_dict, source=name)
        task.train(mode == "train")
        freq_rad, amp, phase_rad = case["in_params"].mT.unbind(1)
        fields = {"freq_rad": freq_rad, "amp": amp, "phase_rad": phase_rad}
        fields = {key: value.clone().requires_grad_() for key, value in fields.items()}
        batch = {"audio": case["in_original"][:, 0], **fields}
        return task, batch, case

    return load


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("name", ["ckpt_all_parallel", "ckpt_noise_transient_params", "ckpt_modal"])
def test_an_original_checkpoint_sounds_the_same(original, name, mode):
    task, batch, case = original(name, mode)
    prediction = task(batch, noise=case.get("in_noise"))
    case.check("out_y_hat", prediction[:, None])
    case.check("out_loss", task.loss(prediction, batch["audio"]))
    (prediction * case["in_ct_y_hat"][:, 0]).sum().backward()
    got = torch.stack([batch[key].grad.mT for key in ("freq_rad", "amp", "phase_rad")], dim=1)
    case.check("grad_params", got)


@pytest.mark.parametrize("name", ["ckpt_all_parallel", "ckpt_noise_transient_params", "ckpt_modal"])
def test_an_imported_checkpoint_is_one_of_ours(golden, name, tmp_path):
    golden("drums", f"{name}_eval")  # skips where the files are absent
    save_imported(imported(name), tmp_path / "new.ckpt")
    loaded = load_checkpoint(tmp_path / "new.ckpt")
    assert loaded.sample_rate == loaded.data.sample_rate == 48000
    assert list(loaded.task.voices)[0] == "modal"


def test_the_order_of_voices_follows_the_flags(golden):
    golden("drums", "ckpt_all_parallel_eval")
    assert list(imported("ckpt_all_parallel").config["model"]["init_args"]["voices"]) == [
        "modal",
        "transient",
        "noise",
    ]
    voices = imported("ckpt_noise_transient_params").config["model"]["init_args"]["voices"]
    assert list(voices) == ["modal", "noise", "transient"]
    assert voices["transient"]["combine"] == "replace"


def stft_loss(**settings):
    return {"class_path": "auraloss.freq.MultiResolutionSTFTLoss", "init_args": settings}


def test_losses_and_metrics_come_along():
    slope = {"class_path": "drumblender.loss.FirstOrderDifferenceLoss"}
    both = {"class_path": "drumblender.loss.WeightedLoss", "init_args": {"loss_fns": [slope, stft_loss()]}}
    loss = import_drums._loss(both)["init_args"]
    assert [each["class_path"].rsplit(".", 1)[-1] for each in loss["losses"].values()] == [
        "FirstOrderDifferenceLoss",
        "MultiResolutionSTFTLoss",
    ]
    kept = stft_loss(scale_invariance=True, perceptual_weighting=True, sample_rate=48000, output="loss")
    assert import_drums._loss(kept)["init_args"] == {
        "scale_invariance": True,
        "perceptual_weighting": True,
        "sample_rate": 48000,
    }
    metrics = {
        "lsd": {"class_path": "drumblender.metrics.LogSpectralDistance"},
        "sc": stft_loss(w_log_mag=0.0),
    }
    modules = {"class_path": "torch.nn.ModuleDict", "init_args": {"modules": metrics}}
    assert import_drums._metrics(modules)["sc"]["init_args"]["loss"]["init_args"] == {"w_log_mag": 0.0}


@pytest.mark.parametrize(
    "loss, message",
    [
        (stft_loss(w_phs=1.0), "w_phs other than 0.0"),
        ({"class_path": "auraloss.time.ESRLoss"}, "auraloss.time.ESRLoss has no counterpart"),
    ],
)
def test_what_has_no_counterpart_is_named(loss, message):
    with pytest.raises(ValueError, match=message):
        import_drums._loss(loss)
