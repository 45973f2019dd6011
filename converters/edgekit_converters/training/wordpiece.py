"""A WordPiece vocabulary learnt from the texts."""

from __future__ import annotations

from collections.abc import Sequence

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

from edgekit_converters.model import TokenizerFile
from edgekit_converters.tokenizer import describe_tokenizer
from edgekit_converters.tokenizer.bert import SPECIAL_TOKENS, bert_tokenizer
from edgekit_runtime.progress import Listener
from edgekit_runtime.text import well_formed


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
