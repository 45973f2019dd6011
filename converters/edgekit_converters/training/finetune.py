"""Fine-tunes a BERT, or trains a small CNN, on labelled text, and keeps the best epoch."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
from torch import Tensor, nn
from torch.nn import functional as F

from edgekit_converters.checkpoint import save_checkpoint
from edgekit_converters.data import DataOptions, read_labelled
from edgekit_converters.model import TextModel, TokenizerFile
from edgekit_converters.networks.bert import BertConfig
from edgekit_converters.networks.cnn import Cnn, CnnConfig
from edgekit_converters.progress import Listener, LogListener
from edgekit_converters.tokenizer import check_fits, describe_tokenizer, find_tokenizer, read_tokenizer
from edgekit_converters.tokenizer.bert import SPECIAL_TOKENS, bert_tokenizer
from edgekit_runtime.bundle import writable_file
from edgekit_runtime.cleaning import check_cleaning, cleaner
from edgekit_runtime.errors import CheckpointError, DataError, FileError, OptionError, require
from edgekit_runtime.manifest import HistoryStep
from edgekit_runtime.text import load_tokenizer, well_formed

ARCHITECTURES = ("bert", "cnn")
LEARNING_RATES = {"bert": 5e-5, "cnn": 4e-3}
CNN_VOCABULARY = 8000
CNN_HIDDEN = 64
CNN_WIDTHS = (2, 3, 4, 5)
CNN_FILTERS = 64
CNN_DROPOUT = 0.5


@dataclass(frozen=True)
class FinetuneSettings:
    """How a model is fine-tuned.

    Attributes:
        arch: ``bert`` or ``cnn``.
        base: Hugging Face folder of a pretrained BERT; a CNN starts from nothing.
        epochs: Passes over the training part.
        batch_size: Texts a step.
        learning_rate: Peak of the schedule, linear with warm-up; None takes 5e-5 for a BERT and 4e-3 for a CNN.
        max_length: Longest text in tokens; longer ones are cut.
        held_out: Share of the examples, stratified, on which each epoch is measured.
        limit: Uses this many examples at most, chosen by the seed; None uses all.
        seed: Of the split, the order and the initial weights.
        clean: Names of the cleaning steps that run before the tokenizer, here and on the device (docs/bundle.md).
        stop_words: The words that the cleaning step ``stop-words`` drops.
    """

    arch: str = "bert"
    base: Path | None = None
    epochs: int = 3
    batch_size: int = 32
    learning_rate: float | None = None
    max_length: int = 128
    held_out: float = 0.1
    limit: int | None = None
    seed: int = 42
    clean: tuple[str, ...] = ()
    stop_words: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_cleaning(self.clean, self.stop_words)
        if self.arch not in ARCHITECTURES:
            raise OptionError(f"there is no architecture {self.arch!r}; --arch takes {', '.join(ARCHITECTURES)}")
        if self.arch == "bert" and self.base is None:
            raise OptionError("fine-tuning a BERT needs a pretrained one: give its Hugging Face folder by --base")
        if self.arch == "cnn" and self.base is not None:
            raise OptionError("--base is for BERTs; a CNN is trained from nothing: drop it, or use --arch bert")
        for option, value in (
            ("--epochs", self.epochs),
            ("--batch-size", self.batch_size),
            ("--max-length", self.max_length),
            ("--limit", self.limit),
        ):
            if value is not None and value < 1:
                raise OptionError(f"{option} must be 1 or more, not {value}")
        if not 0.0 < self.held_out < 1.0:
            raise OptionError(f"the held-out share lies between 0 and 1, not at {self.held_out}")


@dataclass(frozen=True)
class Finetuned:
    """What fine-tuning made; its JSON is what ``edgekit finetune --json`` prints."""

    checkpoint: str
    labels: tuple[str, ...]
    train_examples: int
    held_out_examples: int
    accuracy_by_epoch: tuple[float, ...]
    best_epoch: int
    accuracy: float


def finetune(
    data: str | Path,
    out: str | Path,
    settings: FinetuneSettings,
    *,
    labels: Sequence[str] | None = None,
    data_options: DataOptions | None = None,
    listener: Listener | None = None,
) -> Finetuned:
    """Trains on labelled text and saves the best epoch as a one-file checkpoint.

    Args:
        data: Labelled text.
        out: Where the checkpoint goes; an existing file is replaced.
        settings: How to train.
        labels: Names of the classes in the order of the logits; None takes those of the file.
        data_options: What the file does not say.
        listener: Told of progress.

    Returns:
        The checkpoint's path and the accuracy on the held-out part, epoch by epoch.

    Raises:
        EdgekitError: Something is wrong with the input; nothing was written.
    """
    listener, out = listener or LogListener(), Path(out)
    writable_file(out)
    transformers = require("transformers", extra="train", purpose="fine-tuning")
    require("accelerate", extra="train", purpose="fine-tuning")
    listener.stage(f"Reading {data}")
    read = read_labelled(data, labels or None, data_options, say=listener.say)
    names, texts, classes = read.names, read.texts, read.labels
    if settings.limit is not None and settings.limit < len(texts):
        order = np.random.default_rng(settings.seed).permutation(len(texts))[: settings.limit]
        kept = sorted(order.tolist())
        texts, classes = tuple(texts[index] for index in kept), tuple(classes[index] for index in kept)
    train, held_out = _split(classes, settings)
    clean = cleaner(settings.clean, settings.stop_words)
    texts = tuple(well_formed(text) if clean is None else clean(well_formed(text)) for text in texts)

    transformers.set_seed(settings.seed)
    learner = _bert_learner if settings.arch == "bert" else _cnn_learner
    module, tokenizer, finish = learner(settings, [texts[index] for index in train], names, listener)
    encoder = load_tokenizer(tokenizer.json)
    encoder.enable_truncation(settings.max_length)
    ids = [encoding.ids for encoding in encoder.encode_batch(texts)]
    examples = [{"input_ids": ids[index], "labels": classes[index]} for index in range(len(texts))]

    listener.stage(f"Training on {len(train)} texts")
    best = _train(
        transformers,
        module,
        [examples[index] for index in train],
        [examples[index] for index in held_out],
        settings,
        tokenizer.special_ids["pad"],
        listener,
    )
    step = HistoryStep(
        "finetune",
        {
            **asdict(settings),
            "base": settings.base.name if settings.base else None,
            "stop_words": len(settings.stop_words),  # the words themselves are in the text spec
            "examples": len(train),
        },
        {"torch": str(torch.__version__), "transformers": transformers.__version__},
    )
    assert best.weights is not None, "there was at least one epoch"
    config, weights = finish(best.weights)
    model = TextModel(
        name=out.stem,
        config=config,
        weights=weights,
        tokenizer=tokenizer,
        labels=names,
        clean=settings.clean,
        history=(step,),
        stop_words=settings.stop_words,
    )
    save_checkpoint(model, out)
    return Finetuned(
        checkpoint=str(out),
        labels=names,
        train_examples=len(train),
        held_out_examples=len(held_out),
        accuracy_by_epoch=tuple(best.accuracies),
        best_epoch=best.epoch,
        accuracy=best.accuracies[best.epoch - 1],
    )


Finish = Callable[[Mapping[str, Tensor]], tuple[BertConfig | CnnConfig, Mapping[str, Tensor]]]
"""Turns the trained module's state dict into the config and weights of a TextModel."""


@dataclass
class _Best:
    """The best epoch so far, and the accuracy of each."""

    accuracies: list[float]
    epoch: int = 0
    weights: Mapping[str, Tensor] | None = None

    def note(self, accuracy: float, module: nn.Module) -> None:
        if not self.accuracies or accuracy > max(self.accuracies):
            self.epoch = len(self.accuracies) + 1
            self.weights = {name: tensor.detach().cpu().clone() for name, tensor in module.state_dict().items()}
        self.accuracies.append(accuracy)


def _split(classes: Sequence[int], settings: FinetuneSettings) -> tuple[list[int], list[int]]:
    """Indices for training and for measuring, each class in the same proportion."""
    selection = require("sklearn.model_selection", extra="train", purpose="fine-tuning")
    try:
        train, held_out = selection.train_test_split(
            range(len(classes)), test_size=settings.held_out, stratify=classes, random_state=settings.seed
        )
    except ValueError as error:
        raise DataError(
            f"{len(classes)} examples cannot be split into a training part and {settings.held_out:.0%} held out with every "
            f"class in both ({error}); give more examples"
        ) from error
    return train, held_out


def _bert_learner(
    settings: FinetuneSettings, texts: Sequence[str], labels: Sequence[str], listener: Listener
) -> tuple[nn.Module, TokenizerFile, Finish]:
    import transformers

    base = settings.base
    assert base is not None
    if not (base / "config.json").is_file():
        raise FileError(f"{base} is no Hugging Face folder: it has no config.json; give the pretrained model by --base")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    try:
        module = transformers.BertForSequenceClassification.from_pretrained(
            base, num_labels=len(labels), local_files_only=True, ignore_mismatched_sizes=True, dtype=torch.float32
        )
    except Exception as error:  # transformers passes on whatever the reader of the weights raises
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise CheckpointError(f"{base} cannot be read as a BERT ({reason[0]})") from error
    sizes = module.config
    if sizes.model_type != "bert":
        raise CheckpointError(f"{base} is a {sizes.model_type}; only BERTs can be fine-tuned here")
    path = find_tokenizer(None, base)
    tokenizer = read_tokenizer(path, listener.say)
    check_fits(tokenizer, sizes.vocab_size, str(path), listener.say)
    if settings.max_length > sizes.max_position_embeddings:
        raise OptionError(
            f"--max-length {settings.max_length} is over the base's {sizes.max_position_embeddings}: lower it"
        )
    config = BertConfig(
        vocab_size=sizes.vocab_size,
        hidden=sizes.hidden_size,
        layers=sizes.num_hidden_layers,
        heads=sizes.num_attention_heads,
        intermediate=sizes.intermediate_size,
        positions=sizes.max_position_embeddings,
        classes=len(labels),
        layer_norm_eps=sizes.layer_norm_eps,
        activation=sizes.hidden_act,
    )
    return module, tokenizer, lambda weights: (config, weights)


class CnnLearner(nn.Module):
    """The CNN with dropout and a loss, as transformers.Trainer wants it."""

    def __init__(self, config: CnnConfig, pad_id: int) -> None:
        super().__init__()
        self.network = Cnn(config)
        self.min_length = max(config.widths)
        self.pad_id = pad_id

    def forward(self, input_ids: Tensor, attention_mask: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """(B, L) ids, (B, L) mask and (B,) class ids to the loss and (B, classes) logits."""
        missing = max(0, self.min_length - input_ids.shape[1])
        ids = F.pad(input_ids, (0, missing), value=self.pad_id)
        counts = attention_mask.sum(dim=1, keepdim=True).clamp(min=self.min_length)
        mask = (torch.arange(ids.shape[1], device=ids.device)[None] < counts).float()
        logits = self.network(ids, mask, dropout=CNN_DROPOUT if self.training else 0.0)
        if labels is None:
            return {"logits": logits}
        return {"loss": F.cross_entropy(logits, labels), "logits": logits}


def _cnn_learner(
    settings: FinetuneSettings, texts: Sequence[str], labels: Sequence[str], listener: Listener
) -> tuple[nn.Module, TokenizerFile, Finish]:
    tokenizer = train_wordpiece(texts, CNN_VOCABULARY, listener)
    config = CnnConfig(
        vocab_size=tokenizer.size,
        hidden=CNN_HIDDEN,
        widths=CNN_WIDTHS,
        filters=(CNN_FILTERS,) * len(CNN_WIDTHS),
        classes=len(labels),
    )
    if settings.max_length < max(CNN_WIDTHS):
        raise OptionError(f"--max-length must be at least {max(CNN_WIDTHS)}, the CNN's widest kernel")
    module = CnnLearner(config, tokenizer.special_ids["pad"])
    return (
        module,
        tokenizer,
        lambda weights: (
            config,
            {name.removeprefix("network."): tensor for name, tensor in weights.items()},
        ),
    )


def train_wordpiece(texts: Sequence[str], size: int, listener: Listener) -> TokenizerFile:
    """Learns an uncased WordPiece vocabulary of about ``size`` pieces; the same texts give the same one."""
    learner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    learner.normalizer = normalizers.BertNormalizer(lowercase=True)
    learner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    texts = [well_formed(text) for text in texts]
    words = (
        word
        for text in texts
        for word, _ in learner.pre_tokenizer.pre_tokenize_str(learner.normalizer.normalize_str(text))
    )
    # left alone, the trainer numbers these in the random order of a hash table, and breaks ties by the numbers
    inner = sorted({f"##{letter}" for word in words for letter in word[1:]})
    trainer = trainers.WordPieceTrainer(vocab_size=size, special_tokens=[*SPECIAL_TOKENS, *inner], show_progress=False)
    learner.train_from_iterator(texts, trainer)
    data = bert_tokenizer(learner.get_vocab(with_added_tokens=False), lower_case=True)
    return describe_tokenizer(data, listener.say, "the new tokenizer")


def _train(
    transformers: Any,
    module: nn.Module,
    train: list[dict[str, Any]],
    held_out: list[dict[str, Any]],
    settings: FinetuneSettings,
    pad_id: int,
    listener: Listener,
) -> _Best:
    best = _Best([])

    class Follow(transformers.TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            listener.progress(state.global_step, state.max_steps)

        def on_evaluate(self, args: Any, state: Any, control: Any, metrics: dict[str, float], **kwargs: Any) -> None:
            best.note(metrics["eval_accuracy"], module)
            listener.say(
                f"epoch {len(best.accuracies)}: accuracy {metrics['eval_accuracy']:.2%} on {len(held_out)} texts"
            )

    with tempfile.TemporaryDirectory() as folder:
        arguments = transformers.TrainingArguments(
            output_dir=folder,
            num_train_epochs=settings.epochs,
            per_device_train_batch_size=settings.batch_size,
            per_device_eval_batch_size=4 * settings.batch_size,
            learning_rate=settings.learning_rate or LEARNING_RATES[settings.arch],
            lr_scheduler_type="linear",
            warmup_steps=max(1, settings.epochs * len(train) // settings.batch_size // 10),
            weight_decay=0.01,
            train_sampling_strategy="group_by_length",
            eval_strategy="epoch",
            save_strategy="no",
            logging_strategy="no",
            report_to=[],
            disable_tqdm=True,
            dataloader_pin_memory=torch.cuda.is_available(),
            seed=settings.seed,
        )
        trainer = transformers.Trainer(
            model=module,
            args=arguments,
            train_dataset=train,
            eval_dataset=held_out,
            data_collator=lambda rows: _collate(rows, pad_id),
            compute_metrics=lambda p: {"accuracy": float((p.predictions.argmax(-1) == p.label_ids).mean())},
            callbacks=[Follow()],
        )
        trainer.remove_callback(transformers.trainer_callback.PrinterCallback)
        trainer.train()
    return best


def _collate(rows: Sequence[Mapping[str, Any]], pad_id: int) -> dict[str, Tensor]:
    length = max(len(row["input_ids"]) for row in rows)
    ids = torch.full((len(rows), max(1, length)), pad_id, dtype=torch.int64)
    mask = torch.zeros_like(ids)
    for index, row in enumerate(rows):
        count = len(row["input_ids"])
        ids[index, :count] = torch.tensor(row["input_ids"], dtype=torch.int64)
        mask[index, :count] = 1
    return {"input_ids": ids, "attention_mask": mask, "labels": torch.tensor([row["labels"] for row in rows])}
