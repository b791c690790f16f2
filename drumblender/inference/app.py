"""`drumblender app`: timbre transfer in the browser, for this machine alone."""

import argparse
import logging
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from drumblender.audio_io import read_audio
from drumblender.checkpoints import Loaded, load_played
from drumblender.evaluation.curve_pictures import draw_melodies
from drumblender.inference.shelf import find_checkpoint
from drumblender.inference.transfer import curves_of, transfer_file
from drumblender.inference.transfer_command import instrument_of, room_of
from drumblender.inference.transfer_curves import Transfer
from drumblender.open_sound import BadAudioError
from drumblender.shipped import read_index
from drumblender.trust import Trust, trusted

if TYPE_CHECKING:
    import gradio
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)

_HOST = "127.0.0.1"
_PICTURED_S = 30.0
_KEPT_S = (600, 3600)  # how often what is older than so much is removed


def command(given: argparse.Namespace) -> int:
    """`drumblender app [CKPT]`; see :func:`drumblender.options.playing.app`."""
    with tempfile.TemporaryDirectory(prefix="drumblender-") as folder:
        page = build_app(models_of(given.checkpoint), Path(folder), trusted(given.trust))
        page.launch(
            server_name=_HOST,
            server_port=given.port,
            share=given.share,
            inbrowser=given.open,
            quiet=True,
            prevent_thread_lock=True,
            **appearance(),
        )
        log.info("Open %s in a browser; Ctrl+C ends it.", page.local_url)
        if given.share:
            log.info("Anyone can use it at %s.", page.share_url)
        try:
            page.block_thread()
        finally:
            page.close()
    return 0


def models_of(checkpoint: str | None) -> dict[str, str]:
    """Names of the models to choose from, and what each stands for: the one given, and those that ship."""
    shipped = {row.name: f"checkpoints/{row.name}" for row in read_index().values() if row.system == "guitar"}
    return ({} if checkpoint is None else {Path(checkpoint).stem: str(checkpoint)}) | shipped


def import_gradio() -> Any:
    """The package of the page; it reports nothing to anyone.

    Raises:
        ModuleNotFoundError: It is not installed.
    """
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    try:
        import gradio
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("The app needs gradio: pip install 'drumblender[app]'.") from error
    return gradio


def appearance() -> dict[str, Any]:
    """Fonts of the machine: the default theme fetches its own from the net."""
    gradio = import_gradio()
    fonts = {"font": ["system-ui", "sans-serif"], "font_mono": ["monospace"]}
    return {"theme": gradio.themes.Default(**fonts)}


def build_app(models: dict[str, str], folder: Path, trust: Trust | None = None) -> "gradio.Blocks":
    """The page: a recording, a model, all options of `drumblender transfer`, and what comes out.

    Args:
        models: What each name stands for.
        folder: Where a sound is written, in the place of the one before it: the page has its own copies,
            of recordings too, for an hour.
        trust: Whose code checkpoints may run.

    Raises:
        ModuleNotFoundError: gradio is not installed.
        ValueError: The first model is no timbre transfer.
    """
    gradio = import_gradio()
    models = dict(models)

    @cache
    def loaded(name: str) -> Loaded:
        return load_transfer(models[name], trust)

    first = next(iter(models))
    loaded(first)  # what is wrong with it is told now

    def play(name: str, voice: str | None, dry: bool, octave: str, unvoiced: float, *rest: Any) -> tuple:
        if voice is None:
            raise gradio.Error("Record or upload a voice first.")
        shift = octave if octave == "auto" else int(octave)
        model = loaded(name)
        sure = model.data.curves.hold_below if unvoiced < 0 else unvoiced
        try:
            options = Transfer(octave=shift, unvoiced_below=sure, **dict(zip(_NAMES, rest, strict=True)))
            return transferred(model, Path(voice), folder, options, dry)
        except (BadAudioError, ValueError) as error:
            raise gradio.Error(str(error)) from error

    with gradio.Blocks(title="drumblender", analytics_enabled=False, delete_cache=_KEPT_S) as page:
        gradio.Markdown("# drumblender: play an instrument with the voice")
        with gradio.Row():
            with gradio.Column():
                model = gradio.Dropdown(list(models), value=first, label="Model")
                voice = gradio.Audio(sources=["upload", "microphone"], type="filepath", label="Before")
                inputs = [model, voice, *_option_fields(gradio)]
                button = gradio.Button("Transfer", variant="primary")
            with gradio.Column():
                after = gradio.Audio(label="After", type="filepath", interactive=False)
                picture = gradio.Plot(show_label=False)
                told = gradio.Markdown()
        button.click(play, inputs, [after, picture, told], api_name="transfer")
    return page


_NAMES = ("transpose", "loudness", "gain_db", "vibrato", "glide_s", "pluck", "normalize", "seed")


def _option_fields(gradio: Any) -> list[Any]:
    """A field for each option, in the order in which they are handed on."""
    with gradio.Accordion("Options", open=False):
        dry = gradio.Checkbox(False, label="Dry", info="Leave out the room that the model learned.")
        octaves = ["auto", *map(str, range(-3, 4))]
        octave = gradio.Dropdown(octaves, value="auto", label="Octave", info="auto: where the training was")
        unvoiced = gradio.Slider(
            -0.05,
            1,
            -0.05,
            step=0.05,
            label="Unvoiced below",
            info="Below 0: as suits the tracker",
        )
        made: dict[str, Callable[[], Any]] = {
            "transpose": lambda: gradio.Slider(-24, 24, 0, step=1, label="Transpose, semitones"),
            "loudness": lambda: gradio.Radio(["match", "keep"], value="match", label="Loudness"),
            "gain_db": lambda: gradio.Slider(-24, 24, 0, step=1, label="Gain, dB"),
            "vibrato": lambda: gradio.Slider(0, 2, 1, step=0.1, label="Vibrato"),
            "glide_s": lambda: gradio.Slider(0, 1, 0, step=0.05, label="Glide, s"),
            "pluck": lambda: gradio.Checkbox(False, label="Pluck every onset"),
            "normalize": lambda: gradio.Radio(["peak", "lufs", "none"], value="peak", label="Normalise"),
            "seed": lambda: gradio.Number(0, precision=0, label="Seed of the noise"),
        }
        return [dry, octave, unvoiced, *(made[name]() for name in _NAMES)]


def load_transfer(name: str, trust: Trust | None = None) -> Loaded:
    """A model that plays voices.

    Raises:
        FileNotFoundError: There is no such checkpoint.
        ValueError: It holds another kind of model.
    """
    loaded = load_played(find_checkpoint(name), trust)
    if loaded.task.verb != "transfer":
        raise ValueError(
            f"{name} holds a {loaded.kind}; the app plays models of cfg/guitar.yaml. "
            f"Play this one with `drumblender {loaded.task.verb}`."
        )
    return loaded


def transferred(
    model: Loaded, voice: Path, folder: Path, options: Transfer, dry: bool
) -> tuple[str, "Figure", str]:
    """The file of the instrument, alone in its folder, the picture of both, and what is told beside them."""
    measure, task = model.data.curves, model.task
    for earlier in folder.glob("*_played.wav"):
        earlier.unlink()
    target = folder / f"{voice.stem}_played.wav"
    room = None if dry else room_of(task)
    about = transfer_file(task.player, voice, target, options, measure, instrument_of(task), room)
    melodies = {}
    for title, path in (("before", voice), ("after", target)):
        audio, _ = read_audio(path, measure.sample_rate)
        kept = audio[: int(_PICTURED_S * measure.sample_rate)]
        melodies[title] = kept[None], curves_of(path, measure)
    figure = draw_melodies(melodies, measure.sample_rate, measure.hop_length, _PICTURED_S)
    why = about.why_silent(options)
    silent = f" It becomes silence: {why}." if why else ""
    return str(target), figure, f"{about.seconds:.1f} s; pitch by {measure.tracker}.{silent}"
