"""Splits by name: which packs are tested, which choose, and which are used for nothing."""

from collections.abc import Collection

from drumblender.data.prepare.manifest import Manifest


class NamedPacks:
    """Gives each pack (kit, instrument) the split that it is named for; the others train.

    Unlike a draw, this keeps machines and repositories apart that have several names.

    Args:
        test: Packs to test with.
        val: Packs to validate with, so that nothing is chosen on the test packs.
        left_out: Packs to use for nothing, such as another recording of a machine that is tested.

    Raises:
        ValueError: A pack is named twice.

    >>> NamedPacks(["lm2"], ["tr808"]).split_of("muldjord")
    'train'
    """

    def __init__(
        self, test: Collection[str], val: Collection[str] = (), left_out: Collection[str] = ()
    ) -> None:
        if twice := (set(test) & set(val)) | (set(left_out) & {*test, *val}):
            raise ValueError(f"Packs {sorted(twice)} are named for two splits.")
        self.names = dict.fromkeys(test, "test") | dict.fromkeys(val, "val") | dict.fromkeys(left_out, "none")

    def split_of(self, pack: str) -> str:
        """``train``, ``val``, ``test`` or ``none``."""
        return self.names.get(pack, "train")

    def keys_of(self, manifest: Manifest, split: str) -> list[str]:
        """Keys of the items of one split."""
        return [key for key, item in manifest.items() if self.split_of(item.sample_pack_key) == split]
