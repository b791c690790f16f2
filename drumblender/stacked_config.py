"""Configurations on top of each other: what a later file says of voices is added to what stood there."""

from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ActionConfigFile, ArgumentParser, Namespace

from drumblender.atomic import read_text

_VOICES = "model.init_args.voices"


class StackedConfig(ActionConfigFile):
    """``-c``: a file that does not name the model's class changes the voices that it names, and adds others.

    A mapping is replaced whole elsewhere, so that of two variants the later would drop the voices of the
    earlier. A file that names the class says all of its voices.
    """

    def __call__(
        self, parser: ArgumentParser, cfg: Namespace, values: str, option_string: str | None = None
    ) -> None:
        before = cfg.get(_VOICES)
        super().__call__(parser, cfg, values, option_string)
        after = cfg.get(_VOICES)
        if isinstance(before, dict) and isinstance(after, dict) and not _names_class(values):
            cfg[_VOICES] = before | after  # those of before keep their places


def _names_class(path: str) -> bool:
    """Whether a configuration says which model it is of."""
    content: Any = yaml.safe_load(read_text(Path(path)))
    model = content.get("model") if isinstance(content, dict) else None
    return not isinstance(model, dict) or "class_path" in model
