"""A Hugging Face model by name: its ONNX files, downloaded once into the hub's own cache."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from instep.domain import ConfigError
from instep.encode.onnx import OnnxEncoder, open_folder

FILES: Final = (
    "onnx/model.onnx",
    "onnx/model.onnx_data",
    "model.onnx",
    "model.onnx_data",
    "tokenizer.json",
    "tokenizer_config.json",
    "config.json",
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
    "modules.json",
    "1_Pooling/config.json",
)

_WAYS_OUT: Final = (
    "Ways out: connect to the network (or set HF_ENDPOINT to a mirror) and start once; copy the model's "
    "folder (model.onnx, tokenizer.json) here and name its path; name an embeddings endpoint, "
    "openai:MODEL@https://host/v1; or use the bundled models, 'english' and 'multilingual'."
)


@dataclass(frozen=True)
class HubName:
    """A repository on the hub and, after ``@``, a revision.

    >>> HubName.parse("BAAI/bge-small-en-v1.5@main")
    HubName(repository='BAAI/bge-small-en-v1.5', revision='main')
    """

    repository: str
    revision: str | None = None

    @classmethod
    def parse(cls, name: str) -> HubName:
        """From ``organisation/model`` or ``organisation/model@revision``."""
        repository, _, revision = name.partition("@")
        return cls(repository, revision or None)


def open_hub(name: str) -> OnnxEncoder:
    """The encoder of a Hugging Face repository that has an ONNX file; its name is pinned to the commit.

    Args:
        name: ``organisation/model``, optionally ``@revision``.

    Raises:
        ConfigError: no network and not in the cache, no such repository, or no ONNX file in it; names the
            ways out.
    """
    folder = download(HubName.parse(name))
    if not any((folder / path).is_file() for path in ("model.onnx", "onnx/model.onnx")):
        raise ConfigError(
            f"the Hugging Face repository {name} has no ONNX file. Export it, `optimum-cli export onnx "
            f"--model {HubName.parse(name).repository} FOLDER`, and name FOLDER as encoder."
        )
    return open_folder(folder, f"{HubName.parse(name).repository}@{folder.name[:12]}")


def download(name: HubName) -> Path:
    """The folder of a repository's snapshot, named by its commit, from the network or the hub's cache."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    try:
        return Path(snapshot_download(name.repository, revision=name.revision, allow_patterns=list(FILES)))
    except (RepositoryNotFoundError, RevisionNotFoundError) as error:
        raise ConfigError(
            f"Hugging Face knows no model {name.repository!r} at revision {name.revision or 'main'!r}, or it "
            f"is private and HF_TOKEN is not set ({type(error).__name__}). {_WAYS_OUT}"
        ) from error
    except Exception as error:  # the hub's network errors come from three libraries
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ConfigError(
            f"the model {name.repository!r} could not be downloaded from Hugging Face and is not in its "
            f"cache: {reason[0]} {_WAYS_OUT}"
        ) from error
