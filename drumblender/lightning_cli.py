"""The Lightning verbs: `fit`, `validate`, `test` and `predict`."""

import logging
import sys
from argparse import ArgumentError
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
import yaml
from lightning.pytorch.callbacks import ModelCheckpoint, ModelSummary, ProgressBar
from lightning.pytorch.cli import ArgsType, LightningArgumentParser, LightningCLI, ReduceLROnPlateau
from lightning.pytorch.loggers import CSVLogger

from drumblender import data as data_sets
from drumblender import tasks
from drumblender.callbacks import (
    DealBatches,
    ExportWavs,
    PartSizes,
    ProgressLines,
    ResumeExactly,
    RunSummary,
    TimeEstimate,
    TrainingBar,
)
from drumblender.checkpoints import read_whole
from drumblender.console import UsageError, is_interrupt, one_line, quieten, show_rows
from drumblender.data.base import AudioData
from drumblender.option_order import in_order, unknown_voice, with_voice
from drumblender.resume_from import folder_of_runs, go_on_in, newest_step, resume_newest
from drumblender.run_files import SaveRunConfig, drop_unbegun, keep_whole, one_of_each_file
from drumblender.shipped import name_shipped_parts, shipped_dir
from drumblender.stacked_config import StackedConfig
from drumblender.start_from import start_from
from drumblender.tasks import SynthesisTask
from drumblender.trust import home_of, modules_to_trust
from drumblender.types import HasSampleRate
from drumblender.weights_check import check_weights

# The parser lists, and finds by their short names, what has been imported.
PARTS = [getattr(home, name) for home in (tasks, data_sets) for name in home.__all__]

_log = logging.getLogger(__name__)
_LIGHTNING_CHECKPOINTS = ("best", "last", "hpc", "registry")  # names that the trainer resolves
_HALF = ("bf16-true", "16-true")
_NEEDS_LOGGER = ("LearningRateMonitor", "DeviceStatsMonitor")


def run_verb(verb: str, args: list[str], *, debug: bool = False, prepared_only: bool = False) -> int:
    """Run one Lightning verb.

    Args:
        verb: ``fit``, ``validate``, ``test`` or ``predict``.
        args: The rest of the command line.
        debug: Leave Lightning's own messages on.
        prepared_only: The data are named by a stranger's file: use them where they lie ready, and neither
            download nor write any.

    Returns:
        Exit status: 0, or 130 after an interruption that was saved.
    """
    if not debug:
        quieten()
    name_shipped_parts()
    convolve_in_float32()
    one_verb = {verb: LightningCLI.subcommands()[verb]}  # a parser for each verb costs seconds
    settings = {"subcommands": staticmethod(lambda: one_verb), "prepared_only": prepared_only}
    cli_class = type("OneVerbCLI", (TaskCLI,), settings)
    precision = torch.get_float32_matmul_precision()
    try:
        cli_class([verb, *in_order(args)])
    except ArgumentError as error:
        raise UsageError(unknown_voice(args) or with_voice(one_line(error), args)) from error
    except InterruptedRun as stop:
        sys.stderr.write(f"drumblender: {stop}\n")
        return 130
    finally:
        torch.set_float32_matmul_precision(precision)  # which is the process's, not the run's
    return 0


def convolve_in_float32() -> None:
    """Let convolutions on CUDA be as exact as matrix products are: float32 unless set otherwise.

    torch rounds what they multiply to 10 bits (TF32) by default, where a network that learns pitch from its
    gradients goes astray. ``torch.set_float32_matmul_precision("high")`` allows it again, and so does
    ``float32_matmul_precision: high`` in a configuration.
    """
    torch.backends.cudnn.allow_tf32 = torch.get_float32_matmul_precision() != "highest"


class InterruptedRun(Exception):
    """Ctrl+C during a fit, after Lightning has saved; the message says where and how to go on."""


class TaskCLI(LightningCLI):
    """LightningCLI with our defaults, run folders and ``--resume``."""

    DEFAULTS = str(shipped_dir("cfg") / "defaults.yaml")
    prepared_only = False

    def __init__(self, args: list[str]) -> None:
        defaults = {"default_config_files": [self.DEFAULTS], "exit_on_error": False}
        super().__init__(
            model_class=SynthesisTask,
            datamodule_class=L.LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            save_config_callback=SaveRunConfig,
            save_config_kwargs={"overwrite": True},  # --resume goes on in the same folder
            trainer_defaults={"callbacks": [ResumeExactly(), DealBatches()]},
            parser_kwargs={verb: dict(defaults) for verb in self.subcommands()} | {"exit_on_error": False},
            args=args,
        )

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        """As Lightning's; one configuration on another adds to its voices."""
        parser = LightningArgumentParser(**{"dump_header": [f"lightning.pytorch=={L.__version__}"]} | kwargs)
        told = "Path to a configuration file in json or yaml format."
        parser.add_argument("-c", "--config", action=StackedConfig, help=told)
        return parser

    def parse_arguments(self, parser: LightningArgumentParser, args: ArgsType) -> None:
        self.config = parser.parse_args(args)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument(
            "--float32_matmul_precision",
            type=Literal["highest", "high", "medium"] | None,
            help="How exact products of float32 are, of convolutions on CUDA too: highest rounds nothing.",
        )
        if "fit" in self.subcommands():
            parser.add_argument(
                "--resume",
                action="store_true",
                help="Go on from the last checkpoint of the newest run of the same configuration.",
            )
            parser.add_argument(
                "--init-from",
                type=str | None,
                metavar="CKPT",
                help="Start from the weights of a checkpoint, or of one that ships: checkpoints/NAME.",
            )
            parser.add_argument(
                "--init-part",
                nargs="+",
                type=str,
                metavar="PART",
                help="With --init-from: take these parts alone, such as voices.noise.",
            )

    def before_instantiate_classes(self) -> None:
        config = self.config[self.subcommand]
        self.run_name = "-".join(Path(str(path)).stem for path in config.config or []) or "run"
        if config.float32_matmul_precision is not None:
            torch.set_float32_matmul_precision(config.float32_matmul_precision)
            convolve_in_float32()
        precision = str(config.trainer.precision)
        if precision in _HALF:
            raise ValueError(
                f"--trainer.precision {precision} would compute sound in 16 bits: use bf16-mixed, which "
                "keeps synths and losses in 32."
            )
        if config.trainer.logger is False:
            if not config.trainer.default_root_dir:
                config.trainer.default_root_dir = f"logs/{self.run_name}"  # not among the user's own files
            config.trainer.callbacks = [
                each for each in config.trainer.callbacks or [] if not each.class_path.endswith(_NEEDS_LOGGER)
            ]
        config.trainer.callbacks = one_of_each_file(config.trainer.callbacks or [])
        folder = folder_of_runs(config, self.run_name)
        self.runs_name = folder.name if folder else self.run_name  # a logger may have a name of its own
        self.to_save = config.clone()  # --resume chooses a version and a checkpoint for this time alone
        if config.get("resume"):
            resume_newest(config, folder, self._as_plain())
            _log.info("Goes on from %s.", config.ckpt_path)

    def _instantiate_trainer(self, config: dict[str, Any], callbacks: list[L.Callback]) -> L.Trainer:
        """Lightning's own bar and table give way to ours, where they are wanted."""
        shown = sys.stdout.isatty() or sys.stderr.isatty()
        if config.get("enable_progress_bar") is None:
            config["enable_progress_bar"] = shown
        given = tuple(config.get("callbacks") or ())
        if config["enable_progress_bar"] and not any(isinstance(each, ProgressBar) for each in given):
            callbacks = [*callbacks, TrainingBar()]
        summary = config.get("enable_model_summary") is not False and not config.get("fast_dev_run")
        if summary and not any(isinstance(each, ModelSummary) for each in given):
            callbacks = [*callbacks, PartSizes()]
        if not shown:
            callbacks = [*callbacks, ProgressLines()]
        callbacks = [*callbacks, TimeEstimate()]
        return super()._instantiate_trainer(config, callbacks)

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:
        trainer = super().instantiate_trainer(**kwargs)
        for callback in trainer.callbacks:
            if isinstance(callback, SaveRunConfig):
                callback.keep(self.to_save)
        keep_whole(trainer)
        return trainer

    @staticmethod
    def configure_optimizers(
        lightning_module: L.LightningModule, optimizer: Any, lr_scheduler: Any = None
    ) -> Any:
        """As Lightning's; a schedule that waits for a plateau looks when there has been a validation."""
        chosen = LightningCLI.configure_optimizers(lightning_module, optimizer, lr_scheduler)
        if isinstance(lr_scheduler, ReduceLROnPlateau):
            every = lightning_module.trainer.check_val_every_n_epoch or 1
            chosen["lr_scheduler"] |= {"strict": False, "frequency": every}
        return chosen

    def _parse_ckpt_path(self) -> None:
        """The configuration says what the model is: a checkpoint of another one is an error."""

    def after_instantiate_classes(self) -> None:
        config = self.config[self.subcommand]
        path = config.get("ckpt_path")
        if path and path not in _LIGHTNING_CHECKPOINTS:
            check_weights(self.model, read_whole(path).get("state_dict", {}), source=path)
        start_from(self.model, config)
        _check_rates(self.model, self.datamodule)
        if self.prepared_only:
            _check_prepared(self.datamodule)
        if config.get("resume"):
            for logger in self.trainer.loggers:
                if isinstance(logger, CSVLogger):
                    go_on_in(logger, newest_step(path))
        self._dump_config()
        self.model.config = {key: self.config_dump[key] for key in ("model", "data", "seed_everything")}
        self.model.config["name"] = self.runs_name

    def _dump_config(self) -> None:
        """As Lightning does, but without checking once more what was parsed."""
        if not hasattr(self, "config_dump"):
            self.config_dump = self._as_plain()

    def _as_plain(self) -> dict[str, Any]:
        """The configuration of the verb as plain values."""
        text = self.parser.dump(
            self.config, format="yaml", skip_link_targets=False, skip_unset=False, skip_validation=True
        )
        return yaml.safe_load(text)[self.subcommand]

    def fit(self, **kwargs: Any) -> None:
        try:
            self.trainer.fit(**kwargs)
        except SystemExit as stop:  # Lightning answers Ctrl+C so, once its callbacks have saved
            if not self.trainer.interrupted:
                raise
            raise self._interrupted() from stop
        except SystemError as error:  # Ctrl+C inside a compiled loop
            if not is_interrupt(error):
                raise
            raise self._interrupted() from error
        except Exception:
            if not self.config[self.subcommand].get("resume"):
                drop_unbegun(self.trainer)
            raise

    def _interrupted(self) -> InterruptedRun:
        return InterruptedRun(f"stopped in epoch {self.trainer.current_epoch}; {_saved(self.trainer)}.")

    def after_fit(self) -> None:
        if self.trainer.is_global_zero and not self.trainer.fast_dev_run:
            trust = modules_to_trust(self.model.config)
            homes = {Path(str(path)).resolve().parent for path in self.config[self.subcommand].config or []}
            where = home_of(trust, sorted(homes - {Path.cwd()}))
            for callback in self.trainer.callbacks:
                if isinstance(callback, RunSummary):
                    show_rows(callback.rows(self.trainer, trust, where))

    def after_test(self) -> None:
        self._show_sounds()

    def after_predict(self) -> None:
        self._show_sounds()

    def _show_sounds(self) -> None:
        if self.trainer.is_global_zero:
            for callback in self.trainer.callbacks:
                if isinstance(callback, ExportWavs):
                    show_rows(callback.rows())


def _check_rates(model: SynthesisTask, data: L.LightningDataModule) -> None:
    rate = data.sample_rate if isinstance(data, HasSampleRate) else model.sample_rate
    if rate != model.sample_rate and not model.hears_any_rate:
        raise ValueError(
            f"The model works at {model.sample_rate} Hz and its data are at {rate} Hz: "
            "give both the same sample_rate."
        )


def _check_prepared(data: L.LightningDataModule) -> None:
    """A checkpoint's own data are only read.

    Raises:
        UsageError: They would first be downloaded or prepared, to a folder that the checkpoint names.
    """
    if isinstance(data, AudioData) and not data.is_ready:
        raise UsageError(
            f"The data that the checkpoint names are not in {data.data_dir}: give your own with --data "
            "cfg/data/NAME.yaml, or let it download or prepare them there with --allow-download."
        )


def _saved(trainer: L.Trainer) -> str:
    """Where an interrupted run goes on from."""
    for callback in trainer.checkpoint_callbacks:
        if isinstance(callback, ModelCheckpoint) and callback.save_on_exception and callback.dirpath:
            path = Path(callback.dirpath) / f"{callback.filename}{callback.FILE_EXTENSION}"
            if path.is_file():
                return f"saved {path}, and the same command with --resume goes on from there"
    return "nothing was saved"
