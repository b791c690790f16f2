import json
import math

import numpy as np
import pytest
import soundfile
import torch

from drumblender.data import ModalDataModule
from drumblender.data.items import load_tensors
from drumblender.data.prepare.manifest import load_manifest
from drumblender.features import CQTModalAnalysis, NoModesError

RATE, LENGTH = 16000, 8000


def analysis(**settings):
    given = {
        "hop_length": 128,
        "fmin": 80,
        "n_bins": 60,
        "bins_per_octave": 12,
        "num_modes": 4,
        "threshold": -70.0,
    }
    return CQTModalAnalysis(
        **({"sample_rate": RATE, "min_length": 4, "diff_threshold": 5.0} | given | settings)
    )


def module(folder, raw=None, num_modes=None, found_by=None, **settings):
    raw_dir = None if raw is None else str(raw)
    sizes = {"sample_rate": RATE, "num_samples": LENGTH, "batch_size": 4}
    return ModalDataModule(
        str(folder), found_by or analysis(), num_modes, raw_dir=raw_dir, **(sizes | settings)
    )


def ring(*freqs_hz):
    time = np.arange(LENGTH) / RATE
    return sum(0.3 * np.exp(-4 * time) * np.sin(2 * np.pi * freq * time) for freq in freqs_hz).astype(
        "float32"
    )


@pytest.fixture
def raw(tmp_path):
    (tmp_path / "raw/acoustic/tom").mkdir(parents=True)
    for number in range(12):
        freqs_hz = (200, 700, 1500)[: 1 + number % 3]
        soundfile.write(
            tmp_path / f"raw/acoustic/tom/{number:02}.wav", ring(*freqs_hz), RATE, subtype="FLOAT"
        )
    return tmp_path / "raw"


def test_a_batch_holds_the_modes_of_each_sound(raw, tmp_path):
    data = module(tmp_path / "set", raw, num_modes=6)
    data.preprocess(jobs=1)
    data.setup()
    batch = next(iter(data.train_dataloader()))
    for name in ("freq_rad", "amp", "phase_rad"):
        assert batch[name].shape == (4, LENGTH // 128 + 1, 6)
    loudest_hz = batch["freq_rad"][:, 30, 0] * RATE / (2 * math.pi)
    assert all(min(abs(freq - other) for other in (200, 700, 1500)) < 15 for freq in loudest_hz.tolist())
    assert not batch["amp"][..., 4:].any()  # the analysis keeps four; silent ones fill up


def test_the_same_sounds_make_the_same_files(raw, tmp_path):
    for name in ("one", "two"):
        module(tmp_path / name, raw).preprocess(jobs=2)
    manifests = [(tmp_path / name / "manifest.json").read_text() for name in ("one", "two")]
    assert manifests[0] == manifests[1] and "feature_sha256" in manifests[0]


def test_what_is_stored_is_what_is_analysed_at_inference(raw, tmp_path):
    data = module(tmp_path / "set", raw)
    data.preprocess(jobs=1)
    data.setup()
    batch = next(iter(data.test_dataloader()))
    fields = data.analyse(batch["audio"])
    for name, field in fields.items():
        assert torch.equal(field, batch[name][..., : field.shape[-1]])


def test_a_batch_is_analysed_though_its_sounds_have_different_numbers_of_modes(tmp_path):
    audio = torch.from_numpy(np.stack([ring(200), ring(200, 700, 1500)]))
    data = module(tmp_path, num_modes=64, found_by=analysis(num_modes=None))
    fields = data.analyse(audio)
    alone = data.analyse(audio[:1])
    count = alone["amp"].shape[-1]
    assert count < fields["amp"].shape[-1]
    assert torch.equal(fields["freq_rad"][:1, :, :count], alone["freq_rad"])
    assert not fields["amp"][0, :, count:].any()


def test_silence_has_no_modes(tmp_path):
    with pytest.raises(NoModesError):
        module(tmp_path).analyse(torch.zeros(1, LENGTH))


def test_a_sound_without_modes_is_rejected(raw, tmp_path):
    quiet = np.zeros(LENGTH, "float32")
    quiet[0] = 0.05  # loud enough to be no silence, too short to be a mode
    soundfile.write(raw / "click.wav", quiet, RATE, subtype="FLOAT")
    data = module(tmp_path / "set", raw, found_by=analysis(threshold=-30.0))
    report = data.preprocess(jobs=1)
    assert (report.kept, report.rejected) == (12, 1)
    assert "No mode" in (data.data_dir / "rejected.json").read_text()


def test_features_are_made_anew_with_other_settings(raw, tmp_path):
    module(tmp_path / "set", raw).preprocess(jobs=1)
    other = module(tmp_path / "set", found_by=analysis(num_modes=1))
    with pytest.raises(ValueError, match=r"analysis\.num_modes 4 there, 1 asked.*--features"):
        other.setup()
    before = (tmp_path / "set/manifest.json").read_text()
    other.preprocess_features(jobs=1)
    other.setup()
    assert next(iter(other.test_dataloader()))["amp"].shape[-1] == 1
    assert other.verify() == []
    module(tmp_path / "set").preprocess_features(jobs=1)
    assert (tmp_path / "set/manifest.json").read_text() == before


def test_features_half_made_anew_are_finished(raw, tmp_path, monkeypatch):
    module(tmp_path / "set", raw).preprocess(jobs=1)
    other = module(tmp_path / "set", found_by=analysis(num_modes=1))
    calls = []

    def killed_at_the_fifth(audio, original=other.analyse):
        calls.append(audio)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return original(audio)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(other, "analyse", killed_at_the_fifth)
        other.preprocess_features(jobs=1)
    with pytest.raises(FileNotFoundError, match="half prepared"):
        other.setup()
    other.prepare_data(jobs=1)
    other.setup()
    assert other.verify() == []
    assert all(load_tensors(path).shape[1] == 1 for path in (tmp_path / "set/features").iterdir())


def test_more_modes_than_the_batch_holds_are_an_error(raw, tmp_path):
    module(tmp_path / "set", raw).preprocess(jobs=1)
    (tmp_path / "set/prepared.json").unlink()  # a published set does not say
    small = module(tmp_path / "set", num_modes=1)
    assert any("more than num_modes=1" in problem for problem in small.verify())


def test_a_feature_file_may_hold_no_code(raw, tmp_path):
    data = module(tmp_path / "set", raw)
    data.preprocess(jobs=1)
    paths = sorted((tmp_path / "set/features").iterdir())
    torch.save(pytest.raises, paths[0])
    paths[1].write_bytes(b"damaged")
    paths[2].unlink()
    problems = data.verify()
    assert len(problems) == 3 and all("no tensor file" in problem for problem in problems)


@pytest.mark.parametrize(
    "settings, said", [({"sample_rate": 44100}, "44100 Hz"), ({"num_samples": 0}, "num_samples=0")]
)
def test_settings_that_do_not_fit_are_errors(tmp_path, settings, said):
    with pytest.raises(ValueError, match=said):
        module(tmp_path, **settings)


def test_batches_need_a_number_of_modes(tmp_path):
    with pytest.raises(ValueError, match="num_modes"):
        module(tmp_path, found_by=analysis(num_modes=None))


def test_prepares_the_published_example(golden, tmp_path):
    data = golden("drums", "ModalDataModule_preprocess")
    init = data.config["init"]
    raw = tmp_path / init["data_dir_unprocessed"]
    for number in range(4):
        path = raw / str(data[f"in_path_{number}"])
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(
            path, data[f"in_wav_{number}"].numpy(), int(data[f"in_rate_{number}"]), subtype="FLOAT"
        )
    (raw / init["meta_file"]).write_text(json.dumps(data.config["raw_metadata"]))
    names = (
        "num_modes",
        "min_length",
        "hop_length",
        "fmin",
        "n_bins",
        "bins_per_octave",
        "threshold",
        "diff_threshold",
    )
    prepared = module(
        tmp_path / init["data_dir"],
        raw,
        num_modes=data.parameters["num_modes"],
        found_by=analysis(**{name: init[name] for name in names}),
        meta_file=init["meta_file"],
        save_modal_audio=True,
        channel="first",
        dc="keep",
    )
    prepared.preprocess(jobs=1)

    expected = json.loads(str(data["out_metadata"]))
    manifest = load_manifest(prepared.data_dir / init["meta_file"])
    assert {
        key: {name: item.to_json().get(name) for name in expected[key]} for key, item in manifest.items()
    } == expected
    for key in expected:
        audio, _ = soundfile.read(prepared.data_dir / manifest[key].filename, dtype="float32")
        data.check(f"out_audio_{key}", audio[None])
        stored, wanted = (
            load_tensors(prepared.data_dir / manifest[key].feature_file),
            data[f"out_feature_{key}"],
        )
        used = wanted[1] > 0
        assert torch.equal(stored[1] > 0, used)
        data.check(f"out_feature_{key}", stored[0][used], at=(0, used), within="freqs")
        data.check(f"out_feature_{key}", stored[1], at=1, within="amps")
        apart = torch.polar(torch.ones(()), stored[2] - wanted[2]).angle().abs()[used]
        same = apart < data.number("phases")
        assert same.float().mean() >= data.number("sounding_phases")
        modal, _ = soundfile.read(prepared.data_dir / manifest[key].tags["filename_modal"], dtype="float32")
        data.check(f"out_modal_{key}", modal[None], within=None if same.all() else "modal_of_other_phase")

    prepared._items["all"] = prepared._items_of(manifest, list(manifest))
    item = {one["name"]: one for one in prepared._items["all"]}[str(data["out_item0_key"])]
    data.check("out_item0_audio", item["audio"][None])
    data.check("out_item0_params", item["amp"].mT, at=1, within="amps")
    data.check("out_item0_params", item["freq_rad"][..., 4:].mT, at=(0, slice(4, None)))
