"""Let the loudness of an onset move a drum synth around its preset, as a plug-in plays it."""

import torch

import drumblender as db

RATE = 44100

snare = db.synths.Snare808(RATE, noise_samples=RATE)
mapping = db.controllers.MappedControls(
    db.controllers.LinearMapping(in_size=1, out_size=14, init_std=0.1),
    preset="cfg/presets/808_snare_2.json",
)
voice = db.tasks.Voice(snare, mapping)
onset = torch.linspace(0, 1, 8)[:, None]  # from the softest hit to the hardest
with torch.no_grad():
    hits = voice({"onset": onset}, num_samples=RATE // 4)
db.write("sweep.wav", hits.flatten(), RATE)
print(dict(zip(mapping.param_names, mapping.modulation(onset)[-1].tolist(), strict=True)))
