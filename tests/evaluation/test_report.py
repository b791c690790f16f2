"""The listening page: what it is made of, and that it works in a browser from the disk."""

import csv
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from drumblender.audio_io import read_audio, write_wav
from drumblender.cli import run
from drumblender.evaluation.pictures import HEIGHT, WIDTH, draw_curves, draw_spectrogram, levels_db, outline
from drumblender.evaluation.played import show_controls
from drumblender.evaluation.runs import read_run, read_runs

RATE = 16000
ITEMS = {"kick": 3.0, "snare <b>&": 1.0, "tom": 2.0, "äther": float("nan")}


def write_played(path):
    path.parent.mkdir(exist_ok=True)
    fall = np.linspace(1, 0, 50, dtype=np.float32)[:, None]
    bands = np.linspace(-60, 0, 12, dtype=np.float32) + 20 * fall
    np.savez(path, **{"noise.level_db": bands, "tone.f0_hz": 100 + 50 * fall, "tone.decay_s": fall[:1] / 2})


def make_run(folder, gain=0.5, voices=False):
    generator = torch.Generator().manual_seed(0)
    for number, name in enumerate(ITEMS):
        fade = torch.exp(-torch.arange(4000) / (400 + 100 * number))
        sound = 0.5 * fade * torch.randn(4000, generator=generator)
        write_wav(folder / "test" / "target" / f"{name}.wav", sound, RATE)
        write_wav(folder / "test" / "pred" / f"{name}.wav", gain * sound, RATE)
        if voices:
            write_wav(folder / "test" / "voices" / "noise" / f"{name}.wav", 0.1 * sound, RATE)
            write_played(folder / "test" / "controls" / f"{name}.npz")
    with (folder / "test" / "metrics.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["name", "mss"], *([n, v / gain] for n, v in ITEMS.items())])
    (folder / "metrics.csv").write_text("step,train/loss,validation/loss\n0,4,\n0,,5\n10,2,\n10,,3\n20,1,\n")
    return folder


def test_a_run_is_read_with_its_voices_and_curves(tmp_path):
    found = read_run(make_run(tmp_path / "a", voices=True), "a")
    assert list(found.sounds) == sorted(ITEMS) and list(found.sounds["tom"]) == ["target", "pred", "noise"]
    assert found.metrics["kick"] == {"mss": 6.0} and found.means() == {"mss": 4.0}
    assert found.curves == {
        "train/loss": [(0, 4), (10, 2), (20, 1)],
        "validation/loss": [(0, 5), (10, 3)],
    }
    assert read_run(tmp_path / "a" / "test", "a").sounds == found.sounds


def test_runs_are_named_by_what_tells_them_apart(tmp_path):
    folders = [make_run(tmp_path / name / "version_0") for name in "ab"]
    assert [one.name for one in read_runs(folders)] == ["a", "b"]
    with pytest.raises(ValueError, match="named twice"):
        read_runs([folders[0], folders[0]])


def test_a_training_is_reported_with_its_newest_test(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    training, other = tmp_path / "logs" / "x" / "version_0", tmp_path / "logs" / "x" / "version_1"
    for folder in (training, other):
        (folder / "checkpoints").mkdir(parents=True)
        (folder / "metrics.csv").write_text("step,train/loss\n0,4\n")
        (folder / "checkpoints" / "best.ckpt").touch()
    for number, tested in enumerate((training, training, other)):
        found = make_run(tmp_path / "logs" / "x-test" / f"version_{number}", gain=0.1 + number / 10)
        record = found / "test" / "tested.json"
        record.write_text(json.dumps({"checkpoint": str(tested / "checkpoints" / "best.ckpt")}))
        os.utime(record, (number, number))
    read = read_run(Path("logs/x/version_0"), "x")
    assert read.sounds["tom"]["pred"] == Path("logs/x-test/version_1/test/pred/tom.wav")
    assert read.curves == {"train/loss": [(0, 4)]}
    monkeypatch.chdir(training)
    assert read_run(Path(), "x").metrics["kick"] == {"mss": 15.0}
    assert run(["kad", "../version_1/test/target", "../version_1/test/pred"]) == 1
    assert f"tested in {tmp_path}/logs/x-test/version_2/test" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "logs" / "x-test")
    with pytest.raises(ValueError, match=r"run `drumblender test .*best.ckpt` first"):
        read_run(training, "x")


def test_what_is_no_tested_run_is_one_line(tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    for folder, message in ((tmp_path / "none", "no folder of a run"), (tmp_path / "empty", "has no pred/")):
        assert run(["report", str(folder)]) == 1
        assert message in (err := capsys.readouterr().err) and err.count("\n") == 1
    folder = make_run(tmp_path / "a")
    (folder / "test" / "metrics.csv").write_text("name,mss\nkick,much\n")
    assert run(["report", str(folder)]) == 1
    assert "a cell that is no number" in capsys.readouterr().err


def test_a_spectrogram_is_brightest_where_the_sine_is(tmp_path):
    from PIL import Image

    sine = torch.sin(2 * torch.pi * 1000 * torch.arange(RATE) / RATE)
    levels = levels_db(sine, RATE)
    assert levels.shape[0] == HEIGHT and WIDTH - 10 < levels.shape[1] <= WIDTH
    octaves = torch.log2(torch.tensor(8000 / 1000)) / torch.log2(torch.tensor(8000 / 40.0))
    assert abs(int(levels[:, WIDTH // 2].argmax()) - float(octaves) * (HEIGHT - 1)) < 1.5
    draw_spectrogram(tmp_path / "a.png", levels, float(levels.max()))
    image = Image.open(tmp_path / "a.png").convert("L")
    assert image.size == levels.shape[::-1] and image.getextrema()[0] < 5 < 200 < image.getextrema()[1]


def test_outlines_keep_the_largest_sample_of_each_part():
    audio = torch.zeros(1000)
    audio[123], audio[567] = 0.5, -1
    peaks = outline(audio, 10)
    assert peaks == [0, 0.5, 0, 0, 0, -1, 0, 0, 0, 0]
    assert outline(torch.zeros(3), 10) == [0, 0, 0]


def test_controls_are_numbers_lines_or_a_picture(tmp_path):
    from PIL import Image

    write_played(tmp_path / "controls" / "a.npz")
    bands, pitch, decay = show_controls(tmp_path / "controls" / "a.npz", tmp_path / "pictures", "00001-0")
    assert (bands["name"], bands["low"], bands["high"], bands["size"]) == ("noise.level_db", -60, 20, 12)
    assert pitch["lines"][0].startswith("0.0,0.0 ") and pitch["lines"][0].endswith(" 100.0,100.0")
    assert decay["values"] == [0.5] and "lines" not in decay
    image = Image.open(tmp_path / "pictures" / bands["image"]).convert("L")
    assert image.size == (50, 12) and image.getpixel((0, 0)) > image.getpixel((49, 11))


def test_curves_fall_from_the_top_left_to_the_bottom_right():
    curves, reach = draw_curves({"a": [(0, 4.0), (5, 2.0), (10, 1.0)], "bad": [(0, float("nan"))]})
    assert curves == [("a", "0.0,0.0 230.0,75.0 460.0,150.0")]
    assert reach == "steps 0 to 10, losses 1 to 4 (logarithmic)"
    assert draw_curves({}) == ([], "")


@pytest.mark.parametrize("num_samples", [1, 100, 3000])
def test_short_and_silent_sounds_have_a_page(tmp_path, num_samples):
    for kind in ("target", "pred"):
        write_wav(tmp_path / kind / "a.wav", torch.zeros(num_samples), RATE)
    assert run(["report", str(tmp_path)]) == 0
    assert (tmp_path / "report" / "index.html").is_file()


def test_the_page_holds_all_and_writes_no_name_as_markup(tmp_path, capsys):
    folder = make_run(tmp_path / "a", gain=4.0)
    assert run(["report", str(folder)]) == 0
    page = folder / "report" / "index.html"
    assert str(page) in capsys.readouterr().out
    text = page.read_text(encoding="utf-8")
    assert "snare &lt;b&gt;&amp;" in text and "snare <b>" not in text
    assert "http://" not in text.replace("http://www.w3.org", "")
    data = json.loads(text.split('id="data">')[1].split("</script>")[0])
    item = next(item for item in data["items"] if item["name"] == "kick")
    assert item["values"] == [[0.75]] and len(item["sounds"]) == 2
    target, prediction = (
        read_audio(folder / "report" / sound["src"])[0].square().mean().sqrt() for sound in item["sounds"]
    )
    assert prediction / target == pytest.approx(4, rel=1e-3)  # both softer, so that neither is clipped
    assert item["scaled_db"] < 0 and item["sounds"][1]["gain"] == pytest.approx(0.25, rel=1e-3)


@pytest.fixture
def browser():
    sync_api = pytest.importorskip("playwright.sync_api")
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        pytest.skip("no chromium")
    options = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=options)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser, tmp_path):
    """The page of two runs, in a browser that forgives no error."""
    folders = [make_run(tmp_path / "a", voices=True), make_run(tmp_path / "b", gain=0.25)]
    assert run(["report", *map(str, folders), "--output", str(tmp_path / "page")]) == 0
    tab = browser.new_page()
    errors = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    tab.goto((tmp_path / "page" / "index.html").as_uri())
    yield tab
    assert not errors


def names(page):
    return page.locator("tbody[data-item] button.open").all_inner_texts()


def test_the_browser_sorts_finds_and_opens(page):
    assert names(page) == ["kick", "snare <b>&", "tom", "äther"]
    header = page.get_by_role("button", name="mss a")
    header.click()
    assert names(page) == ["snare <b>&", "tom", "kick", "äther"]
    header.press("Enter")
    assert names(page) == ["kick", "tom", "snare <b>&", "äther"]  # without a number: last
    assert page.locator("th[aria-sort]").get_attribute("aria-sort") == "descending"
    page.get_by_role("button", name="worst").click()
    opened = page.locator("button.open[aria-expanded=true]")
    assert opened.all_inner_texts() == ["kick"]
    page.get_by_label("Find").fill("TOM")
    assert page.locator("tbody[data-item]:visible button.open").all_inner_texts() == ["tom"]


def test_the_browser_plays_one_sound_at_a_time(page):
    page.get_by_role("button", name="kick", exact=True).press("Enter")
    titles = page.locator("figure figcaption > span:first-child").all_inner_texts()
    assert titles[-4:] == ["target", "prediction · a", "noise · a", "prediction · b"]
    page.evaluate(
        "window.heard = []; const play = HTMLMediaElement.prototype.play;"
        "HTMLMediaElement.prototype.play = function () { heard.push(this); return play.call(this); };"
        "undefined"
    )
    for title in ("target", "prediction · b"):
        page.get_by_role("button", name=f"Play {title} of kick").click()
        page.wait_for_function("heard.at(-1).played.length > 0")
    page.wait_for_function("heard.length === 2 && heard[0].paused")
    assert page.evaluate("heard[1].duration") == pytest.approx(0.25, abs=0.01)
    page.get_by_label("level-matched").check()
    page.get_by_role("button", name="Play target of kick").click()
    page.wait_for_function("heard[2].volume < 1")
    assert page.evaluate("heard[2].volume") == pytest.approx(0.1, rel=0.01)  # the voice is the softest


def test_the_browser_shows_controls_over_time(page):
    page.get_by_role("button", name="kick", exact=True).click()
    page.get_by_text("Controls over time (3)").click()
    page.get_by_role("img", name="tone.f0_hz · a of kick over time, from 100 to 150").wait_for()
    picture = page.get_by_role("img", name="noise.level_db · a of kick over time: 12 rows, from -60 to 20")
    picture.scroll_into_view_if_needed()
    page.wait_for_function("[...document.querySelectorAll('img.played')].every((i) => i.naturalWidth === 50)")
    assert page.locator(".held").inner_text() == "0.5"


@pytest.mark.parametrize("kind, hits", [("abx", "right"), ("ab", "nearer")])
def test_the_browser_asks_blindly_and_saves_answers(page, tmp_path, kind, hits):
    page.locator("#blind-kind").select_option(kind)
    page.get_by_label("Trials").fill("6")
    page.get_by_role("button", name="Start").click()
    for trial in range(6):
        assert f"Trial {trial + 1} of 6" in page.locator("#blind-question").inner_text()
        assert page.locator("#blind-play button").count() == 3
        page.locator("#blind-answer button").first.click()
    result = page.locator("#blind-result").inner_text()
    assert hits in result and "p = " in result
    with page.expect_download() as download:
        page.get_by_role("button", name="Save answers").click()
    download.value.save_as(tmp_path / "answers.json")
    saved = json.loads((tmp_path / "answers.json").read_text())
    assert saved["test"] == kind and len(saved["answers"]) == saved["trials"] == 6
    key = (lambda answer: answer["right"]) if kind == "abx" else (lambda answer: answer["preferred"] == "a")
    assert saved["hits"] == sum(map(key, saved["answers"]))
    from scipy.stats import binomtest

    sides = "greater" if kind == "abx" else "two-sided"
    assert saved["p_value"] == pytest.approx(binomtest(saved["hits"], 6, 0.5, sides).pvalue, rel=1e-6)
