"""Models of Hugging Face's transformers from local folders: built from a configuration, filled from safetensors.

Nothing is downloaded, and code that a folder brings is never run.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trainers.errors import ModelUnavailable, TeacherInvalid
from trainers.registry import local_models
from trainers.spec import Model

_WITHOUT_CODE: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
# Other implementations of attention may be fetched from elsewhere, and a configuration could name one.
_ATTENTION = "eager"
_OF_CHANCE = ("attention_probs_dropout_prob", "attention_dropout", "attn_pdrop", "drop_path_rate", "layerdrop")
"""What a model drops by torch's own generator, inside of its functions: it is left, so that a student's numbers depend
on its seed alone. Layers of dropout stay, with masks by the seed (`trainers.zoo.dropout`)."""


def is_installed() -> bool:
    """Whether this worker has transformers."""
    return importlib.util.find_spec("transformers") is not None


def build(model: Model, channels: int, size: tuple[int, ...], classes: int) -> nn.Module:
    """A model with random weights that answers logits: for images, or for tokens where it has a vocabulary.

    ModelUnavailable.
    """
    config = configuration(model, channels, size, classes)
    with _refusing(model.name):
        built: nn.Module = _auto(model).from_config(config, attn_implementation=_ATTENTION, trust_remote_code=False)
    # hooks and no wrapper: the weights keep their usual names, so that files fit
    if model.vocabulary is not None:
        padding = getattr(config, "pad_token_id", None)
        built.register_forward_pre_hook(_Tokens(padding), with_kwargs=True)
    built.register_forward_hook(_logits)
    return built


def configuration(model: Model, channels: int, size: tuple[int, ...], classes: int) -> Any:
    """The folder's configuration, as it is for such images or tokens and so many classes. ModelUnavailable."""
    config = _config(model)
    config.num_labels = classes
    for name in _OF_CHANCE:
        if hasattr(config, name):
            setattr(config, name, 0.0)
    if model.vocabulary is None:
        _fit(config, channels, size)
    elif getattr(config, "vocab_size", model.vocabulary) < model.vocabulary:
        raise ModelUnavailable(f"{model.name} knows {config.vocab_size} tokens, and the data have {model.vocabulary}")
    return config


def tensors(model: Model) -> dict[str, Tensor]:
    """The folder's weights under the model's own names, without those that the folder lacks. TeacherInvalid."""
    path = _folder(model.name)
    try:
        local_models.weight_files(path)
    except ValueError as error:
        raise TeacherInvalid(f"{model.name}: {error}") from error
    if (path / "adapter_config.json").exists():
        raise TeacherInvalid(f"{model.name} is an adapter: merge it into its model and save that")
    try:
        with _refusing(model.name):
            loaded, report = _auto(model).from_pretrained(
                path,
                attn_implementation=_ATTENTION,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
                **_WITHOUT_CODE,
            )
    except ModelUnavailable as error:
        raise TeacherInvalid(str(error)) from error
    missing = set(report["missing_keys"])
    return {name: tensor for name, tensor in loaded.state_dict().items() if name not in missing}


class _Tokens:
    """Numbers of tokens as the model takes them, and which are no padding, by the configuration's own number."""

    def __init__(self, padding: int | None) -> None:
        self._padding = padding

    def __call__(self, module: nn.Module, arguments: tuple[Tensor, ...], options: dict[str, Any]) -> Any:
        tokens = arguments[0].long()
        mask = torch.ones_like(tokens) if self._padding is None else (tokens != self._padding).long()
        return (), {"input_ids": tokens, "attention_mask": mask}


def _logits(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> Tensor:
    logits: Tensor = output.logits
    return logits


def _fit(config: Any, channels: int, size: tuple[int, ...]) -> None:
    """Sets what a configuration says of its images to those of the data, which fixed the shapes of some weights."""
    if hasattr(config, "num_channels"):
        config.num_channels = channels
    elif channels != 3:
        raise ModelUnavailable(f"a {config.model_type} takes images of 3 channels, not {channels}")
    if hasattr(config, "image_size"):
        config.image_size = size[0] if len(set(size)) == 1 else list(size)


def _auto(model: Model) -> Any:
    import transformers

    if model.vocabulary is None:
        return transformers.AutoModelForImageClassification
    return transformers.AutoModelForSequenceClassification


def _config(model: Model) -> Any:
    path = _folder(model.name)
    with _refusing(model.name):
        import transformers

        return transformers.AutoConfig.from_pretrained(path, **_WITHOUT_CODE)


def _folder(name: str) -> Path:
    if not is_installed():
        raise ModelUnavailable(
            f"{name} needs transformers, which this worker has not: pip install thermowell[transformers]"
        )
    try:
        return local_models.folder(name)
    except (ValueError, OSError) as error:
        raise ModelUnavailable(str(error)) from error


@contextmanager
def _refusing(name: str) -> Iterator[None]:
    """ModelUnavailable for whatever transformers raises within, which shows no bars."""
    from transformers.utils import logging

    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    except Exception as error:  # of many kinds, and none of them its own
        line = str(error).strip().splitlines()[0][:300] if str(error).strip() else type(error).__name__
        raise ModelUnavailable(f"{name} cannot be made by transformers: {line}") from error
    finally:
        if bars:
            logging.enable_progress_bar()
