"""Options of the verbs that play: a trained model, or controls that were found without one."""

import argparse
from collections.abc import Callable
from pathlib import Path

from drumblender.inference.transfer_limits import out_of_limits
from drumblender.options.parser import Parser, count


def synth() -> Parser:
    """`drumblender synth CKPT IN OUT`."""
    parser = Parser(
        "synth",
        "Resynthesise a recording, or every recording of a folder, with a trained model.",
    )
    parser.add_checkpoint()
    parser.add_argument("input", type=Path, help="a sound file of any format and rate, or a folder of them")
    parser.add_wav(or_folder=True)
    parser.add_seed()
    parser.add_argument("--stems", action="store_true", help="write each voice to a file of its own as well")
    parser.add_argument(
        "--refine",
        type=count,
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
    parser.add_device()
    parser.add_trust()
    return parser


def blend() -> Parser:
    """`drumblender blend CKPT --modal A --noise B OUT.wav`."""
    parser = Parser(
        "blend",
        "One sound whose voices come from different recordings; the first serves those without.",
    )
    parser.add_checkpoint()
    parser.add_wav()
    for voice in ("modal", "noise", "transient"):
        parser.add_argument(
            f"--{voice}",
            type=Path,
            action="append",
            default=[],
            metavar="FILE",
            help=f"recording of the voice {voice}",
        )
    parser.add_argument(
        "--voice", nargs=2, action="append", default=[], metavar=("NAME", "FILE"), help="of any other voice"
    )
    parser.add_argument(
        "--morph",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="where two recordings are given, to different voices: how far each voice goes from its own "
        "recording (0, the default) to the other one (1)",
    )
    parser.add_seed()
    parser.add_device()
    parser.add_trust()
    return parser


def render() -> Parser:
    """`drumblender render CONTROLS.json OUT.wav`."""
    parser = Parser(
        "render",
        "Play controls that `drumblender match` wrote, edited by hand or not, or any preset.",
    )
    parser.add_argument("controls", type=Path, metavar="CONTROLS.json", help="controls in real units")
    parser.add_wav()
    parser.add_argument(
        "--synth",
        metavar="FILE.yaml",
        help="what plays them, such as cfg/synths/snare808.yaml (default: the synth that the controls name)",
    )
    parser.add_argument("--seconds", type=float, help="how long (default: as the controls say, else 1)")
    parser.add_argument("--seed", type=int, help="of the noise in the sound (default: as the controls say)")
    parser.add_argument("--source", type=Path, help="the sound that a synth works on which hears one")
    parser.add_trust()
    return parser


def remap() -> Parser:
    """`drumblender remap CKPT IN OUT`."""
    parser = Parser(
        "remap", "Play a trained timbre remapping from a recording of drum hits, or from each of a folder."
    )
    parser.add_checkpoint("drumblender fit -c cfg/remap.yaml")
    parser.add_argument(
        "input", type=Path, help="a recording of hits, of any format and rate, or a folder of them"
    )
    parser.add_wav(or_folder=True)
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
    parser.add_device()
    parser.add_trust()
    return parser


def transfer() -> Parser:
    """`drumblender transfer CKPT VOICE OUT`."""
    parser = Parser(
        "transfer",
        "Play a voice, or every recording of a folder, as the instrument of a trained model.",
    )
    parser.add_checkpoint("drumblender fit -c cfg/guitar.yaml")
    parser.add_argument("input", type=Path, help="a recording of any format, rate and length, or a folder")
    parser.add_wav(or_folder=True)
    parser.add_argument(
        "--transpose",
        type=_within("transpose"),
        default=0.0,
        metavar="SEMITONES",
        help="after the shift by octaves; default: 0",
    )
    parser.add_argument(
        "--octave",
        type=_octave,
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
    parser.add_argument(
        "--gain", type=_within("gain_db"), default=0.0, metavar="DB", help="added to the loudness"
    )
    parser.add_argument(
        "--unvoiced",
        type=_within("unvoiced_below"),
        metavar="CONFIDENCE",
        help="frames whose pitch is less sure are silent; 0 lets all sound (default: as the tracker has it)",
    )
    parser.add_argument(
        "--vibrato", type=_within("vibrato"), default=1.0, metavar="FACTOR", help="0 plays straight"
    )
    parser.add_argument(
        "--glide", type=_within("glide_s"), default=0.0, metavar="S", help="seconds from note to note"
    )
    parser.add_argument("--pluck", action="store_true", help="every onset is plucked anew and dies away")
    parser.add_argument("--dry", action="store_true", help="leave out the room that the model learned")
    parser.add_argument(
        "--normalize", choices=("peak", "lufs", "none"), default="peak", help="level (default: peak)"
    )
    parser.add_seed()
    parser.add_trust()
    return parser


def _within(option: str) -> Callable[[str], float]:
    """Reads a number that goes as far as that option of a transfer does."""

    def number(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"a number is needed, got {text!r}") from None
        if wrong := out_of_limits(option, value):
            raise argparse.ArgumentTypeError(wrong)
        return value

    return number


def _octave(text: str) -> str | int:
    if text == "auto":
        return text
    try:
        value = int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"auto or a whole number is needed, got {text!r}") from None
    if wrong := out_of_limits("octave", value):
        raise argparse.ArgumentTypeError(wrong)
    return value


def app() -> Parser:
    """`drumblender app [CKPT]`."""
    parser = Parser(
        "app",
        "Play an instrument with the voice in the browser: record or upload, hear and see before and after. "
        "Needs the extra drumblender[app]; nobody else can reach it.",
    )
    parser.add_argument(
        "checkpoint",
        nargs="?",
        help="a checkpoint of `drumblender fit -c cfg/guitar.yaml` (default: those that ship)",
    )
    parser.add_argument("--port", type=count, help="of 127.0.0.1 (default: the first free one from 7860)")
    parser.add_argument("--open", action="store_true", help="open the page in the browser")
    parser.add_argument(
        "--share",
        action="store_true",
        help="also give it a public address for a week, by gradio: whoever has it can use it",
    )
    parser.add_trust()
    return parser


def checkpoints() -> Parser:
    """`drumblender checkpoints [NAME]`."""
    parser = Parser(
        "checkpoints",
        "List the trained weights that ship with the package, or show the card of one.",
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="show its card: data, figures, limits")
    parser.add_argument("--json", action="store_true", help="write all that the index tells, as JSON")
    return parser
