"""Options of the verbs that judge: sounds, runs and losses."""

from pathlib import Path

from drumblender.options.parser import Parser, count


def kad() -> Parser:
    """`drumblender kad TARGET_DIR PRED_DIR`."""
    parser = Parser(
        "kad",
        "Kernel and Fréchet Audio Distance of two folders of sounds, such as the target/ and "
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
        type=count,
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
        "report",
        "Write a page on which tested runs are heard, seen and compared; it opens from the disk.",
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
    parser.add_argument("--items", type=count, metavar="N", help="show so many items at most")
    return parser


def audit() -> Parser:
    """`drumblender audit LOSS [LOSS ...]`."""
    parser = Parser(
        "audit",
        "Tell where the gradients of losses point: at the target, or away from it. By default as "
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
    parser.add_argument("--samples", type=count, default=4096, metavar="N", help="length (default: 4096)")
    parser.add_argument(
        "--steps", type=count, default=100, metavar="N", help="values on the grid of it (default: 100)"
    )
    parser.add_argument("--output", type=Path, metavar="DIR", help="write audit.csv and pictures there")
    parser.add_trust()
    return parser
