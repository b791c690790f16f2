"""Options of the verbs that turn one file into another: models, and sounds into pitches."""

import argparse
from pathlib import Path

from drumblender.options.parser import Parser


def importing() -> Parser:
    """`drumblender import [ORIGINAL.yaml] ORIGINAL.ckpt OUT.ckpt`."""
    parser = Parser("import", "Bring a checkpoint of one of the original code bases.")
    parser.add_argument(
        "config", nargs="?", help="the configuration saved with it, where there is one (.yaml)"
    )
    parser.add_argument("checkpoint", help="the checkpoint (.ckpt, .pth)")
    parser.add_argument("output", help="the new checkpoint to write; its configuration is written beside it")
    parser.add_trust()
    return parser


def export() -> Parser:
    """`drumblender export CKPT OUT.pt|OUT.onnx`."""
    parser = Parser(
        "export",
        "Write a mapper for the TorchDrum plug-in, or a frame of timbre transfer, as TorchScript or ONNX.",
    )
    parser.add_checkpoint("drumblender fit -c cfg/remap.yaml, or cfg/guitar.yaml")
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
    parser.add_trust()
    return parser


def pitch() -> Parser:
    """`drumblender pitch IN OUT`."""
    parser = Parser(
        "pitch",
        "Write the pitch of a recording, or of every recording of a folder, as CSV: time, f0 in "
        "Hz, confidence and voicing of each frame, and beside it the notes that they make.",
    )
    parser.add_argument("input", type=Path, help="a sound file of any format, rate and length, or a folder")
    parser.add_argument("output", type=Path, help="the CSV file to write, or a folder")
    parser.add_argument(
        "--tracker",
        metavar="NAME",
        help="swift-f0, pesto, crepe, fcnf0, pyin or yin (default: the first that is installed), or a "
        "checkpoint of `drumblender fit -c cfg/pitch.yaml`: a file, or checkpoints/pitch",
    )
    parser.add_argument(
        "--hop",
        type=float,
        default=0.01,
        metavar="S",
        help="seconds from a frame to the next (default: 0.01)",
    )
    parser.add_argument(
        "--threshold",
        type=float,
        metavar="SHARE",
        help="confidence, 0 to 1, from which a frame is voiced (default: the tracker's own)",
    )
    parser.add_argument("--plot", action="store_true", help="draw each track beside its CSV, as PNG")
    parser.add_argument(
        "--sound",
        action="store_true",
        help="sing each track beside its CSV, as WAV, as loud as the recording",
    )
    parser.add_trust()
    return parser
