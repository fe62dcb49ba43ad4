"""Which parameters are trained.

    head       the model frozen; a projection of its vectors, at first the identity
    full       all of it
    last-n     its last N layers
    lora       low-rank additions to the query and value matrices (Hu et al. 2022)
    adalora    the same, their ranks shared out by how much each matters (Zhang et al. 2023)
    prefix     keys and values put before each layer's (Li and Liang 2021)
    adapter    a bottleneck after each layer's feed-forward part (Houlsby et al. 2019; Pfeiffer et al. 2021)
    ia3        scales of keys, values and inner activations (Liu et al. 2022)

peft 0.21 has no bottleneck adapter for encoders, and the library `adapters` wants an older transformers than the rest;
so `Bottleneck` here is one, of twenty lines. Everything is kept as safetensors.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, Final

import msgspec

from instep.domain import ConfigError

METHODS: Final = ("head", "full", "last-n", "lora", "adalora", "prefix", "adapter", "ia3")
PEFT: Final = frozenset({"lora", "adalora", "prefix", "ia3"})
OURS: Final = "method.json"
TRAINED: Final = "trained.safetensors"
_ATTENTION: Final = (
    ("query", "value"),
    ("q_proj", "v_proj"),
    ("q_lin", "v_lin"),
    ("Wqkv",),
    ("query_key_value",),
    ("c_attn",),
    ("q", "v"),
)
_KEYS: Final = (
    "key",
    "value",
    "k_proj",
    "v_proj",
    "k_lin",
    "v_lin",
    "c_attn",
    "query_key_value",
    "k",
    "v",
    "Wqkv",
)
_OUT: Final = ("down_proj", "lin2", "dense_4h_to_h", "fc2", "wo", "Wo")
"""Last matrix of a layer's feed-forward part; BERT's and GPT-2's are found by the name of what holds them."""


class Method(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is trained, and how much of it.

    Args:
        name: one of `METHODS`.
        rank: of lora and adalora (its target), >= 1.
        layers: how many of the last layers, for last-n.
        size: of a bottleneck, or how many virtual tokens a prefix has; 0 for 64 and 10.
        dropout: of the model and of lora while it is trained.
        steps: how many steps there will be; adalora shares out ranks by it.
    """

    name: str = "lora"
    rank: int = 8
    layers: int = 2
    size: int = 0
    dropout: float = 0.1
    steps: int = 200

    def __post_init__(self) -> None:
        if self.name not in METHODS:
            raise ConfigError(f"method {self.name!r}: there are {', '.join(METHODS)}")
        if self.rank < 1 or self.layers < 1 or self.size < 0 or not 0.0 <= self.dropout < 1.0:
            raise ConfigError("rank and layers must be at least 1, size 0 or more, dropout in [0, 1)")


def prepare(body: Any, method: Method) -> Any:
    """Make a model ready: what is to be trained requires gradients, everything else does not.

    Args:
        body: a transformers model, or what an earlier version left of it; changed in place.
        method: see there.

    Returns:
        The model to train; its forward takes and gives what the given one's does.

    Raises:
        ConfigError: this family of models cannot be tuned so.
    """
    _set_dropout(body, method.dropout)
    body.requires_grad_(False)
    if method.name in PEFT:
        return _peft(body, method)
    if method.name == "full":
        return _opened(body, body)
    if method.name == "last-n":
        for layer in list(_layers(body))[-method.layers :]:
            _opened(layer, body)
        return body
    if method.name == "adapter":
        return _insert_adapters(body, method.size or 64)
    return _projected(body)


def trained(body: Any) -> dict[str, Any]:
    """The tensors that are trained, by name."""
    return {name: each for name, each in body.named_parameters() if each.requires_grad}


def save_weights(body: Any, method: Method, folder: Path) -> None:
    """Write what was trained, and what it needs to be put back.

    Args:
        body: as `prepare` gave it, trained.
        method: by which.
        folder: made if missing.
    """
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    if method.name in PEFT:
        body.save_pretrained(str(folder), safe_serialization=True)
    else:
        tensors = {name: each.detach().cpu().contiguous() for name, each in trained(body).items()}
        save_file(tensors, str(folder / TRAINED))
    (folder / OURS).write_bytes(msgspec.json.encode(method))


def with_weights(body: Any, folder: Path) -> Any:
    """A model with the weights that `save_weights` wrote; where they can be, merged into its own.

    Args:
        body: what they were trained on, untouched by others; changed in place.
        folder: where they are.

    Raises:
        ConfigError: they are missing, damaged, or of another model.
    """
    from safetensors.torch import load_file

    try:
        method = msgspec.json.decode((folder / OURS).read_bytes(), type=Method)
        if method.name in PEFT:
            from peft import PeftModel

            return merged(PeftModel.from_pretrained(body, str(folder)))
        if method.name == "adapter":
            body = _insert_adapters(body, method.size or 64)
        elif method.name == "head":
            body = _projected(body)
        tensors = load_file(str(folder / TRAINED))
        strange = body.load_state_dict(tensors, strict=False).unexpected_keys
    except ConfigError:
        raise
    except Exception as error:  # peft, safetensors and msgspec each have errors of their own
        raise ConfigError(f"{folder}: the weights cannot be put into the model: {error}") from error
    if strange:
        raise ConfigError(f"{folder}: the weights are of another model: {strange[0]} is not in this one")
    return body.requires_grad_(False)


def merged(body: Any) -> Any:
    """A copy in plain layers where the method allows it; a prefix stays beside the model."""
    if not hasattr(body, "merge_and_unload"):
        return body
    try:
        return copy.deepcopy(body).merge_and_unload()
    except (AttributeError, NotImplementedError, ValueError, TypeError):
        return body  # prefixes and bottlenecks stay layers of their own


def hidden_width(body: Any) -> int:
    """Length of its token vectors."""
    return int(body.config.hidden_size)


def _opened(module: Any, whole: Any) -> Any:
    for name, each in module.named_parameters():
        if "pooler" not in name:  # BERT's pooler has no part in a text's vector
            each.requires_grad_(True)
    return whole


def _set_dropout(body: Any, share: float) -> None:
    import torch

    for module in body.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = share
        elif isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = share


def _layers(body: Any) -> Any:
    import torch

    lists = [each for each in body.modules() if isinstance(each, torch.nn.ModuleList)]
    if not lists:
        raise ConfigError(
            f"{type(body).__name__} has no list of layers, so it has no last ones; use another --method"
        )
    return max(lists, key=len)


def _linear(body: Any) -> dict[str, Any]:
    """Matrices by their whole names; GPT-2 keeps them transposed."""
    import torch
    from transformers.pytorch_utils import Conv1D

    return {name: each for name, each in body.named_modules() if isinstance(each, torch.nn.Linear | Conv1D)}


def _called(names: Any, endings: tuple[str, ...]) -> list[str]:
    return [name for name in names if name.split(".")[-1] in endings]


def _feed_forward(body: Any) -> list[str]:
    """The last matrix of each layer's feed-forward part."""
    names = _linear(body)
    plain = _called(names, _OUT)
    bert = [name for name in names if name.endswith("output.dense") and "attention" not in name]
    gpt = [name for name in names if name.endswith("mlp.c_proj")]
    found = plain or bert or gpt
    if not found:
        raise ConfigError(
            f"{type(body).__name__}: its feed-forward layers are not known here; use --method lora or full"
        )
    return found


def _attention(body: Any) -> list[str]:
    names = _linear(body)
    for endings in _ATTENTION:
        if found := _called(names, endings):
            return found
    raise ConfigError(
        f"{type(body).__name__}: its attention layers are not known here; use --method full or last-n"
    )


def _peft(body: Any, method: Method) -> Any:
    import peft

    target = _attention(body) if method.name != "prefix" else []
    settings: Any
    if method.name == "lora":
        settings = peft.LoraConfig(
            r=method.rank, lora_alpha=2 * method.rank, lora_dropout=method.dropout, target_modules=target
        )
    elif method.name == "adalora":
        warm, rest = max(1, method.steps // 10), max(1, method.steps // 4)
        settings = peft.AdaLoraConfig(
            init_r=method.rank + method.rank // 2,
            target_r=method.rank,
            lora_alpha=2 * method.rank,
            lora_dropout=method.dropout,
            target_modules=target,
            tinit=warm,
            tfinal=rest,
            deltaT=max(1, method.steps // 50),
            total_step=max(method.steps, warm + rest + 2),
        )
    elif method.name == "prefix":
        settings = peft.PrefixTuningConfig(
            task_type=peft.TaskType.FEATURE_EXTRACTION, num_virtual_tokens=method.size or 10
        )
    else:
        inner = _feed_forward(body)
        settings = peft.IA3Config(
            target_modules=[*_called(_linear(body), _KEYS), *inner], feedforward_modules=inner
        )
    try:
        return peft.get_peft_model(body, settings)
    except (ValueError, NotImplementedError, KeyError, AttributeError) as error:
        raise ConfigError(f"{type(body).__name__} cannot be tuned by {method.name}: {error}") from error


def _insert_adapters(body: Any, size: int) -> Any:
    for name in _feed_forward(body):
        owner, _, last = name.rpartition(".")
        parent = body.get_submodule(owner)
        setattr(parent, last, bottleneck(getattr(parent, last), hidden_width(body), size))
    return body


def bottleneck(linear: Any, width: int, size: int) -> Any:
    """A matrix followed by a narrow detour that is added to what it gives; at first it adds nothing.

    Args:
        linear: kept as it is.
        width: of what it gives.
        size: of the detour.
    """
    import torch

    class Bottleneck(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.linear = linear
            self.down = torch.nn.Linear(width, size)
            self.up = torch.nn.Linear(size, width)
            torch.nn.init.zeros_(self.up.weight)
            torch.nn.init.zeros_(self.up.bias)

        def forward(self, x: Any) -> Any:
            y = self.linear(x)
            return y + self.up(torch.nn.functional.gelu(self.down(y)))

    return Bottleneck()


def _projected(body: Any) -> Any:
    """The model with a trained projection after it, at first the identity.

    It is applied to each token's vector. Since the mean of projections is the projection of the mean, that is the
    projection of a text's vector, and the exported graph has the form of every other.
    """
    import torch
    from transformers.modeling_outputs import BaseModelOutput

    width = hidden_width(body)

    class Projected(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.body = body
            self.projection = torch.nn.Linear(width, width, bias=False)
            torch.nn.init.eye_(self.projection.weight)

        @property
        def config(self) -> Any:
            return self.body.config

        def set_attn_implementation(self, name: str) -> None:
            self.body.set_attn_implementation(name)

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            with torch.set_grad_enabled(torch.is_grad_enabled() and any_trained(self.body)):
                hidden = self.body(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
            return BaseModelOutput(last_hidden_state=self.projection(hidden))

    return Projected()


def any_trained(body: Any) -> bool:
    """Whether any of its parameters is trained."""
    return any(each.requires_grad for each in body.parameters())


def _allocator(body: Any) -> Any:
    """What shares out adalora's ranks; None for other methods."""
    return getattr(getattr(body, "base_model", None), "rankallocator", None)


def after_step(body: Any, step: int) -> None:
    """What a method does after the optimiser's step, while gradients are there: adalora shares out ranks."""
    if _allocator(body) is not None:
        body.base_model.update_and_allocate(step)


def penalty(body: Any) -> Any:
    """What a method adds to the loss: adalora's directions are to be orthogonal; 0 for others."""
    import torch

    if _allocator(body) is None:
        return 0.0
    total: Any = 0.0
    count = 0
    for name, each in body.named_parameters():
        if "lora_A" in name or "lora_B" in name:
            product = each @ each.T if "lora_A" in name else each.T @ each
            total = total + torch.linalg.matrix_norm(product - torch.eye(len(product), device=each.device))
            count += 1
    return 0.5 * total / max(count, 1)


def kept_beside(body: Any) -> dict[str, Any]:
    """Tensors that a method keeps from step to step beside the weights: adalora's sensitivities."""
    allocator = _allocator(body)
    if allocator is None:
        return {}
    found: dict[str, Any] = {}
    for part in ("ipt", "exp_avg_ipt", "exp_avg_unc"):
        found |= {f"{part}/{name}": each for name, each in getattr(allocator, part, {}).items()}
    return found


def take_back(body: Any, tensors: dict[str, Any]) -> None:
    """Give a method back what `kept_beside` gave."""
    allocator = _allocator(body)
    for key, each in tensors.items():
        part, _, name = key.partition("/")
        getattr(allocator, part)[name] = each.clone()
