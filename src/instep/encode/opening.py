"""From a name in the configuration to an encoder."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Final

from instep.domain import ConfigError
from instep.encode.base import Encoder
from instep.encode.choose import Sample, choose_encoder
from instep.encode.endpoint import EndpointEncoder
from instep.encode.hub import open_hub
from instep.encode.multilingual import MultilingualEncoder
from instep.encode.onnx import open_folder, open_minilm

FORMS: Final = (
    "'auto', 'english', 'multilingual', a folder (./models/mine), a Hugging Face name (organisation/model) "
    "or openai:MODEL@https://host/v1"
)
_HUB_NAME: Final = re.compile(r"[\w.-]+/[\w.-]+(@[\w./-]+)?")
_log = logging.getLogger("instep.encode")


def open_encoder(name: str, texts: Sample = ()) -> Encoder:
    """The encoder that a configuration names.

    Args:
        name: ``auto`` (by the catalogue's languages), ``english``, ``multilingual``, a local folder,
            a Hugging Face name, or ``openai:MODEL@https://host/v1``.
        texts: the catalogue's texts, which ``auto`` looks at.

    Raises:
        ConfigError: the name has none of these forms, or what it names cannot be opened; names the way out.

    >>> open_encoder("english").dimensions
    384
    """
    if name == "auto":
        choice = choose_encoder(texts)
        _log.info("%s", choice.why)
        if choice.warning:
            _log.warning("%s", choice.warning)
        name = choice.name
    if name == "english":
        return open_minilm()
    if name == "multilingual":
        return MultilingualEncoder()
    if name.startswith("openai:"):
        model, at, url = name.removeprefix("openai:").rpartition("@")
        if not (model and at):
            raise ConfigError(f"encoder {name!r}: the form is openai:MODEL@https://host/v1")
        return EndpointEncoder(model, url)
    folder = Path(name).expanduser()
    if name and folder.is_dir():
        return open_folder(folder)
    if name.startswith((".", "/", "~")) or not _HUB_NAME.fullmatch(name):
        raise ConfigError(f"encoder {name!r} is no folder that exists here; it can be {FORMS}")
    return open_hub(name)
