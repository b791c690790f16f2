"""Configurations saved by Lightning 1.9, brought to the keys that Lightning 2.6 knows.

Each rule was found by giving Lightning 2.6 one key of an old file at a time.
"""

from importlib.util import find_spec
from typing import Any

Config = dict[str, Any]

_GONE_FROM_TRAINER = (
    "amp_backend", "amp_level", "auto_lr_find", "auto_scale_batch_size", "auto_select_gpus", "gpus", "ipus",
    "move_metrics_to_cpu", "multiple_trainloader_mode", "num_processes", "replace_sampler_ddp",
    "resume_from_checkpoint", "tpu_cores", "track_grad_norm",
)  # fmt: skip
_NULL_NO_MORE = ("strategy", "accumulate_grad_batches")  # null parses, then fails; their defaults are meant
# Forwarded by WandbLogger to wandb.init, so unknown where wandb is not installed.
_WANDB_INIT = (
    "allow_val_change", "config", "config_exclude_keys", "config_include_keys", "entity", "force", "group",
    "job_type", "mode", "monitor_gym", "notes", "reinit", "resume", "save_code", "settings",
    "sync_tensorboard", "tags", "tensorboard",
)  # fmt: skip
_RENAMED_PREFIXES = {
    "ReduceLROnPlateau": "lightning.pytorch.cli.ReduceLROnPlateau",  # as the command line of then took it
    "pytorch_lightning.": "lightning.pytorch.",
    "drumblender.loss.": "drumblender.losses.",
    "drumblender.utils.modal_analysis.": "drumblender.features.",
}


def is_lightning_1(config: Config) -> bool:
    """Whether a configuration was saved by Lightning 1.x."""
    trainer = config.get("trainer")
    return isinstance(trainer, dict) and any(key in trainer for key in _GONE_FROM_TRAINER)


def migrate_config(config: Config, *, has_wandb: bool | None = None) -> tuple[Config, list[str]]:
    """Rewrite a saved configuration for Lightning 2.6; the model and the data are left to the importers.

    Settings that moved are carried over: devices, distributed sampler, resumed checkpoint, and the automatic
    learning rate and batch size as callbacks.

    Args:
        config: The parsed file; it is not changed.
        has_wandb: Whether wandb is installed (None: find out). Without it a CSV logger stands in.

    Returns:
        The new configuration, and the dotted keys that were dropped.
    """
    if has_wandb is None:
        has_wandb = find_spec("wandb") is not None
    new = _rename_classes(config)
    removed: list[str] = []
    if isinstance(new.get("trainer"), dict):
        _migrate_trainer(new, removed)
        if "logger" in new["trainer"]:
            _migrate_loggers(new["trainer"], removed, has_wandb)
    _drop(new.get("lr_scheduler"), "init_args", "verbose", "lr_scheduler.init_args.verbose", removed)
    return new, removed


def _rename_classes(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rename_classes(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rename_classes(item) for item in value]
    if isinstance(value, str):
        for old, new in _RENAMED_PREFIXES.items():
            if value.startswith(old):
                return new + value.removeprefix(old)
    return value


def _migrate_trainer(config: Config, removed: list[str]) -> None:
    trainer = config["trainer"]
    old = {key: trainer.pop(key) for key in _GONE_FROM_TRAINER if key in trainer}
    removed += [f"trainer.{key}" for key in old]
    for key in _NULL_NO_MORE:
        if key in trainer and trainer[key] is None:
            del trainer[key]
            removed.append(f"trainer.{key}")
    for key, accelerator in (("gpus", "gpu"), ("tpu_cores", "tpu"), ("num_processes", "cpu")):
        if old.get(key):
            trainer.update(devices=old[key], accelerator=accelerator)
            break
    if old.get("replace_sampler_ddp") is False:
        trainer["use_distributed_sampler"] = False
    if old.get("resume_from_checkpoint"):
        config["ckpt_path"] = old["resume_from_checkpoint"]
    for key, callback in (
        ("auto_lr_find", "LearningRateFinder"),
        ("auto_scale_batch_size", "BatchSizeFinder"),
    ):
        if old.get(key):
            found = {"class_path": f"lightning.pytorch.callbacks.{callback}"}
            trainer["callbacks"] = [*(trainer.get("callbacks") or []), found]


def _migrate_loggers(trainer: Config, removed: list[str], has_wandb: bool) -> None:
    logger = trainer.get("logger")
    if isinstance(logger, list):
        trainer["logger"] = [_migrated_logger(each, removed, has_wandb) for each in logger]
    else:
        trainer["logger"] = _migrated_logger(logger, removed, has_wandb)


def _migrated_logger(logger: Any, removed: list[str], has_wandb: bool) -> Any:
    if not isinstance(logger, dict) or not str(logger.get("class_path", "")).endswith("WandbLogger"):
        return logger
    settings = dict(logger.get("init_args") or {})
    logger = {**logger, "init_args": settings}
    _drop(logger, "init_args", "magic", "trainer.logger.init_args.magic", removed)
    if has_wandb:
        return logger
    removed += [f"trainer.logger.init_args.{key}" for key in _WANDB_INIT if key in settings]
    kept = {
        key: settings[key]
        for key in ("name", "save_dir", "version", "prefix")
        if settings.get(key) is not None
    }
    return {
        "class_path": "lightning.pytorch.loggers.CSVLogger",
        "init_args": {"save_dir": ".", **kept},
    }


def _drop(parent: Any, group: str, key: str, dotted: str, removed: list[str]) -> None:
    if isinstance(parent, dict) and isinstance(parent.get(group), dict) and key in parent[group]:
        del parent[group][key]
        removed.append(dotted)
