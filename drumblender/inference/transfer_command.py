"""`drumblender transfer`: play voices as the instrument of a trained model."""

import argparse
import logging
from pathlib import Path

from drumblender.checkpoints import Loaded, load_played
from drumblender.console import track
from drumblender.dsp.units import hz_to_midi
from drumblender.inference.folders import output_of, outputs_of, tell_written
from drumblender.inference.transfer import Watch, transfer_file, unwatched
from drumblender.inference.transfer_curves import Instrument, Transfer
from drumblender.open_sound import BadAudioError
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
    if given.dry and room_of(loaded.task) is None:
        log.warning("--dry changes nothing: %s has no room to leave out.", given.checkpoint)
    if given.input.is_dir():
        return _folder(loaded, given, options)
    output = output_of(given.input, given.output)
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
    if why := told.why_silent(options):
        log.warning("%s becomes silence: %s.", source, why)


def _folder(loaded: Loaded, given: argparse.Namespace, options: Transfer) -> int:
    """Every recording below a folder into the same place below the output; bad ones are listed."""
    targets, rejected = outputs_of(given.input, given.output), []
    for path in track(targets, len(targets), "Transferring"):
        try:
            _play(loaded, path, targets[path], options, given.dry)
        except BadAudioError as error:
            rejected.append(error)
    return tell_written(len(targets), rejected, given.output)
