"""Players of timbre transfer that were not trained, and a voice for them to follow."""

import numpy as np
import torch
from made_up import SynthOf

from drumblender.controllers import (
    CorrectedSpectra,
    HarmonicControls,
    KernelSpectra,
    SpectrumTable,
    StiffnessTable,
)
from drumblender.encoders import ControlGRU, ControlTransformer
from drumblender.inference.transfer_curves import Instrument

SIZES = {"f0_hz": 1, "amp": 20, "magnitude": 17}
HEARS = ("f0_hz", "loudness_db", "age_s", "peak_db")


def player(kind="gru"):
    torch.manual_seed(0)
    sizes = SIZES
    if kind in ("table", "stiff"):
        table = random_table()
        strings = None
        if kind == "stiff":
            strings, sizes = StiffnessTable(), SIZES | {"stiffness": 1}
            strings.learn(torch.tensor([220.0, 247.0]), torch.tensor([1e-4, 3e-4]))
        made = CorrectedSpectra(table, ControlGRU(8, inputs=HEARS, loudness="db"), stiffness=strings)
    elif kind == "alone":
        made = CorrectedSpectra(random_table())
    elif kind == "kernel":
        spectra = KernelSpectra(20, 6, num_frames=30)
        spectra.learn(voice(), -20 * torch.rand(301, 26), torch.ones(301, 26, dtype=torch.bool))
        made = CorrectedSpectra(spectra, ControlGRU(8))
    elif kind == "transformer":
        made = HarmonicControls(ControlTransformer(16, context_frames=30))
    else:
        made = HarmonicControls(ControlGRU(16))
        sizes = {"f0_hz": 1, "amp": 20} if kind == "tone" else SIZES
    made.serve(SynthOf(**sizes))
    if made.encoder is not None:
        torch.nn.init.normal_(made.layer.weight, std=0.3)
    return made.eval()


def random_table():
    table = SpectrumTable(20, 6)
    table.known.fill_(True)
    table.values.copy_(-20 * torch.rand(table.values.shape))
    return table


def voice(frames=301, midi=57.0):
    """A voice that sings two notes with vibrato, a breath between them."""
    frame = torch.arange(frames)
    pitch = midi + torch.where(frame < 150, 0.0, 3.0) + 0.3 * torch.sin(frame * 0.35)
    level_db = torch.full((frames,), -25.0)
    level_db[:20] = -80
    sure = torch.ones(frames)
    sure[140:150] = 0
    curves = {"f0_hz": 440 * 2 ** ((pitch - 69) / 12), "loudness_db": level_db, "periodicity": sure}
    return curves | {"age_s": 0.01 * frame.float(), "peak_db": level_db.cummax(0).values}


GUITAR = Instrument(52.0, tuple(np.linspace(-50, -10, 101).tolist()))
