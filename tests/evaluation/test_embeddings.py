"""What sounds become points, where points are kept, and the network of aiSFX on weights of its own shape."""

from pathlib import Path

import numpy as np
import pytest
import torch

from drumblender.audio_io import write_wav
from drumblender.evaluation import aisfx
from drumblender.evaluation.aisfx import AiSFX, mel_levels, read_weights, windows
from drumblender.evaluation.embeddings import (
    Embedding,
    MFCCStatistics,
    SmallCrepe,
    build_embedding,
    cache_folder,
    embed_files,
)
from drumblender.open_sound import BadAudioError


class Loudness(Embedding):
    """The level of a sound; counts how often it is asked."""

    name = "loudness"
    sample_rate = 8000
    dimensions = 1

    def __init__(self):
        self.asked = 0

    def embed(self, audio):
        self.asked += 1
        return audio.square().mean()[None]


def write_sounds(folder, count=3, rate=8000, seed=0):
    generator = torch.Generator().manual_seed(seed)
    files = [folder / f"{number}.wav" for number in range(count)]
    for number, file in enumerate(files):
        fade = torch.exp(-torch.arange(4000) / (300 + 200 * number))
        write_wav(file, 0.5 * fade * torch.randn(4000, generator=generator), rate)
    return files


def test_kept_points_are_those_of_the_content_not_of_the_name(tmp_path):
    files = write_sounds(tmp_path)
    embedding, cache = Loudness(), tmp_path / "cache"
    first = embed_files(files, embedding, cache)
    files[0].rename(tmp_path / "renamed.wav")
    moved = [tmp_path / "renamed.wav", *files[1:]]
    assert torch.equal(embed_files(moved, embedding, cache), first) and embedding.asked == 3
    write_wav(files[1], torch.ones(4000), 8000)
    assert embed_files(moved, embedding, cache)[1] == 1 and embedding.asked == 4


def test_a_damaged_point_is_made_anew(tmp_path):
    files = write_sounds(tmp_path)
    embedding, cache = Loudness(), tmp_path / "cache"
    first = embed_files(files, embedding, cache)
    kept = sorted(cache.rglob("*.npy"))
    kept[0].write_bytes(kept[0].read_bytes()[:90])
    kept[1].write_bytes(b"")
    assert torch.equal(embed_files(files, embedding, cache), first) and embedding.asked == 5


def test_a_file_that_is_no_sound_ends_it(tmp_path):
    (tmp_path / "bad.wav").write_text("no sound")
    with pytest.raises(BadAudioError, match=r"bad\.wav: is no audio file"):
        embed_files([tmp_path / "bad.wav"], Loudness(), tmp_path / "cache")


@pytest.mark.parametrize("num_samples", [1, 500, 2048, 30000])
def test_mel_cepstra_of_any_length_are_finite_even_of_silence(num_samples, generator):
    for audio in (torch.zeros(num_samples), torch.randn(num_samples, generator=generator)):
        point = MFCCStatistics().embed(audio)
        assert point.shape == (60,) and point.isfinite().all()


def test_crepe_tells_pitches_apart_and_not_levels():
    pytest.importorskip("torchcrepe")
    time = torch.arange(16000) / 16000
    low, high = (torch.sin(2 * torch.pi * f * time) for f in (220, 440))
    points = torch.stack([SmallCrepe().embed(audio) for audio in (low, 0.1 * low, high)])
    assert points.shape == (3, 256)
    assert (points[0] - points[1]).norm() < 0.05 * (points[0] - points[2]).norm()


def test_an_embedding_can_be_named_by_its_class():
    assert isinstance(build_embedding("drumblender.evaluation.embeddings.SmallCrepe"), SmallCrepe)


@pytest.mark.parametrize(
    "name, message",
    [
        ("odd", "No embedding 'odd'; there are aisfx, mfcc"),
        ("vggish", "give --kadtk PYTHON"),
        ("no.such.module", "No module named 'no'"),
        ("pathlib.Path", "no subclass"),
    ],
)
def test_refuses_what_is_no_embedding(name, message):
    with pytest.raises(ValueError, match=message):
        build_embedding(name)


def test_refuses_weights_for_one_that_has_none(tmp_path):
    with pytest.raises(ValueError, match="mfcc takes no file of weights"):
        build_embedding("mfcc", tmp_path)


def test_the_cache_lies_where_the_environment_says(monkeypatch):
    monkeypatch.setenv("DRUMBLENDER_CACHE", "/somewhere")
    assert cache_folder() == Path("/somewhere")
    monkeypatch.delenv("DRUMBLENDER_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/caches")
    assert cache_folder() == Path("/caches/drumblender")


def test_mel_levels_of_a_sine_are_those_of_the_formula():
    """A full-scale sine on a bin of the transform: half the window's sum, squared, and the band's share."""
    time = torch.arange(44100, dtype=torch.float64) / 44100
    bin_hz = 44100 / 2048
    levels = mel_levels(torch.sin(2 * torch.pi * 100 * bin_hz * time).float())
    window = np.hanning(2048)
    spectrum = np.abs(np.fft.rfft(window * np.sin(2 * np.pi * 100 * np.arange(2048) / 2048))) ** 2
    mel = 1127.01048 * np.log1p(np.arange(1025) * bin_hz / 700)
    edges = np.linspace(0, mel[-1], 98)
    shares = [np.interp(mel, edges[band : band + 3], [0, 1, 0]) for band in range(96)]
    expected = [np.log10(1e4 * (share @ spectrum) / share.sum() + 1) for share in shares]
    assert levels.shape == (-(-44100 // 1024) + 1, 96)
    assert np.allclose(levels[20], np.array(expected) / 9.457798957824707, atol=1e-3)


@pytest.mark.parametrize("frames, count", [(3, 1), (100, 1), (149, 1), (150, 2), (260, 4)])
def test_windows_overlap_by_half_and_short_sounds_end_in_silence(frames, count):
    levels = torch.arange(1, frames + 1).float()[:, None].expand(frames, 96)
    cut = windows(levels)
    assert cut.shape == (count, 100, 96)
    assert cut[-1, 0, 0] == 50 * (count - 1) + 1
    assert (cut[0, min(frames, 100) :] == 0).all()


def test_weights_of_another_file_are_refused(tmp_path):
    path = tmp_path / "checkpoint.pth"
    with pytest.raises(ValueError, match="No weights of aiSFX"):
        read_weights(path)
    torch.save({}, path)
    with pytest.raises(ValueError, match="sha256 differs"):
        AiSFX(path)


@pytest.fixture
def own_weights(tmp_path, monkeypatch):
    """A checkpoint of the published form with random weights, under its own digest."""
    torch.manual_seed(0)
    state = {f"embedding_net.{name}": value for name, value in aisfx._Network().state_dict().items()}
    path = tmp_path / "checkpoint.pth"
    torch.save((state | {"fc.0.0.weight": torch.zeros(1)}, {"a set": (np.int64(0), 78)}), path)
    monkeypatch.setattr(aisfx, "WEIGHTS_SHA256", aisfx.sha256_of(path))
    return path


def test_weights_are_read_without_running_what_is_in_the_file(own_weights):
    points = [AiSFX(own_weights).embed(torch.ones(n)) for n in (100, 50000, 200000)]
    assert all(point.shape == (512,) and point.isfinite().all() for point in points)


def test_weights_are_fetched_once(own_weights, tmp_path, monkeypatch):
    import zipfile

    wheel = tmp_path / "aisfx.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.write(own_weights, "aisfx/models/checkpoint.pth")
    monkeypatch.setattr(aisfx, "WHEEL_SHA256", aisfx.sha256_of(wheel))
    assert read_weights(wheel).keys() == read_weights(own_weights).keys()
    monkeypatch.setattr(aisfx, "_download", lambda folder: wheel)
    kept = aisfx.fetch_weights(tmp_path / "cache")
    assert kept.read_bytes() == own_weights.read_bytes()
    monkeypatch.setattr(aisfx, "_download", lambda folder: pytest.fail("fetched again"))
    assert aisfx.fetch_weights(tmp_path / "cache") == kept


def test_no_network_is_told_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(aisfx, "PACKAGE", f"aisfx @ file://{tmp_path}/none.whl")
    with pytest.raises(ValueError, match="Cannot download the weights of aiSFX: .*--weights FILE"):
        aisfx.fetch_weights(tmp_path)
