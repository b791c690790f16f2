"""Reading a set from shards against reading it from files: 10,000 made-up items, one process.

    python -m benchmarks.shards [--items 10000] [--samples 8000]

Both are read item by item in the random order of training, from the page cache and by one process: what is
compared is the work of opening, checking and decoding. Also what 100,000 lines of a manifest cost.
"""

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from drumblender.audio_io import write_wav
from drumblender.data.items import FeatureItems
from drumblender.data.prepare.manifest import Item, load_manifest, save_manifest
from drumblender.data.shard_files import ShardItems, shard_order, write_shards

RATE, MODES, FRAMES = 16000, 8, 32


def prepared(folder: Path, count: int, num_samples: int) -> FeatureItems:
    """Files as a prepared set of drums has them."""
    generator = torch.Generator().manual_seed(0)
    manifest = {}
    for name in ("audio", "features"):
        (folder / name).mkdir(parents=True)
    for number in range(count):
        key = f"{number:08x}"
        write_wav(folder / f"audio/{key}.wav", torch.randn(num_samples, generator=generator) / 10, RATE)
        torch.save(torch.rand(3, MODES, FRAMES, generator=generator), folder / f"features/{key}.pt")
        manifest[key] = Item(f"audio/{key}.wav", feature_file=f"features/{key}.pt", sample_rate=RATE)
    save_manifest(folder / "manifest.json", manifest)
    return FeatureItems(
        folder, manifest, list(manifest), unpack=_fields, sample_rate=RATE, num_samples=num_samples
    )


def _fields(stored: torch.Tensor) -> dict[str, torch.Tensor]:
    return dict(zip(("freq_rad", "amp", "phase_rad"), stored.mT, strict=True))


def timed(title: str, items: FeatureItems | ShardItems, order: Iterable[int]) -> float:
    """CPU seconds an item."""
    cpu, wall = time.process_time(), time.perf_counter()
    order = list(order)
    for number in order:
        items[number]
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    print(f"{title:33}{1e6 * cpu / len(order):9.0f} us of CPU{1e6 * wall / len(order):8.0f} us each")
    return cpu / len(order)


def size_of(folder: Path) -> tuple[int, float]:
    """Files below a folder, and MB that they take on the disk."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return len(files), sum(path.stat().st_blocks * 512 for path in files) / 1e6


def long_manifest(folder: Path, lines: int) -> None:
    """What a manifest of many lines costs to read."""
    entry = {
        "feature_file": "features/0.pt",
        "type": "acoustic",
        "sample_pack_key": "kit",
        "source": "kit/1.wav",
    }
    manifest = {
        f"{n:08x}": Item(f"audio/{n:08x}.wav", sha256="0" * 64, sample_rate=48000, num_samples=96000, **entry)
        for n in range(lines)
    }
    save_manifest(folder / "long.json", manifest)
    del manifest
    before, cpu = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    kept = load_manifest(folder / "long.json")
    cpu, peak = time.process_time() - cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"manifest of {len(kept)} lines: read in {cpu:.2f} s of CPU, {(peak - before) / 1024:.0f} MiB more")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--samples", type=int, default=8000)
    args = parser.parse_args()
    print(f"{args.items} items of {args.samples} samples and {MODES} modes; load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        files = prepared(folder / "files", args.items, args.samples)
        started = time.process_time()
        write_shards(files, folder / "shards", "train")
        print(f"written as shards in {1e6 * (time.process_time() - started) / args.items:.0f} us an item")
        for name in ("files", "shards"):
            print("{}: {} files, {:.0f} MB on the disk".format(name, *size_of(folder / name)))
        generator = np.random.default_rng(0)
        started = time.process_time()
        shards = ShardItems(folder / "shards", "train")
        print(f"index of the shards read in {1e3 * (time.process_time() - started):.1f} ms")
        slow = timed("files, at random", files, generator.permutation(args.items))
        timed("shards, at random", shards, generator.permutation(args.items))
        fast = timed(
            "shards, through a buffer of 1000", shards, shard_order(shards.shard_of, generator, 1000)
        )
        print(f"shards take {slow / fast:.1f} times less")
        long_manifest(folder, 100_000)


if __name__ == "__main__":
    main()
