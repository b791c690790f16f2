"""The options of verbs such as `synth` and `render`: nothing heavy is imported, --help is quick."""

import argparse
from pathlib import Path
from typing import NoReturn

from drumblender.console import UsageError


class Parser(argparse.ArgumentParser):
    """Tells what is wrong with a command line in one line."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}. See {self.prog} --help.")


def synth() -> Parser:
    """`drumblender synth CKPT IN OUT`."""
    parser = Parser(
        prog="drumblender synth",
        description="Resynthesise a recording, or every recording of a folder, with a trained model.",
    )
    parser.add_argument("checkpoint", help="a checkpoint of `drumblender fit`")
    parser.add_argument("input", type=Path, help="a sound file of any format and rate, or a folder of them")
    parser.add_argument("output", type=Path, help="the WAV file to write (32-bit float), or a folder")
    parser.add_argument("--seed", type=int, default=0, help="of the noise in the sound (default: 0)")
    parser.add_argument("--stems", action="store_true", help="write each voice to a file of its own as well")
    parser.add_argument(
        "--refine",
        type=_count,
        default=0,
        metavar="N",
        help="take the controls N steps further on each recording alone (50 take seconds), and tell the gain",
    )
    parser.add_argument("--keep-rate", action="store_true", help="write at the rate of the recording")
    parser.add_argument("--no-trim", action="store_true", help="keep what sounds on after the recording")
    parser.add_argument("--no-cut", action="store_true", help="analyse the silence before the onset as well")
    parser.add_argument(
        "--batch-stats", action="store_true", help="normalise by this one input, as the original program did"
    )
    return _with_device(parser)


def render() -> Parser:
    """`drumblender render CONTROLS.json OUT.wav`."""
    parser = Parser(
        prog="drumblender render",
        description="Play controls that `drumblender match` wrote, edited by hand or not, or any preset.",
    )
    parser.add_argument("controls", type=Path, metavar="CONTROLS.json", help="controls in real units")
    parser.add_argument("output", type=Path, help="the WAV file to write (32-bit float)")
    parser.add_argument(
        "--synth",
        metavar="FILE.yaml",
        help="what plays them, such as cfg/synths/snare808.yaml (default: the synth that the controls name)",
    )
    parser.add_argument("--seconds", type=float, help="how long (default: as the controls say, else 1)")
    parser.add_argument("--seed", type=int, help="of the noise in the sound (default: as the controls say)")
    parser.add_argument("--source", type=Path, help="the sound that a synth works on which hears one")
    return _with_trust(parser)


def blend() -> Parser:
    """`drumblender blend CKPT --modal A --noise B OUT.wav`."""
    parser = Parser(
        prog="drumblender blend",
        description="One sound whose voices come from different recordings; the first serves those without.",
    )
    parser.add_argument("checkpoint", help="a checkpoint of `drumblender fit`")
    parser.add_argument("output", type=Path, help="the WAV file to write (32-bit float)")
    for voice in ("modal", "noise", "transient"):
        parser.add_argument(f"--{voice}", type=Path, metavar="FILE", help=f"recording of the voice {voice}")
    parser.add_argument(
        "--voice", nargs=2, action="append", default=[], metavar=("NAME", "FILE"), help="of any other voice"
    )
    parser.add_argument(
        "--morph",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="how far each voice goes towards the other of two recordings, 0 to 1 (default: 0)",
    )
    parser.add_argument("--seed", type=int, default=0, help="of the noise in the sound (default: 0)")
    return _with_device(parser)


def remap() -> Parser:
    """`drumblender remap CKPT IN OUT.wav`."""
    parser = Parser(
        prog="drumblender remap", description="Play a trained timbre remapping from a recording of drum hits."
    )
    parser.add_argument("checkpoint", help="a checkpoint of `drumblender fit -c cfg/remap.yaml`")
    parser.add_argument("input", type=Path, help="a recording of hits, of any format and rate")
    parser.add_argument("output", type=Path, help="the WAV file to write (32-bit float)")
    parser.add_argument(
        "--hit", type=float, default=1.0, help="seconds that a hit sounds at most (default: 1)"
    )
    parser.add_argument(
        "--scaling",
        choices=("training", "recording", "running"),
        default="training",
        help="scale onset features by the drum of the training (default), by all hits of this recording, "
        "or by those so far, as the plug-in does",
    )
    parser.add_argument("--choke", action="store_true", help="a hit ends the one before it")
    return _with_device(parser)


def transfer() -> Parser:
    """`drumblender transfer CKPT VOICE OUT`."""
    parser = Parser(
        prog="drumblender transfer",
        description="Play a voice, or every recording of a folder, as the instrument of a trained model.",
    )
    parser.add_argument("checkpoint", help="a checkpoint of `drumblender fit -c cfg/guitar.yaml`")
    parser.add_argument("input", type=Path, help="a recording of any format, rate and length, or a folder")
    parser.add_argument("output", type=Path, help="the WAV file to write (32-bit float), or a folder")
    parser.add_argument("--transpose", type=float, default=0.0, metavar="SEMITONES", help="default: 0")
    parser.add_argument(
        "--octave",
        default="auto",
        metavar="N",
        help="shift by N octaves; auto (default) shifts into the range of the training",
    )
    parser.add_argument(
        "--loudness",
        choices=("match", "keep"),
        default="match",
        help="give the voice the levels of the training (default), or keep its own",
    )
    parser.add_argument("--gain", type=float, default=0.0, metavar="DB", help="added to the loudness")
    parser.add_argument(
        "--unvoiced",
        type=float,
        metavar="CONFIDENCE",
        help="frames whose pitch is less sure are silent; 0 lets all sound (default: as the tracker has it)",
    )
    parser.add_argument("--vibrato", type=float, default=1.0, metavar="FACTOR", help="0 plays straight")
    parser.add_argument("--glide", type=float, default=0.0, metavar="S", help="seconds from note to note")
    parser.add_argument("--pluck", action="store_true", help="every onset is plucked anew and dies away")
    parser.add_argument("--dry", action="store_true", help="leave out the room that the model learned")
    parser.add_argument(
        "--normalize", choices=("peak", "lufs", "none"), default="peak", help="level (default: peak)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the noise in the sound (default: 0)")
    return _with_trust(parser)


def export() -> Parser:
    """`drumblender export CKPT OUT.pt|OUT.onnx`."""
    parser = Parser(
        prog="drumblender export", description="Write a trained mapper for the TorchDrum plug-in, or as ONNX."
    )
    parser.add_argument("checkpoint", help="a checkpoint of `drumblender fit -c cfg/remap.yaml`")
    parser.add_argument("output", type=Path, help="the file to write: .pt (TorchScript) or .onnx")
    parser.add_argument(
        "--center",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="subtract from the onset features what the training subtracted (default: where it is known); "
        "--no-center writes what the original program wrote",
    )
    parser.add_argument(
        "--plugin-ranges",
        action="store_true",
        help="rescale the noise filter to the plug-in's 20 to 24000 Hz",
    )
    parser.add_argument("--any-size", action="store_true", help="allow what the plug-in would not load")
    return _with_trust(parser)


def importing() -> Parser:
    """`drumblender import [ORIGINAL.yaml] ORIGINAL.ckpt OUT.ckpt`."""
    parser = Parser(
        prog="drumblender import", description="Bring a checkpoint of one of the original code bases."
    )
    parser.add_argument(
        "config", nargs="?", help="the configuration saved with it, where there is one (.yaml)"
    )
    parser.add_argument("checkpoint", help="the checkpoint (.ckpt, .pth)")
    parser.add_argument("output", help="the new checkpoint to write; its configuration is written beside it")
    return _with_trust(parser)


def checkpoints() -> Parser:
    """`drumblender checkpoints [NAME]`."""
    parser = Parser(
        prog="drumblender checkpoints",
        description="List the trained weights that ship with the package, or show the card of one.",
    )
    parser.add_argument(
        "name", nargs="?", metavar="NAME", help="show its card: data, licence, figures, limits"
    )
    parser.add_argument("--json", action="store_true", help="write all that the index tells, as JSON")
    return parser


def kad() -> Parser:
    """`drumblender kad TARGET_DIR PRED_DIR`."""
    parser = Parser(
        prog="drumblender kad",
        description="Kernel and Fréchet Audio Distance of two folders of sounds, such as the target/ and "
        "pred/ that `drumblender test` writes.",
    )
    parser.add_argument("target", type=Path, metavar="TARGET_DIR", help="a folder of the reference sounds")
    parser.add_argument("prediction", type=Path, metavar="PRED_DIR", help="a folder of the sounds to judge")
    parser.add_argument(
        "--embedding",
        default="aisfx",
        metavar="NAME",
        help="aisfx (default; one-shots), crepe or crepe-tiny (notes), mfcc (no weights), a class path of "
        "your own, or with --kadtk one of its models, such as clap-laion-music or panns-wavegram-logmel",
    )
    parser.add_argument("--weights", type=Path, metavar="FILE", help="weights of aisfx: its wheel, as it is")
    parser.add_argument(
        "--bandwidth",
        choices=("pred", "target"),
        default="pred",
        help="the set whose median distance is that of the kernel: pred as kadtk computes it (default), or "
        "target as its documentation says",
    )
    parser.add_argument(
        "--resamples",
        type=_count,
        default=1000,
        metavar="N",
        help="of the bootstrap (default: 1000; 0: no interval)",
    )
    parser.add_argument(
        "--no-cache", action="store_true", help="keep no embeddings and use none that are kept"
    )
    parser.add_argument("--output", type=Path, metavar="FILE.json", help="write the numbers there as well")
    parser.add_argument(
        "--kadtk", type=Path, metavar="PYTHON", help="the interpreter of an environment that has kadtk"
    )
    return parser


def report() -> Parser:
    """`drumblender report RUN_DIR [RUN_DIR ...]`."""
    parser = Parser(
        prog="drumblender report",
        description="Write a page on which tested runs are heard, seen and compared; it opens from the disk.",
    )
    parser.add_argument(
        "runs",
        type=Path,
        nargs="+",
        metavar="RUN_DIR",
        help="the folder of a run that was tested, or a folder with target/, pred/ and metrics.csv",
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="where to write (default: report/ in the first run)"
    )
    parser.add_argument("--items", type=_count, metavar="N", help="show so many items at most")
    return parser


def pitch() -> Parser:
    """`drumblender pitch IN OUT`."""
    parser = Parser(
        prog="drumblender pitch",
        description="Write the pitch of a recording, or of every recording of a folder, as CSV: time, f0 in "
        "Hz, confidence and voicing of each frame, and beside it the notes that they make.",
    )
    parser.add_argument("input", type=Path, help="a sound file of any format, rate and length, or a folder")
    parser.add_argument("output", type=Path, help="the CSV file to write, or a folder")
    parser.add_argument(
        "--tracker",
        metavar="NAME",
        help="swift-f0, pesto, crepe, fcnf0, pyin or yin (default: the first that is installed), or a "
        "checkpoint of `drumblender fit -c cfg/pitch.yaml`",
    )
    parser.add_argument(
        "--hop",
        type=float,
        default=0.01,
        metavar="S",
        help="seconds from a frame to the next (default: 0.01)",
    )
    parser.add_argument(
        "--threshold", type=float, help="confidence from which a frame is voiced (default: the tracker's own)"
    )
    parser.add_argument("--plot", action="store_true", help="draw each track beside its CSV, as PNG")
    return _with_trust(parser)


def audit() -> Parser:
    """`drumblender audit LOSS [LOSS ...]`."""
    parser = Parser(
        prog="drumblender audit",
        description="Tell where the gradients of losses point: at the target, or away from it. By default as "
        "the pitch of four tones is turned, else a control of your synth.",
    )
    parser.add_argument(
        "losses",
        nargs="+",
        metavar="LOSS",
        help="a configuration of a loss, such as cfg/losses/transport.yaml",
    )
    parser.add_argument(
        "--synth", metavar="FILE", help="a configuration of a synth, such as cfg/synths/modal.yaml"
    )
    parser.add_argument("--control", metavar="NAME", help="the control of the synth that is turned")
    parser.add_argument("--low", type=float, help="its lowest value")
    parser.add_argument("--high", type=float, help="its highest value")
    parser.add_argument("--linear", action="store_true", help="differences of it count, not ratios")
    parser.add_argument("--samples", type=_count, default=4096, metavar="N", help="length (default: 4096)")
    parser.add_argument(
        "--steps", type=_count, default=100, metavar="N", help="values on the grid of it (default: 100)"
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="write audit.csv and pictures there")
    return _with_trust(parser)


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"a whole number of 0 or more is needed, got {text!r}")
    return int(text)


def _with_device(parser: Parser) -> Parser:
    parser.add_argument("--device", default="cpu", help="where to run: cpu, cuda, mps (default: cpu)")
    return _with_trust(parser)


def _with_trust(parser: Parser) -> Parser:
    parser.add_argument(
        "--trust",
        metavar="MODULE",
        action="append",
        default=[],
        help="a module of your own, such as my_parts, whose classes the checkpoint may name",
    )
    return parser
