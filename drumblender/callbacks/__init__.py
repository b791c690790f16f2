"""Callbacks that read what steps return."""

from drumblender.callbacks.deal_batches import DealBatches
from drumblender.callbacks.early_stopping import RelativeCheckpoint, RelativeEarlyStopping
from drumblender.callbacks.export_wavs import ExportWavs
from drumblender.callbacks.log_audio import LogAudio
from drumblender.callbacks.picture import draw_pairs
from drumblender.callbacks.progress import PartSizes, ProgressLines, TimeEstimate, TrainingBar
from drumblender.callbacks.remap import SaveMapper, SweepOnsets
from drumblender.callbacks.resume import ResumeExactly
from drumblender.callbacks.run_summary import RunSummary
from drumblender.callbacks.wandb import CleanWandbCache

__all__ = [
    "CleanWandbCache",
    "DealBatches",
    "ExportWavs",
    "LogAudio",
    "PartSizes",
    "ProgressLines",
    "RelativeCheckpoint",
    "RelativeEarlyStopping",
    "ResumeExactly",
    "RunSummary",
    "SaveMapper",
    "SweepOnsets",
    "TimeEstimate",
    "TrainingBar",
    "draw_pairs",
]
