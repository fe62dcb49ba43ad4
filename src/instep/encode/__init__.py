"""Text to vector with a pretrained language model: models, cache, language choice, background worker."""

from instep.encode.base import Encoder, Kind
from instep.encode.bulk import encode_all
from instep.encode.cache import VectorCache
from instep.encode.choose import Choice, Sample, choose_encoder
from instep.encode.endpoint import EndpointEncoder
from instep.encode.multilingual import MultilingualEncoder, multilingual_installed
from instep.encode.onnx import OnnxEncoder, open_folder, open_minilm
from instep.encode.opening import open_encoder
from instep.encode.text import content_hash, item_text
from instep.encode.vectors import from_bytes, to_bytes, unit_rows
from instep.encode.worker import EncodeWorker

__all__ = [
    "Choice",
    "EncodeWorker",
    "Encoder",
    "EndpointEncoder",
    "Kind",
    "MultilingualEncoder",
    "OnnxEncoder",
    "Sample",
    "VectorCache",
    "choose_encoder",
    "content_hash",
    "encode_all",
    "from_bytes",
    "item_text",
    "multilingual_installed",
    "open_encoder",
    "open_folder",
    "open_minilm",
    "to_bytes",
    "unit_rows",
]
