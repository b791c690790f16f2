"""GuitarSet (Xi et al., ISMIR 2018): six players, their solos or chords, from its public record."""

import logging
import re
import zipfile
from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

from drumblender.console import track_bytes
from drumblender.data.phrase_items import AS_OFTEN_AS_FIT, Crops
from drumblender.data.phrases import PhraseData
from drumblender.data.prepare.fetch import download
from drumblender.data.prepare.manifest import Manifest
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
        data_dir: The prepared folder.
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

    def setup(self, stage: str | None = None) -> None:
        super().setup(stage)
        if self.train_on_all:
            left_out = ", ".join(sorted({*self.val_players, *self.test_players}))
            _log.warning("train_on_all: players %s, who validate and test, train as well.", left_out)

    def keys_of(self, manifest: Manifest, split: Split) -> list[str]:
        return list(manifest) if split == "train" and self.train_on_all else super().keys_of(manifest, split)

    def _split_of(self, manifest: Manifest) -> dict[str, Split]:
        players = {item.tags["player"] for item in manifest.values()}
        named = {*self.val_players, *self.test_players}
        if missing := sorted(named - players):
            raise ValueError(f"No player {missing} in {self.data_dir}; there are {sorted(players)}.")
        if players <= named:
            raise ValueError(f"All players, {sorted(players)}, are left out: nobody is left to train with.")
        split: dict[Split, tuple[str, ...]] = {"val": self.val_players, "test": self.test_players}
        return {
            item.tags["performance"]: next(
                (name for name, some in split.items() if item.tags["player"] in some), "train"
            )
            for item in manifest.values()
        }

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
