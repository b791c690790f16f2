"""`drumblender`: the command line. Torch is imported only once a verb runs."""

import sys
from contextlib import nullcontext
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from drumblender import __version__
from drumblender.console import UsageError, exit_status, log_to_terminal, show_rows
from drumblender.given_check import check_given
from drumblender.inference.shelf import HUB, find_checkpoint
from drumblender.options import converting, judging, playing
from drumblender.process import settle
from drumblender.shipped import Shipped, find_shipped, shipped_dir, shipped_row

HELP = """\
[bold]drumblender[/bold] {version}: differentiable audio synthesis

[bold]Train and evaluate[/bold] (drumblender VERB --help tells all settings)
  fit -c cfg/X.yaml [-c cfg/X/variant.yaml] [--data cfg/data/Y.yaml]   train; --resume goes on after a stop
  validate / test / predict -c ... --ckpt_path CKPT                    test writes target/, pred/, metrics.csv
  test CKPT [--data cfg/data/Y.yaml]                                   the same, as the checkpoint was trained

[bold]Use a model[/bold] (CKPT: a file, or checkpoints/NAME of those that ship, or hf://OWNER/NAME)
  checkpoints \\[NAME]            the trained weights that ship, or the card of one
  synth CKPT IN OUT             resynthesise a recording, or a folder of them; --refine N goes on from there
  blend CKPT --modal A --noise B OUT
                                play each voice from another recording; --morph 0.5 plays halfway between
  match IN --synth cfg/synths/S.yaml --output DIR
                                fit a synth to a recording, or to each of a folder, without training
  render CONTROLS.json OUT.wav  play the controls that match wrote, edited by hand or not
  remap CKPT IN OUT             play a drum synth from a recording of another drum, or a folder of them
  transfer CKPT VOICE OUT       play a voice as the instrument of a model, or a folder of them
  app \\[CKPT]                   the same in the browser: record or upload, before and after
  export CKPT OUT.pt|OUT.onnx   write the mapper of a remapping for the plug-in, or a frame of transfer
  pitch IN OUT.csv              the pitch and the notes of a recording, or of a folder of them
  import \\[OLD.yaml] OLD.ckpt OUT
                                bring a checkpoint of an original code base

[bold]Judge[/bold]
  kad TARGET_DIR PRED_DIR       how far apart two folders of sounds are (KAD, FAD)
  report RUN_DIR \\[RUN_DIR ...]  a page on which tested runs are heard, seen and compared
  audit LOSS.yaml \\[LOSS.yaml ...]
                                where the gradients of losses point: at the target, or away from it

[bold]Prepare data[/bold]
  drumblender-dataset cfg/data/Y.yaml [--preprocess]

cfg/... names the shipped files from any folder. --debug shows the traceback of an error.
Exit status: 0; 1 after an error, or where no sound of a folder could be used (a warning counts those
left out, if some could); 2 after a wrong command line; 130 after Ctrl+C.
A checkpoint runs parts of drumblender alone; --trust MODULE lets it name those of your own module as well.
Start with: drumblender fit -c cfg/quickstart.yaml
"""

_MAY_PREPARE = ("--data", "--allow-download")

TRAINER_VERBS = ("fit", "validate", "test", "predict")
KEPT_HELP = (*TRAINER_VERBS, "match")
VERBS = {  # the module of drumblender whose `command` runs each, and the parser of its options
    "synth": ("inference.synth", playing.synth),
    "blend": ("inference.blend", playing.blend),
    "match": (
        "matching.command",
        None,
    ),  # depends on the synth: it parses its own options
    "render": ("matching.render", playing.render),
    "remap": ("inference.remap", playing.remap),
    "transfer": ("inference.transfer_command", playing.transfer),
    "app": ("inference.app", playing.app),
    "export": ("inference.export", converting.export),
    "import": ("originals.command", converting.importing),
    "checkpoints": ("inference.shelf_command", playing.checkpoints),
    "kad": ("evaluation.command", judging.kad),
    "report": ("evaluation.report", judging.report),
    "pitch": ("inference.pitch", converting.pitch),
    "audit": ("evaluation.audit_command", judging.audit),
}


def main(args: list[str] | None = None) -> None:
    """Entry point of the ``drumblender`` command; ends the process."""
    sys.exit(run(sys.argv[1:] if args is None else args))


def run(args: list[str]) -> int:
    """Run one command line.

    Returns:
        The exit status: 0, 1 after an error, 2 after a wrong command line, 130 after Ctrl+C. Of a folder of
        sounds, bad ones are left out with a warning: 1 only where none could be used.
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
    if rest in (["--help"], ["-h"]) and (text := kept_help(verb)) is not None:
        sys.stdout.write(text)
        return 0
    ships = bool(rest) and rest[0].startswith("checkpoints/") and not Path(rest[0]).exists()
    rest = [_find_config(arg) for arg in rest]
    if verb not in (*TRAINER_VERBS, *VERBS):
        close = get_close_matches(verb, [*TRAINER_VERBS, *VERBS], n=1)
        raise UsageError(f"no verb {verb!r}{f', did you mean {close[0]!r}?' if close else '.'} See --help.")
    module, parser = VERBS.get(verb, ("", None))
    given = parser().parse_args(rest) if parser else rest
    check_given(verb, given, trains=verb in TRAINER_VERBS)
    settle()
    log_to_terminal(debug=debug)
    if verb in TRAINER_VERBS:
        return _train(verb, rest, debug, ships=ships)
    return import_module(f"drumblender.{module}").command(given)


def _show(text: str) -> int:
    from rich.console import Console

    Console(highlight=False, soft_wrap=True).print(text.format(version=__version__))
    return 0


def kept_help(verb: str) -> str | None:
    """What `drumblender VERB --help` shows, where making it would first import Lightning for seconds.

    It travels as text beside this module, which a test compares with the parser's own and writes anew. None
    for other verbs, and where another Lightning than the text was made with may have other options.
    """
    path = Path(__file__).with_name("help") / f"{verb}.txt"
    if verb not in KEPT_HELP or not path.is_file():
        return None
    made_with, _, text = path.read_text(encoding="utf-8").partition("\n")
    return text.replace("{cfg}", str(shipped_dir("cfg"))) if made_with == help_origin() else None


def help_origin() -> str:
    """What the options of Lightning's verbs depend on beside this package."""
    return f"lightning {'.'.join(version('lightning').split('.')[:2])}"


def _find_config(arg: str) -> str:
    """The file that ``cfg/...``, ``checkpoints/NAME`` or ``hf://...`` stands for; a file of the user wins."""
    name, equals, value = arg.rpartition("=") if arg.startswith("--") else ("", "", arg)
    if Path(value).exists():
        return arg
    if value.startswith(HUB) or (value.startswith("checkpoints/") and shipped_row(value)):
        return f"{name}{equals}{find_checkpoint(value)}"
    found = find_shipped(value)
    return arg if found is None else f"{name}{equals}{found}"


def _take(name: str, args: list[str]) -> tuple[list[str], list[str]]:
    """The values of an option of ours, and the command line without it."""
    values, rest = [], []
    left = iter(args)
    for arg in left:
        if arg == name:
            value = next(left, None)
            if value is None:
                raise UsageError(f"{name} needs a value. See drumblender --help.")
            values.append(value)
        elif arg.startswith(f"{name}="):
            values.append(arg.partition("=")[2])
        else:
            rest.append(arg)
    return values, rest


def card_rows(row: Shipped) -> list[tuple[str, str]]:
    """What the card of a checkpoint says of items left out of its training, for who heard made-up ones."""
    from drumblender.callbacks.baselines import verdict  # after Lightning

    said = f"{verdict({'model': row.metrics, **row.baselines})}, its card says: {row.card}"
    return [("on what it is for, it", said)]


def _train(verb: str, args: list[str], debug: bool, *, ships: bool = False) -> int:
    if not args:
        instead = "" if verb == "fit" else ", or a checkpoint"
        raise UsageError(f"What to {verb}? Give -c cfg/NAME.yaml{instead}. See drumblender --help.")
    from drumblender.lightning_cli import run_verb
    from drumblender.originals.rerun import expand_checkpoint, names_checkpoint
    from drumblender.trust import find_modules_in, listed_imports_only, trusted

    row, made_up = shipped_row(Path(args[0]).stem) if ships else None, None
    if ships and verb != "fit" and not any(arg.split("=")[0] in _MAY_PREPARE for arg in args):
        from drumblender.inference.made_up import made_up_data

        made_up = made_up_data(Path(args[0]), Path("dataset", "made_up", Path(args[0]).stem))
        args = [args[0], *(["--data", str(made_up)] if made_up else []), *args[1:]]
    modules, args = _take("--trust", args)
    prepared_only = names_checkpoint(args) and not any(arg.split("=")[0] in _MAY_PREPARE for arg in args)
    args = [arg for arg in args if arg != "--allow-download"]
    stranger = names_checkpoint(args)
    if not stranger:  # the configuration is the user's own, and so are the modules beside it
        configs = [Path(args[i + 1]) for i in range(len(args) - 1) if args[i] in ("-c", "--config")]
        find_modules_in([Path.cwd(), *(path.resolve().parent for path in configs if path.is_file())])
    trust = trusted(modules)
    with expand_checkpoint(verb, args, trust) as expanded:
        lock = listed_imports_only(trust, "lightning", "drumblender.callbacks") if stranger else nullcontext()
        with lock:
            status = run_verb(verb, expanded, debug=debug, prepared_only=prepared_only)
    if status == 0 and verb == "test" and made_up and row and row.baselines:
        show_rows(card_rows(row))
    return status
