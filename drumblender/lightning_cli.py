"""The Lightning verbs: `fit`, `validate`, `test` and `predict`."""

import logging
import os
import sys
import warnings
from pathlib import Path
from typing import Any

import lightning as L
import yaml
from jsonargparse import Namespace
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI

from drumblender.callbacks import RunSummary
from drumblender.checkpoints import check_weights, read_checkpoint
from drumblender.console import show_rows
from drumblender.shipped import shipped_dir
from drumblender.tasks import SynthesisTask

_log = logging.getLogger(__name__)
_LIGHTNING_CHECKPOINTS = ("best", "last", "hpc", "registry")  # names that the trainer resolves
_OWN_FOLDER_LOGGERS = ("TensorBoardLogger", "CSVLogger")


def run_verb(verb: str, args: list[str], *, debug: bool = False) -> int:
    """Run one Lightning verb.

    Args:
        verb: ``fit``, ``validate``, ``test`` or ``predict``.
        args: The rest of the command line.
        debug: Leave Lightning's own messages on.

    Returns:
        Exit status: 0, or 130 after an interruption that was saved.
    """
    if not debug:
        _quieten()
    one_verb = {verb: LightningCLI.subcommands()[verb]}  # a parser for each verb costs seconds
    cli_class = type("OneVerbCLI", (TaskCLI,), {"subcommands": staticmethod(lambda: one_verb)})
    try:
        cli_class([verb, *_replace_data(args)])
    except InterruptedRun as stop:
        sys.stderr.write(f"drumblender: {stop}\n")
        return 130
    return 0


def _replace_data(args: list[str]) -> list[str]:
    """Let ``--data X.yaml`` replace the data of the configuration; jsonargparse would mix the two.

    Variants that change settings of the data change those of X where X is of the same class. Elsewhere they
    are replaced with the data, which is told.
    """
    configs = [i + 1 for i, arg in enumerate(args[:-1]) if arg in ("-c", "--config")]
    at = next((i for i, arg in enumerate(args) if arg == "--data" or arg.startswith("--data=")), None)
    if at is None:
        return args
    size = 2 if args[at] == "--data" else 1
    given = args[at : at + size]
    rest = args[:at] + args[at + size :]
    chosen = _data_class({"data": given[-1].removeprefix("--data=")}, Path())
    parts = {i: _data_class(*_read_config(Path(args[i]))) for i in configs}
    base = next((i for i in configs if parts[i]), None)
    variants = [i for i in configs if i < at and base is not None and i > base and parts[i] == ""]
    if variants and parts[base] == chosen:
        after = max(i for i in configs if parts[i] and i < at) + 1
        return [*args[:after], "--data=null", *given, *args[after:at], *args[at + size :]]
    for i in variants:
        _log.warning("%s replaces the data that %s changes.", given[-1], args[i])
    return [*rest[:at], "--data=null", *given, *rest[at:]]


def _read_config(path: Path) -> tuple[dict[str, Any], Path]:
    """A configuration file, and the folder that its paths start from; nothing of what cannot be read."""
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}, path.parent
    return content if isinstance(content, dict) else {}, path.parent


def _data_class(config: dict[str, Any], folder: Path) -> str | None:
    """The class of a configuration's data; "" where it only changes settings, None where it names no data."""
    data = config.get("data")
    if isinstance(data, str):
        content, _ = _read_config(folder / data)
        return content.get("class_path", "unknown")
    return None if not isinstance(data, dict) else data.get("class_path", "")


class InterruptedRun(Exception):
    """Ctrl+C during a fit, after Lightning has saved; the message says where and how to go on."""


class TaskCLI(LightningCLI):
    """LightningCLI with our defaults, run folders and ``--resume``."""

    DEFAULTS = str(shipped_dir("cfg") / "defaults.yaml")

    def __init__(self, args: list[str]) -> None:
        defaults = {"default_config_files": [self.DEFAULTS], "exit_on_error": False}
        super().__init__(
            model_class=SynthesisTask,
            datamodule_class=L.LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            save_config_kwargs={"overwrite": True},  # --resume goes on in the same folder
            parser_kwargs={verb: dict(defaults) for verb in self.subcommands()} | {"exit_on_error": False},
            args=args,
        )

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        self.config = parser.parse_args(args)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        if "fit" in self.subcommands():
            parser.add_argument(
                "--resume",
                action="store_true",
                help="Go on from the last checkpoint of the newest run of the same configuration.",
            )

    def before_instantiate_classes(self) -> None:
        config = self.config[self.subcommand]
        self.run_name = "-".join(Path(str(path)).stem for path in config.config or []) or "run"
        if config.trainer.logger is False and not config.trainer.default_root_dir:
            config.trainer.default_root_dir = f"logs/{self.run_name}"  # not among the user's own files
        folder = _run_folder(config, self.run_name)
        if config.get("resume"):
            _resume(config, folder)

    def _parse_ckpt_path(self) -> None:
        """The configuration says what the model is: a checkpoint of another one is an error."""

    def after_instantiate_classes(self) -> None:
        path = self.config[self.subcommand].get("ckpt_path")
        if path and path not in _LIGHTNING_CHECKPOINTS:
            check_weights(self.model, read_checkpoint(path).get("state_dict", {}), source=path)
        self._dump_config()
        self.model.config = {key: self.config_dump[key] for key in ("model", "data", "seed_everything")}
        self.model.config["name"] = self.run_name

    def fit(self, **kwargs: Any) -> None:
        try:
            self.trainer.fit(**kwargs)
        except SystemExit as stop:  # Lightning answers Ctrl+C so, once its callbacks have saved
            if not self.trainer.interrupted:
                raise
            raise InterruptedRun(
                f"stopped in epoch {self.trainer.current_epoch}; {_saved(self.trainer)}."
            ) from stop

    def after_fit(self) -> None:
        if self.trainer.is_global_zero and not self.trainer.fast_dev_run:
            for callback in self.trainer.callbacks:
                if isinstance(callback, RunSummary):
                    show_rows(callback.rows(self.trainer))


def _run_folder(config: Namespace, run_name: str) -> Path | None:
    """The folder of all runs of this configuration; the logger takes its name unless it has one."""
    logger = config.trainer.logger
    if not isinstance(logger, Namespace) or not logger.class_path.endswith(_OWN_FOLDER_LOGGERS):
        return None
    settings = logger.init_args
    settings.name = settings.name or run_name
    return Path(str(settings.save_dir)) / settings.name


def _resume(config: Namespace, folder: Path | None) -> None:
    """Point the run to the newest checkpoint in ``folder`` and to the run it belongs to."""
    if config.ckpt_path:
        raise ValueError(f"--resume finds its own checkpoint; leave out --ckpt_path {config.ckpt_path}.")
    if folder is None:
        raise ValueError(
            "--resume knows the runs of TensorBoardLogger and CSVLogger; give --ckpt_path instead."
        )
    found = sorted(folder.glob("version_*/checkpoints/last.ckpt"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise FileNotFoundError(f"No run to resume in {folder}: run once without --resume.")
    config.ckpt_path = str(found[-1])
    config.trainer.logger.init_args.version = int(found[-1].parents[1].name.removeprefix("version_"))


def _saved(trainer: L.Trainer) -> str:
    """Where an interrupted run goes on from."""
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, ModelCheckpoint) and callback.save_on_exception and callback.dirpath:
            path = Path(callback.dirpath) / f"{callback.filename}{callback.FILE_EXTENSION}"
            if path.is_file():
                return f"saved {path}, and the same command with --resume goes on from there"
    return "nothing was saved"


def _quieten() -> None:
    """Keep to what a user acts on: Lightning's device lists and hints about workers stay out."""
    os.environ.setdefault("JSONARGPARSE_DEPRECATION_WARNINGS", "off")  # of calls that Lightning makes
    for name in ("lightning.pytorch", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    for message in (
        ".*does not have many workers.*",
        ".*`isinstance.treespec, LeafSpec.` is deprecated.*",
        ".*number of training batches .* is smaller than the logging interval.*",
        ".*Checkpoint directory .* exists and is not empty.*",
        ".*The dirpath has changed from.*",
    ):
        warnings.filterwarnings("ignore", message=message)
