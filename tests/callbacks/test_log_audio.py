from types import SimpleNamespace

import pytest
import torch
from callbacks.runs import RATE, Scale, sounds, trainer
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger, WandbLogger
from scipy.io import wavfile

from drumblender.callbacks import LogAudio


def read(path):
    rate, audio = wavfile.read(path)
    assert rate == RATE
    return torch.from_numpy(audio)


@pytest.mark.parametrize("name", ["max3", "max8", "maxNone"])
def test_the_waveform_is_the_published_one(golden, name, tmp_path):
    file = golden("drums", f"LogAudioCallback_{name}")
    targets, predictions = file["in_targets"][:, 0], file["in_reconstructions"][:, 0]
    log = LogAudio(**file.config["init"], picture=False)
    run = trainer(tmp_path)
    log.setup(run, Scale(), "fit")
    for index in (0, 1):
        span = slice(2 * index, 2 * index + 2)
        outputs = {"prediction": predictions[span], "target": targets[span]}
        log.on_train_batch_end(run, Scale(), outputs, None, index)
    assert not (tmp_path / "audio").exists()
    log.on_train_epoch_end(run, Scale())
    file.check("out_waveform", read(tmp_path / "audio/train.wav")[None])


def test_a_run_without_a_logger_keeps_sounds_and_pictures(tmp_path):
    run = trainer(tmp_path, LogAudio(max_audio_samples=1))
    run.fit(Scale(), sounds(), sounds())
    run.test(Scale(), sounds(), verbose=False)
    for split in ("train", "validation", "test"):
        assert len(read(tmp_path / f"audio/{split}.wav")) == 2 * 1200
        assert (tmp_path / f"audio/{split}.png").stat().st_size > 10_000


def test_target_and_prediction_take_turns(tmp_path):
    trainer(tmp_path, LogAudio(picture=False)).test(Scale(), sounds(), verbose=False)
    first, second, third, fourth = read(tmp_path / "audio/test.wav").view(4, 1200)
    assert torch.equal(second, first / 2) and torch.equal(fourth, third / 2)


def test_an_epoch_shorter_than_asked_for_is_logged_at_its_end(tmp_path):
    run = trainer(
        tmp_path, LogAudio(n_batches=50, max_audio_samples=None, picture=False), limit_test_batches=2
    )
    run.test(Scale(), sounds(), verbose=False)
    assert len(read(tmp_path / "audio/test.wav")) == 2 * 4 * 1200


def test_sounds_are_logged_while_the_epoch_runs_unless_asked_otherwise(tmp_path):
    outputs = {"prediction": torch.zeros(1, 10), "target": torch.ones(1, 10)}
    for at_end in (False, True):
        log = LogAudio(n_batches=1, log_on_epoch_end=at_end, picture=False)
        run = trainer(tmp_path / str(at_end))
        log.setup(run, Scale(), "fit")
        log.on_train_batch_end(run, Scale(), outputs, None, 0)
        assert (tmp_path / str(at_end) / "audio/train.wav").exists() != at_end


def test_the_sanity_check_and_unwanted_splits_are_not_logged(tmp_path):
    run = trainer(tmp_path, LogAudio(on_train=False, picture=False), limit_train_batches=0)
    run.fit(Scale(), sounds(), sounds())
    assert run.num_sanity_val_steps > 0
    assert not (tmp_path / "audio").exists()


def test_a_dry_run_writes_nothing(tmp_path):
    trainer(tmp_path, LogAudio(), fast_dev_run=True).fit(Scale(), sounds(), sounds())
    assert not (tmp_path / "audio").exists()


def test_tensorboard_gets_sound_and_picture(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logger = TensorBoardLogger(tmp_path, name="run")
    run = trainer(tmp_path, LogAudio(on_train=False, on_val=False), logger=logger)
    run.test(Scale(), sounds(), verbose=False)
    events = EventAccumulator(logger.log_dir).Reload()
    assert events.Tags()["audio"] == ["test/audio"] and events.Tags()["images"] == ["test/picture"]
    assert events.Audio("test/audio")[0].sample_rate == RATE
    assert len(read(tmp_path / "run/version_0/audio/test.wav")) == 4 * 1200


def test_another_logger_gets_files_in_its_folder(tmp_path):
    logger = CSVLogger(tmp_path, name="run")
    trainer(tmp_path, LogAudio(picture=False), logger=logger).test(Scale(), sounds(), verbose=False)
    assert (tmp_path / "run/version_0/audio/test.wav").exists()


def test_weights_and_biases_gets_media_and_its_shared_folder_no_files(tmp_path, monkeypatch):
    logged = {}

    class OfflineWandb(WandbLogger):
        save_dir, name, version = str(tmp_path), "run", "0"
        experiment = SimpleNamespace(log=logged.update)

        def __init__(self):
            pass

        def log_metrics(self, *args, **kwargs):
            pass

        def finalize(self, status):
            pass

    def media(content, **about):
        return content, about

    monkeypatch.setitem(__import__("sys").modules, "wandb", SimpleNamespace(Audio=media, Image=media))
    trainer(tmp_path, LogAudio(), logger=OfflineWandb()).test(Scale(), sounds(), verbose=False)
    audio, about = logged["test/audio"]
    assert audio.shape == (4 * 1200,) and about == {"caption": "test/audio", "sample_rate": RATE}
    assert "test/picture" in logged
    assert not (tmp_path / "audio").exists()


def test_steps_without_sounds_are_passed_over(tmp_path):
    log, run = LogAudio(picture=False), trainer(tmp_path)
    log.setup(run, Scale(), "fit")
    log.on_train_batch_end(run, Scale(), {"loss": torch.tensor(1.0)}, None, 0)
    log.on_train_epoch_end(run, Scale())
    assert not (tmp_path / "audio").exists()


def test_counts_start_at_one():
    with pytest.raises(ValueError, match="n_batches=0"):
        LogAudio(n_batches=0)
    with pytest.raises(ValueError, match="max_audio_samples=0"):
        LogAudio(max_audio_samples=0)


@pytest.mark.parametrize(
    ("epochs", "every", "logged"), [(5, 5, [4]), (6, 5, [0, 5]), (8, 5, [0, 7]), (3, 1, [0, 1, 2])]
)
def test_the_last_epoch_is_logged_and_none_that_it_follows_sooner(
    epochs, every, logged, tmp_path, monkeypatch
):
    seen = []

    def log(self, split, run, task):
        if self._pairs.pop(split, None):
            seen.append(run.current_epoch)

    monkeypatch.setattr(LogAudio, "_log", log)
    limits = {"max_epochs": epochs, "limit_train_batches": 1, "limit_val_batches": 1}
    run = trainer(tmp_path, LogAudio(on_train=False, every_n_epochs=every), **limits)
    run.fit(Scale(), sounds(), sounds())
    assert seen == logged
