"""Trains a small task that draws from every generator, kills it where it is told to, and resumes it.

A process of its own: ``python killed_runs.py FOLDER`` prints, for each way of stopping, whether the weights
are those of the run that was not stopped.
"""

import logging
import os
import random
import signal
import sys
import warnings
from pathlib import Path

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch.utils.data import DataLoader

from drumblender.callbacks import ResumeExactly
from drumblender.run_files import keep_whole

EPOCHS, BATCHES = 4, 5
LAST = {"filename": "last", "enable_version_counter": False}
# How it is saved, and after which steps it is killed: in the middle and at the end of an epoch.
CASES = {
    "at the end of an epoch": ({"save_on_train_epoch_end": True}, (7, 15)),
    "after a validation": ({}, (5, 17)),
    "every 2 steps": ({"every_n_train_steps": 2}, (2, 8, 11)),
    "every 5 steps": ({"every_n_train_steps": 5}, (10, 14)),
}
if os.environ.get("DRUMBLENDER_LONG"):
    CASES = {name: (saving, range(5, EPOCHS * BATCHES)) for name, (saving, _) in CASES.items()}


class Noisy(L.LightningModule):
    """A line through noise that torch, numpy and Python draw."""

    def __init__(self, kill_after):
        super().__init__()
        self.layer, self.kill_after = torch.nn.Linear(3, 1), kill_after
        self.drop = torch.nn.Dropout(0.3)

    def training_step(self, batch, batch_idx):
        noise = torch.randn(len(batch), 1) + random.random() + np.random.rand()  # noqa: NPY002
        return (self.layer(self.drop(batch)) - noise).square().mean()

    def validation_step(self, batch, batch_idx):
        self.log("validation/loss", 1.0)  # a plateau from the start: the schedule has to move

    def on_train_batch_start(self, batch, batch_idx):
        if self.kill_after is not None and self.trainer.global_step >= self.kill_after:
            os.kill(os.getpid(), signal.SIGKILL)

    def configure_optimizers(self):
        optimizer = torch.optim.Adam(self.parameters(), lr=0.1)
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": plateau, "monitor": "validation/loss", "strict": False},
        }


def train(folder, saving, kill_after=None, resume=False):
    L.seed_everything(5, verbose=False)
    items = torch.randn(4 * BATCHES, 3)
    trainer = L.Trainer(
        accelerator="cpu",
        max_epochs=EPOCHS,
        callbacks=[ResumeExactly(), ModelCheckpoint(dirpath=folder, **LAST, **saving)],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    keep_whole(trainer)
    task = Noisy(kill_after)
    loaders = DataLoader(items, batch_size=4, shuffle=True), DataLoader(items, batch_size=4)
    trainer.fit(task, *loaders, ckpt_path=folder / "last.ckpt" if resume else None)
    torch.save([*task.state_dict().values(), trainer.optimizers[0].param_groups[0]["lr"]], folder / "weights")


def in_child(*args, **settings):
    child = os.fork()
    if not child:
        code = 1
        try:
            train(*args, **settings)
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(root):
    warnings.simplefilter("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    for number, (name, (saving, kills)) in enumerate(CASES.items()):
        whole = root / f"{number}"
        whole.mkdir()
        if in_child(whole, saving):
            sys.exit(f"{name}: the uninterrupted run failed")
        wanted = torch.load(whole / "weights")
        for kill in kills:
            folder = root / f"{number}-{kill}"
            folder.mkdir()
            died = in_child(folder, saving, kill_after=kill) == -signal.SIGKILL
            went_on = in_child(folder, saving, resume=True) == 0 if (folder / "last.ckpt").exists() else False
            got = torch.load(folder / "weights") if went_on else []
            same = [
                torch.equal(torch.as_tensor(a), torch.as_tensor(b)) for a, b in zip(got, wanted, strict=False)
            ]
            equal = died and len(same) == len(wanted) and all(same)
            sys.stdout.write(f"{'equal' if equal else 'DIFFERENT'}: saved {name}, killed after step {kill}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
