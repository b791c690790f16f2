"""Find the knobs of a TR-808 snare that come closest to a sound, without training anything."""

import torch

import drumblender as db

RATE = 44100

snare = db.synths.Snare808(RATE, noise_samples=RATE // 4)
hidden = snare(db.synths.load_controls("cfg/presets/808_snare_1.json", snare), num_samples=RATE // 4)[0]

found = db.match(hidden.detach(), snare, renders=60, restarts=4, seed=1)
print(f"loss {found.history[0].best:.3f} -> {found.loss:.3f} in {found.renders} renders")
for name, value in found.units.items():
    print(f"{name:22} {value.item():10.2f}")
db.write("match.wav", found.audio, RATE)
torch.testing.assert_close(found.audio.shape, hidden.shape)
