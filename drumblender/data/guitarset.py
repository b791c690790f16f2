"""GuitarSet (Xi et al., ISMIR 2018): six players, their solos or chords, from its public record."""

import logging
import re
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

from torch import Tensor

from drumblender.console import track_bytes
from drumblender.data.guitarset_published import PublishedPhrases, is_published, published_phrases
from drumblender.data.phrase_items import AS_OFTEN_AS_FIT, Crops
from drumblender.data.phrases import PhraseData
from drumblender.data.prepare.fetch import download
from drumblender.data.prepare.manifest import Manifest
from drumblender.data.prepare.parallel import Backend
from drumblender.data.prepare.raw import Recording
from drumblender.data.prepare.storage import StorageError, open_store
from drumblender.data.splits import Split
from drumblender.features.note_curves import NoteCurves

_log = logging.getLogger(__name__)

_RECORD = "https://zenodo.org/api/records/3371780/files/audio_mono-mic.zip"
_NAME = re.compile(r"^(\d\d)_.+_(solo|comp)(_mic)?$")
_ZIP = "audio_mono-mic.zip"

Subset = Literal["solo", "comp", "all"]


class GuitarSetData(PhraseData):
    """Microphone recordings of GuitarSet; whoever plays in validation or test does not in training.

    Where ``raw_dir`` is absent its archive is downloaded from the public record; a download that was
    cut goes on, and its digest is checked where it is given. ``PhraseData`` tells the other arguments.

    Args:
        data_dir: The prepared folder; one that the original code prepared (``NAME.pt``) is read as it is,
            one crop a phrase. It has pitch and level alone, for models that hear nothing else.
        raw_dir: The recordings, ``PP_Style-tempo-Key_solo_mic.wav``; or where they go.
        subset: ``solo`` has one note at a time, which one pitch can describe; ``comp`` has chords.
        val_players: Players to validate with.
        test_players: Players to test with.
        train_on_all: Those players train as well, as published; what validation and test tell is then of
            recordings that the model knows.
        url: Folder or address of ``audio_mono-mic.zip``'s content; None is the public record.
        archive_sha256: Digest of the archive, where known.

    Examples:
        >>> data = GuitarSetData("prepared", raw_dir="mic", subset="comp", test_players=["00"])
        >>> data.tags_of(Path("00_Jazz1-130-D_comp_mic.wav"))["player"]
        '00'
    """

    def __init__(
        self,
        data_dir: str,
        raw_dir: str | None = None,
        subset: Subset = "solo",
        val_players: Collection[str] = ("04",),
        test_players: Collection[str] = ("05",),
        url: str | None = None,
        archive_sha256: str | None = None,
        curves: NoteCurves | None = None,
        num_harmonics: int = 100,
        num_bands: int = 24,
        crop_s: float = 1.0,
        batch_size: int = 16,
        num_workers: int | None = None,
        train_on_all: bool = False,
        crops: Crops = AS_OFTEN_AS_FIT,
    ) -> None:
        if subset not in ("solo", "comp", "all"):
            raise ValueError(f"subset is solo, comp or all, got {subset!r}.")
        if both := sorted(set(val_players) & set(test_players)):
            raise ValueError(f"Players {both} cannot both validate and test.")
        super().__init__(
            data_dir,
            raw_dir,
            curves=curves,
            num_harmonics=num_harmonics,
            num_bands=num_bands,
            crop_s=crop_s,
            batch_size=batch_size,
            num_workers=num_workers,
            crops=crops,
        )
        self.subset, self.record, self.archive_sha256 = subset, url or _RECORD, archive_sha256
        self.val_players, self.test_players = tuple(val_players), tuple(test_players)
        self.train_on_all = train_on_all

    def find_recordings(self) -> list[Recording]:
        if self.raw_dir is not None and not any(self.raw_dir.glob("*.wav")):
            self._fetch(self.raw_dir)
        found = super().find_recordings()
        kept = [one for one in found if self._is_wanted(one.path.stem)]
        if not kept:
            raise ValueError(f"{self.raw_dir} holds no {self.subset} recording named as 00_..._solo_mic.wav.")
        return kept

    def tags_of(self, path: Path) -> dict[str, Any]:
        return {"performance": path.stem, "player": path.stem[:2], "takes": [path.stem], "notes": []}

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"subset": self.subset}

    @property
    def is_ready(self) -> bool:
        return super().is_ready or self._is_published

    def prepare_data(self, backend: Backend = "local", jobs: int | None = None) -> None:
        if not self._is_published:
            super().prepare_data(backend, jobs)

    def setup(self, stage: str | None = None) -> None:
        if self._is_published:
            self._read_published(stage)
        else:
            super().setup(stage)
        if self.train_on_all:
            left_out = ", ".join(sorted({*self.val_players, *self.test_players}))
            _log.warning("train_on_all: players %s, who validate and test, train as well.", left_out)

    def training_phrases(self) -> list[dict[str, Tensor]]:
        items = self._items["train"]
        if not isinstance(items, PublishedPhrases):
            return super().training_phrases()
        _log.warning(
            "%s does not say how sure its pitches are: each frame that is loud enough counts for the range.",
            self.data_dir,
        )
        return items.measured(self.sample_rate)

    def shared_recordings(self) -> dict[str, list[str]]:
        if not self._is_published:
            return super().shared_recordings()
        names = {split: {path.stem for path in paths} for split, paths in self._published_splits().items()}
        return {f"train/{other}": sorted(names["train"] & names[other]) for other in ("val", "test")}

    @property
    def _is_published(self) -> bool:
        return not (self.data_dir / self.meta_file).exists() and is_published(self.data_dir)

    def _read_published(self, stage: str | None) -> None:
        paths = self._published_splits()
        wanted = {"fit": ("train", "val"), "validate": ("val",), "test": ("test",), "predict": ("test",)}
        for split in wanted.get(stage, ("train", "val", "test")):
            length = self.num_samples if split == "train" else None
            self._items[split] = PublishedPhrases(paths[split], self.hop_length, length, pad_short=True)

    def _published_splits(self) -> dict[str, list[Path]]:
        found = published_phrases(self.data_dir)
        kept = [path for path in found if self.subset == "all" or self._is_wanted(path.stem)]
        if not kept:
            raise ValueError(f"{self.data_dir} holds no {self.subset} phrase named as 00_..._solo_mic.pt.")
        players = {path: path.stem[:2] for path in kept}
        chosen = self._split_of_players(set(players.values()))
        of_split = {
            split: [path for path in kept if chosen.get(players[path], "train") == split]
            for split in ("train", "val", "test")
        }
        return of_split | ({"train": kept} if self.train_on_all else {})

    def keys_of(self, manifest: Manifest, split: Split) -> list[str]:
        return list(manifest) if split == "train" and self.train_on_all else super().keys_of(manifest, split)

    def _split_of(self, manifest: Manifest) -> dict[str, Split]:
        chosen = self._split_of_players({item.tags["player"] for item in manifest.values()})
        return {
            item.tags["performance"]: chosen.get(item.tags["player"], "train") for item in manifest.values()
        }

    def _split_of_players(self, players: set[str]) -> dict[str, Split]:
        """The split of those who do not train."""
        named = {*self.val_players, *self.test_players}
        if missing := sorted(named - players):
            raise ValueError(f"No player {missing} in {self.data_dir}; there are {sorted(players)}.")
        if players <= named:
            raise ValueError(f"All players, {sorted(players)}, are left out: nobody is left to train with.")
        split: dict[Split, tuple[str, ...]] = {"val": self.val_players, "test": self.test_players}
        return {player: name for name, some in split.items() for player in some}

    def _is_wanted(self, stem: str) -> bool:
        form = _NAME.match(stem)
        return form is not None and self.subset in ("all", form[2])

    def _fetch(self, folder: Path) -> None:
        """Download the archive beside the folder and unpack its sound files, each under its bare name."""
        path = folder.parent / _ZIP
        if not path.is_file():
            store, key = open_store(self.record), _ZIP if self.record != _RECORD else "content"
            with track_bytes(store.stat(key).size, _ZIP) as on_bytes:
                download(store, key, path, self.archive_sha256, on_bytes=on_bytes)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with zipfile.ZipFile(path) as archive:
                for entry in archive.infolist():
                    name = Path(entry.filename).name
                    if name.endswith(".wav") and not name.startswith("."):
                        aside = folder / f".{name}.part"
                        aside.write_bytes(archive.read(entry))
                        aside.replace(folder / name)  # the bare name: no entry leaves the folder
        except zipfile.BadZipFile as error:
            raise StorageError(f"{path} is no zip archive: remove it to download it anew.") from error
