"""Token counts that owe nothing to Quarterdeck: Hugging Face's tokenizers over the vocabulary in the GGUF file."""

import struct
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from tokenizers import AddedToken

# GGUF specification, "Metadata value types": the fixed-size ones with their struct format.
FIXED = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9


def metadata(path: Path) -> dict:
    """The key-value section at the head of a GGUF file."""
    with path.open("rb") as file:
        magic, _version, _tensors, pairs = struct.unpack("<4sIQQ", file.read(24))
        assert magic == b"GGUF", path
        return {_string(file): _value(file, _scalar(file, "I")) for _ in range(pairs)}


def _scalar(file, form):
    return struct.unpack("<" + form, file.read(struct.calcsize("<" + form)))[0]


def _string(file):
    return file.read(_scalar(file, "Q")).decode("utf-8", errors="replace")


def _value(file, kind):
    if kind == STRING:
        return _string(file)
    if kind == ARRAY:
        inner, length = _scalar(file, "I"), _scalar(file, "Q")
        return [_value(file, inner) for _ in range(length)]
    return _scalar(file, FIXED[kind])


def smollm2(path: Path) -> Tokenizer:
    """SmolLM2's byte-level BPE: digits split one by one, then GPT-2's pattern (its tokenizer.json on the hub)."""
    head = metadata(path)
    tokens, kinds = head["tokenizer.ggml.tokens"], head["tokenizer.ggml.token_type"]
    merges = [tuple(pair.split(" ", 1)) for pair in head["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE({token: at for at, token in enumerate(tokens)}, merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    control = 3  # GGUF specification, tokenizer.ggml.token_type
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token, kind in zip(tokens, kinds) if kind == control])
    return tokenizer


def chatml(messages: list[dict]) -> str:
    """SmolLM2-Instruct's chat template, by hand: a system message of its own unless one is given."""
    if messages[0]["role"] != "system":
        default = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
        messages = [{"role": "system", "content": default}, *messages]
    turns = "".join(f"<|im_start|>{turn['role']}\n{turn['content']}<|im_end|>\n" for turn in messages)
    return turns + "<|im_start|>assistant\n"
