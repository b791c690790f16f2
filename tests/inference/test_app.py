"""The browser app: what it offers, and that it works in a browser, from a file and from a microphone."""

import shutil

import numpy as np
import pytest
import soundfile
import torch

from drumblender.cli import run
from drumblender.inference.app import load_transfer, models_of, transferred
from drumblender.inference.transfer_curves import Transfer

RATE = 16000


@pytest.fixture
def sung(tmp_path):
    """A second of a voice of four harmonics that falls silent."""
    time_s = np.arange(RATE) / RATE
    tone = sum(np.sin(2 * np.pi * 220 * k * time_s) / k for k in range(1, 5))
    path = tmp_path / "sung.wav"
    soundfile.write(path, 0.2 * tone * (time_s > 0.1) * (time_s < 0.9), RATE)
    return path


def test_the_models_are_the_one_given_and_those_that_ship():
    assert models_of(None) == {"guitar": "checkpoints/guitar"}
    assert list(models_of("runs/mine.ckpt")) == ["mine", "guitar"]
    with pytest.raises(ValueError, match="drumblender synth"):
        load_transfer("checkpoints/quickstart")


def test_it_plays_what_transfer_plays_and_draws_both(sung, tmp_path):
    folder = tmp_path / "played"
    folder.mkdir()
    (folder / "before_played.wav").touch()
    model, options = load_transfer("checkpoints/guitar"), Transfer(octave=0)
    file, figure, told = transferred(model, sung, folder, options, dry=True)
    assert [str(path) for path in folder.iterdir()] == [file]  # the one before it is gone
    sound, rate = soundfile.read(file)
    assert rate == RATE and len(sound) == RATE and np.abs(sound).max() > 0.5
    assert len(figure.axes) == 8 and told.startswith("1.0 s")


def test_what_is_missing_is_one_line(capsys, monkeypatch, tmp_path):
    assert run(["app", str(tmp_path / "none.ckpt")]) != 0
    assert capsys.readouterr().err.count("\n") == 1
    monkeypatch.setitem(__import__("sys").modules, "gradio", None)
    assert run(["app"]) == 1
    assert "pip install 'drumblender[app]'" in capsys.readouterr().err


@pytest.fixture
def page(sung, tmp_path):
    """The page in a headless Chromium whose microphone plays the file."""
    pytest.importorskip("gradio")
    sync_api = pytest.importorskip("playwright.sync_api")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no chromium")
    from drumblender.inference.app import appearance, build_app

    app = build_app(models_of(None), tmp_path)
    app.launch(server_name="127.0.0.1", quiet=True, prevent_thread_lock=True, **appearance())
    assert app.local_url.startswith("http://127.0.0.1:") and app.share_url is None
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    options += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    options += ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    options.append(f"--use-file-for-fake-audio-capture={sung}")
    try:
        with sync_api.sync_playwright() as playwright:
            chromium = playwright.chromium.launch(executable_path=program, args=options)
            context = chromium.new_context(permissions=["microphone"])
            opened = context.new_page()
            opened.set_default_timeout(120_000)
            opened.goto(app.local_url)
            yield opened
            chromium.close()
    finally:
        app.close()


def played(page):
    """The sound that the page offers after Transfer was pressed, once the voice has arrived there."""
    page.locator("a[download][href*='/file=']").first.wait_for(state="attached")
    page.get_by_role("button", name="Transfer").click()
    link = page.locator("a[download$='_played.wav']")
    link.wait_for(state="attached")
    page.get_by_text("pitch by").wait_for()
    answer = page.request.get(link.get_attribute("href"))
    assert answer.ok
    return answer.body()


def test_a_voice_is_uploaded_and_comes_back_as_a_guitar(page, sung, tmp_path):
    page.locator("input[type=file]").first.set_input_files(sung)
    (tmp_path / "got.wav").write_bytes(played(page))
    sound, rate = soundfile.read(tmp_path / "got.wav")
    assert rate == RATE and len(sound) == RATE and np.abs(sound).max() > 0.5


def test_a_microphone_is_recorded(page, tmp_path):
    page.get_by_label("Record audio").click()
    page.get_by_role("button", name="Record", exact=True).click()
    stop = page.get_by_role("button", name="Stop", exact=True)
    stop.wait_for()
    page.wait_for_timeout(2500)
    stop.click()
    (tmp_path / "got.wav").write_bytes(played(page))
    sound, rate = soundfile.read(tmp_path / "got.wav")
    assert len(sound) > rate and np.abs(sound).max() > 0.1
    assert torch.from_numpy(sound).isfinite().all()
