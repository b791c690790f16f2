"""`drumblender transfer`: play voices as the instrument of a trained model."""

import argparse
import logging
from pathlib import Path

from drumblender.checkpoints import Loaded, load_played
from drumblender.console import track
from drumblender.dsp.units import hz_to_midi
from drumblender.inference.transfer import QUIETEST_PEAK, Watch, transfer_file, unwatched
from drumblender.inference.transfer_curves import Instrument, Transfer
from drumblender.open_sound import BadAudioError
from drumblender.sound_files import distinct_outputs, find_sounds
from drumblender.synths import Room
from drumblender.tasks import GuitarVoices
from drumblender.trust import trusted

log = logging.getLogger(__name__)


def instrument_of(task: GuitarVoices) -> Instrument | None:
    """The range of the training; None where a checkpoint has none, as imported ones."""
    if not task.range_f0_hz.any():
        return None
    middle = len(task.range_f0_hz) // 2
    loudness_db, brightness_hz = (
        None if curve is None else tuple(curve.tolist())
        for curve in (task.range_loudness_db, task.range_brightness_hz)
    )
    return Instrument(float(hz_to_midi(task.range_f0_hz[middle])), loudness_db, brightness_hz)


def room_of(task: GuitarVoices) -> Room | None:
    """The room of a model, if it has one."""
    return next((voice.synth for voice in task.voices.values() if isinstance(voice.synth, Room)), None)


def options_of(given: argparse.Namespace, unvoiced: float) -> Transfer:
    """What the command line asks for."""
    return Transfer(
        transpose=given.transpose,
        octave=given.octave,
        loudness=given.loudness,
        gain_db=given.gain,
        unvoiced_below=unvoiced if given.unvoiced is None else given.unvoiced,
        vibrato=given.vibrato,
        glide_s=given.glide,
        pluck=given.pluck,
        normalize=given.normalize,
        seed=given.seed,
    )


def command(given: argparse.Namespace) -> int:
    """`drumblender transfer CKPT VOICE OUT`; see :func:`drumblender.options.playing.transfer`."""
    loaded = load_played(given.checkpoint, trusted(given.trust))
    if loaded.task.verb != "transfer":
        kind, verb = loaded.kind, loaded.task.verb
        raise ValueError(f"{given.checkpoint} holds a {kind}: play it with `drumblender {verb}`.")
    options = options_of(given, loaded.data.curves.hold_below)
    if given.input.resolve() == given.output.resolve():
        raise ValueError(f"{given.output} is the recording itself: give another output.")
    if given.dry and room_of(loaded.task) is None:
        log.warning("--dry changes nothing: %s has no room to leave out.", given.checkpoint)
    if given.input.is_dir():
        return _folder(loaded, given, options)
    output = given.output / f"{given.input.stem}.wav" if given.output.is_dir() else given.output
    if output.suffix.lower() != ".wav":
        raise ValueError(f"Output is a WAV file, so {output.name} should be {output.stem}.wav.")
    _play(loaded, given.input, output, options, given.dry, track)
    log.info("Wrote %s.", output)
    return 0


def _play(
    loaded: Loaded, source: Path, output: Path, options: Transfer, dry: bool, watch: Watch = unwatched
) -> None:
    task = loaded.task
    told = transfer_file(
        task.player,
        source,
        output,
        options,
        loaded.data.curves,
        instrument_of(task),
        None if dry else room_of(task),
        watch,
    )
    if told["peak"] < QUIETEST_PEAK:
        softer = f", or --gain {options.gain_db:g} is too low for it" if options.gain_db < 0 else ""
        log.warning("%s becomes silence: no pitch was heard in it%s. --unvoiced 0 plays all.", source, softer)


def _folder(loaded: Loaded, given: argparse.Namespace, options: Transfer) -> int:
    """Every recording below a folder into the same place below the output; bad ones are listed."""
    inside = given.output.resolve().is_relative_to(given.input.resolve())
    found = [
        path
        for path in find_sounds(given.input)
        if not (inside and path.resolve().is_relative_to(given.output.resolve()))
    ]
    if not found:
        raise FileNotFoundError(f"No recordings in {given.input}.")
    targets, rejected = distinct_outputs(found, given.input, given.output, ("",)), []
    for path in track(found, len(found), "Transferring"):
        try:
            _play(loaded, path, targets[path], options, given.dry)
        except BadAudioError as error:
            rejected.append(error)
    for error in rejected:
        log.warning("Left out: %s", error)
    log.info("Wrote %d of %d recordings to %s.", len(found) - len(rejected), len(found), given.output)
    return 0 if len(rejected) < len(found) else 1
