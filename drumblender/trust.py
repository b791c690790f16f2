"""What a configuration out of a stranger's file may name: our classes, and a short list of others.

A configuration chooses classes by name, so whoever writes one chooses what runs. The user's own files may
name anything. One that travels in a checkpoint, or that is imported, is checked first: here its names, before
anything is imported; in :mod:`drumblender.config_check` what it gives them.
"""

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module, invalidate_caches
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from drumblender.console import UsageError

Config = dict[str, Any]

OWN_PACKAGES = (
    "controllers",
    "data",
    "dsp",
    "encoders",
    "features",
    "losses",
    "metrics",
    "nets",
    "synths",
    "tasks",
)
"""The packages of ``drumblender`` whose classes are parts of a model or of its data."""

_TORCH = {
    "torch.nn": "CELU ELU GELU GRU Hardtanh Identity LSTM LeakyReLU Linear Mish PReLU ReLU ReLU6 SELU SiLU "
    "Sigmoid Softplus Softsign Tanh BCELoss HuberLoss KLDivLoss L1Loss MSELoss SmoothL1Loss",
    "torch.optim": "ASGD Adadelta Adagrad Adam AdamW Adamax NAdam RAdam RMSprop SGD",
    "torch.optim.lr_scheduler": "ConstantLR CosineAnnealingLR CosineAnnealingWarmRestarts CyclicLR "
    "ExponentialLR LinearLR MultiStepLR OneCycleLR PolynomialLR StepLR",
    "torchmetrics": "ExplainedVariance MeanAbsoluteError MeanAbsolutePercentageError MeanMetric "
    "MeanSquaredError PearsonCorrCoef R2Score SpearmanCorrCoef",
}
LISTED = frozenset(f"{module}.{name}" for module, names in _TORCH.items() for name in names.split())
"""Classes of others that a checkpoint may name without ``--trust``."""

_TRAINING = {  # what an imported configuration may name beside model and data; a checkpoint carries neither
    "lightning.pytorch.cli": "ReduceLROnPlateau",
    "lightning.pytorch.callbacks": "BatchSizeFinder DeviceStatsMonitor EarlyStopping "
    "GradientAccumulationScheduler LearningRateFinder LearningRateMonitor ModelCheckpoint ModelSummary "
    "RichModelSummary RichProgressBar StochasticWeightAveraging TQDMProgressBar Timer",
    "lightning.pytorch.loggers": "CSVLogger TensorBoardLogger WandbLogger",
}
_LISTED_FOR_TRAINING = frozenset(
    f"{module}.{name}" for module, names in _TRAINING.items() for name in names.split()
)
_MOST_VALUES, _DEEPEST, _LONGEST_TEXT, _LARGEST = 20_000, 40, 20_000, 2**63
_PLAIN = (str, int, float, bool, type(None))


class UntrustedError(UsageError, ValueError):
    """A file of a stranger asks for what only a trusted one may; nothing of it was imported or called."""


@dataclass(frozen=True)
class Trust:
    """Modules whose classes a configuration may name beside ours and the listed ones.

    Args:
        modules: Dotted names; each opens the module and those inside it.
    """

    modules: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in self.modules:
            if not all(part.isidentifier() for part in name.split(".")):
                raise UsageError(f"--trust takes the name of a module, such as my_parts; got {name!r}.")

    def covers(self, path: str) -> bool:
        """Whether a dotted path lies in a trusted module."""
        return any(path == name or path.startswith(f"{name}.") for name in self.modules)

    def allows(self, class_path: str) -> bool:
        """Whether a class may be named; whether it is a class shows once it is imported."""
        first, *rest = class_path.split(".")
        own = first == "drumblender" and len(rest) > 1 and rest[0] in OWN_PACKAGES
        return own or class_path in LISTED or self.covers(class_path)


def trusted(modules: Sequence[str]) -> Trust:
    """What ``--trust`` names; such a module is also found in the working folder.

    Nothing is imported: of a dotted name the first part is looked for.

    Raises:
        UsageError: There is no such module.
    """
    trust = Trust(tuple(modules))
    if modules:
        find_modules_in([Path.cwd()])
        invalidate_caches()  # a module may have been written a moment ago
    for name in trust.modules:
        first = name.partition(".")[0]
        if first not in sys.modules and find_spec(first) is None:
            raise UsageError(
                f"--trust {name}: there is no module {first}: install it, or run this in the folder where "
                "it lies."
            )
    return trust


def find_modules_in(folders: Sequence[Path]) -> None:
    """Let Python find modules that lie beside the user's own files, after all that is installed."""
    for folder in map(str, folders):
        if folder not in sys.path:
            sys.path.append(folder)


def check_training(config: Config, *, source: str) -> None:
    """Make sure that the rest of an imported configuration names Lightning's and torch's own parts only."""
    for key, section in config.items():
        if key not in ("model", "data"):
            check_names(section, key, source, Trust(), _LISTED_FOR_TRAINING)


def plain_copy(value: object, *, source: str) -> Any:
    """A copy made of dicts, lists, text, numbers, booleans and None, whatever a file holds.

    Raises:
        ValueError: It holds something else or itself, is deeper than 40 levels or larger than 20000 values.
    """
    left = [_MOST_VALUES]

    def copied(value: object, depth: int) -> Any:
        left[0] -= 1
        if left[0] < 0 or depth > _DEEPEST:
            raise ValueError(f"{source}: its configuration is cyclic or far too large.")
        if isinstance(value, Mapping):
            if wrong := [key for key in value if type(key) not in (str, int)]:
                raise ValueError(f"{source}: a key of its configuration is {str(wrong[0])[:50]!r}, no name.")
            return {key: copied(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [copied(item, depth + 1) for item in value]
        if type(value) not in _PLAIN:
            raise ValueError(f"{source}: its configuration holds a {type(value).__name__}, no plain value.")
        if isinstance(value, str) and len(value) > _LONGEST_TEXT:
            raise ValueError(f"{source}: its configuration holds a text of {len(value)} letters.")
        if isinstance(value, int) and abs(value) > _LARGEST:
            raise ValueError(f"{source}: its configuration holds a number of {len(str(value))} digits.")
        return value

    return copied(value, 0)


@contextmanager
def listed_imports_only(trust: Trust, *more: str) -> Iterator[None]:
    """Inside, jsonargparse itself refuses to import what is not on the list: the second lock.

    Args:
        trust: What the user trusts.
        more: Modules that the user's own part of a command line needs.
    """
    # No public call puts its list back as it was.
    from jsonargparse import set_parsing_settings
    from jsonargparse._common import parsing_settings

    before = dict(parsing_settings)
    own = [f"drumblender.{name}" for name in OWN_PACKAGES]
    own += ["drumblender.Range"]  # jsonargparse calls a class as the package's face does
    homes = {_home(path) for path in LISTED if path.partition(".")[0] in sys.modules}
    parsing_settings["import_path_verdicts"] = {}
    set_parsing_settings(
        import_path_denylist=["*"],
        import_path_allowlist=[*own, *LISTED, *sorted(homes), *trust.modules, *more],
    )
    try:
        yield
    finally:
        parsing_settings.clear()
        parsing_settings.update(before)


def _home(path: str) -> str:
    """Where a listed class is defined: jsonargparse asks for that as well as for where it was named."""
    module, _, name = path.rpartition(".")
    found = getattr(import_module(module), name)
    return f"{found.__module__}.{found.__qualname__}"


def check_names(
    value: Any, where: str, source: str, trust: Trust, more: frozenset[str] = frozenset()
) -> None:
    """Every class path below ``value`` is on the list. Nothing is imported."""
    if isinstance(value, list):
        for item in value:
            check_names(item, where, source, trust, more)
    if not isinstance(value, dict):
        return
    if "class_path" in value:
        path = value["class_path"]
        if not isinstance(path, str) or not (trust.allows(path) or path in more):
            raise UntrustedError(f"{source}: {where} names {shown(path)}, {remedy(path)}.")
        if unknown := sorted(map(str, set(value) - {"class_path", "init_args"})):
            raise UntrustedError(f"{source}: {where} has {unknown[0]} beside its class, which is not taken.")
    for key, item in value.items():
        check_names(item, f"{where}.{key}" if key != "init_args" else where, source, trust, more)


def shown(value: object) -> str:
    """Text of a stranger, short enough for a message."""
    text = str(value)
    return text if len(text) <= 100 else f"{text[:97]}..."


def modules_to_trust(config: Any) -> list[str]:
    """What ``--trust`` has to name before a checkpoint with this configuration is played.

    Examples:
        >>> modules_to_trust({"loss": {"class_path": "my_parts.Loss"}, "net": {"class_path": "torch.nn.ELU"}})
        ['my_parts']
    """
    found: list[str] = []
    if isinstance(config, dict):
        path = config.get("class_path")
        if isinstance(path, str) and not Trust().allows(path) and "--trust" in remedy(path):
            found.append(path.partition(".")[0])
        config = list(config.values())
    if isinstance(config, list):
        found += [name for item in config for name in modules_to_trust(item)]
    return list(dict.fromkeys(found))


def home_of(modules: Sequence[str], folders: Sequence[Path]) -> Path | None:
    """The first of the folders in which one of the modules lies."""
    for folder in folders:
        for name in modules:
            if (folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file():
                return folder
    return None


def remedy(path: object) -> str:
    """How the sentence about a refused name ends."""
    module = str(path).rpartition(".")[0]
    first = module.partition(".")[0]
    if first in ("", "drumblender") or not all(part.isidentifier() for part in module.split(".")):
        return "which is no part of a model"
    if first in ("torch", "lightning", "torchmetrics", "jsonargparse") or first in sys.stdlib_module_names:
        return "which no checkpoint may run"
    return f"which is not part of drumblender: if you trust it, add --trust {first}"
