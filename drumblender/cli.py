"""`drumblender`: the command line. Torch is imported only once a verb runs."""

import os
import sys
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path

from drumblender import __version__, options
from drumblender.console import UsageError, exit_status, log_to_terminal
from drumblender.shipped import find_shipped

HELP = """\
[bold]drumblender[/bold] {version}: differentiable audio synthesis

[bold]Train and evaluate[/bold] (drumblender VERB --help tells all settings)
  fit -c cfg/X.yaml [-c cfg/X/variant.yaml] [--data cfg/data/Y.yaml]   train; --resume goes on after a stop
  validate / test / predict -c ... --ckpt_path CKPT                    test writes target/, pred/, metrics.csv
  test CKPT [--data cfg/data/Y.yaml]                                   the same, as the checkpoint was trained

[bold]Use a model[/bold]
  synth CKPT IN OUT             resynthesise a recording, or a folder of them
  match IN --synth cfg/synths/S.yaml --output DIR
                                fit a synth to one recording, without training
  remap CKPT IN OUT             play a drum synth from a recording of another drum
  export CKPT OUT.pt|OUT.onnx   write the mapper of a remapping for the plug-in
  import \\[OLD.yaml] OLD.ckpt OUT
                                bring a checkpoint of an original code base

[bold]Judge[/bold]
  kad TARGET_DIR PRED_DIR       how far apart two folders of sounds are (KAD, FAD)
  report RUN_DIR \\[RUN_DIR ...]  a page on which tested runs are heard, seen and compared

[bold]Prepare data[/bold]
  drumblender-dataset cfg/data/Y.yaml [--preprocess]

cfg/... names the shipped files from any folder. --debug shows the traceback of an error.
Start with: drumblender fit -c cfg/quickstart.yaml
"""

TRAINER_VERBS = ("fit", "validate", "test", "predict")
VERBS = {  # the module of drumblender whose `command` runs each, and the parser of its options
    "synth": ("inference.synth", options.synth),
    "match": (
        "matching.command",
        None,
    ),  # depends on the synth: it parses its own options
    "remap": ("inference.remap", options.remap),
    "export": ("inference.export", options.export),
    "import": ("originals.command", options.importing),
    "kad": ("evaluation.command", options.kad),
    "report": ("evaluation.report", options.report),
}


def main(args: list[str] | None = None) -> None:
    """Entry point of the ``drumblender`` command; ends the process."""
    sys.exit(run(sys.argv[1:] if args is None else args))


def run(args: list[str]) -> int:
    """Run one command line.

    Returns:
        The exit status: 0, 1 after an error, 2 after a wrong command line, 130 after Ctrl+C.
    """
    debug = "--debug" in args
    args = [arg for arg in args if arg != "--debug"]
    return exit_status(lambda: _dispatch(args, debug), program="drumblender", debug=debug)


def _dispatch(args: list[str], debug: bool) -> int:
    verb, *rest = args or ["--help"]
    if verb in ("-h", "--help"):
        return _show(HELP)
    if verb == "--version":
        return _show("drumblender {version}")
    rest = [_find_config(arg) for arg in rest]
    if verb not in (*TRAINER_VERBS, *VERBS):
        close = get_close_matches(verb, [*TRAINER_VERBS, *VERBS], n=1)
        raise UsageError(f"no verb {verb!r}{f', did you mean {close[0]!r}?' if close else ''} See --help.")
    module, parser = VERBS.get(verb, ("", None))
    given = parser().parse_args(rest) if parser else rest
    # Threads without work spin by default, and starve those that have some where cores are shared.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    log_to_terminal(debug=debug)
    if verb in TRAINER_VERBS:
        return _train(verb, rest, debug)
    return import_module(f"drumblender.{module}").command(given)


def _show(text: str) -> int:
    from rich.console import Console

    Console(highlight=False, soft_wrap=True).print(text.format(version=__version__))
    return 0


def _find_config(arg: str) -> str:
    """The shipped file that ``cfg/...`` or ``checkpoints/...`` names, where the user has no such file."""
    name, equals, value = arg.rpartition("=") if arg.startswith("--") else ("", "", arg)
    if Path(value).exists():
        return arg
    found = find_shipped(value)
    return arg if found is None else f"{name}{equals}{found}"


def _train(verb: str, args: list[str], debug: bool) -> int:
    from drumblender.lightning_cli import run_verb
    from drumblender.originals.rerun import expand_checkpoint

    if not args:
        instead = "" if verb == "fit" else ", or a checkpoint"
        raise UsageError(f"What to {verb}? Give -c cfg/NAME.yaml{instead}. See drumblender --help.")
    with expand_checkpoint(verb, args) as expanded:
        return run_verb(verb, expanded, debug=debug)
