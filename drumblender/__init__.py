"""Differentiable audio synthesis with PyTorch Lightning.

Examples:
    >>> import drumblender as db
    >>> bell = db.synths.DampedModalSynth(
    ...     num_modes=2, sample_rate=16000, freq_hz=db.Range(50, 5000, log=True), t60_s=db.Range(0.05, 4)
    ... )
    >>> controls = bell.from_units({"freq": 440.0, "t60": 1.5, "amp": 0.3})
    >>> bell(controls, num_samples=16000).shape
    torch.Size([1, 16000])
"""

from importlib import import_module

__version__ = "0.2.0"

_PACKAGES = (
    "callbacks",
    "controllers",
    "data",
    "dsp",
    "encoders",
    "features",
    "inference",
    "losses",
    "matching",
    "metrics",
    "nets",
    "synths",
    "tasks",
    "types",
)
_NAMES = {  # what the package itself offers: the module where it lies, and its name there
    "Model": ("inference.model", "Model"),
    "Range": ("dsp.units", "Range"),
    "load": ("inference.model", "load"),
    "match": ("matching.match", "match"),
    "read": ("audio_io", "read_audio"),
    "settle": ("process", "settle"),
    "write": ("audio_io", "write_audio"),
}

__all__ = ["__version__", *_PACKAGES, *_NAMES]


def __getattr__(name: str) -> object:
    """Import on first use: `import drumblender` costs nothing."""
    if name in _PACKAGES:
        return import_module(f"drumblender.{name}")
    if name in _NAMES:
        module, attribute = _NAMES[name]
        return getattr(import_module(f"drumblender.{module}"), attribute)
    raise AttributeError(f"module 'drumblender' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
