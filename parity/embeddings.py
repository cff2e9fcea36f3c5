"""Reference embeddings of all-MiniLM-L6-v2, computed by PyTorch and transformers: python embeddings.py MODEL_FOLDER > embeddings.json

All texts go through the model in one padded batch with an attention mask, in 64-bit floats, so that the reference
shares neither the packing nor the rounding of the encoder that it checks.
"""

import json
import pathlib
import platform
import sys

import safetensors.torch
import tokenizers
import torch
import transformers

TEXTS = [
    "",
    " ",
    "Hello",
    "The quick brown fox jumps over the lazy dog.",
    "A fast, dark-coloured fox leaps above a sleepy hound!",
    "How many tokens per second does the server decode with sixteen streams?",
    "Die Vorlesung fällt heute aus, weil der Professor erkrankt ist.",
    "¿Dónde está la biblioteca más cercana a la estación de tren?",
    "Как правильно хранить резервные копии базы данных?",
    "明日の天気は晴れのち曇り、所により雨が降るでしょう。",
    "用户的请求被网关转发到另一个模型。",
    "مرحبا بالعالم، كيف حالك اليوم؟",
    "भारत की राजधानी नई दिल्ली है।",
    "🦀 + 🐍 = ❤️ (naïve café, Ω≈ç√∫˜µ≤≥÷)",
    "[MASK] [CLS] special tokens as text [SEP] [PAD]",
    "ANTIDISESTABLISHMENTARIANISM pneumonoultramicroscopicsilicovolcanoconiosis",
    "x" * 150,
    "tab\tnewline\ncarriage\rreturn\u0000null\u200bzero width",
    "def mean(xs):\n    return sum(xs) / len(xs)\n\nassert mean([1, 2, 3]) == 2",
    '{"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hi"}], "temperature": 0.2}',
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. "
    "How many clips did Natalia sell altogether in April and May?",
    "The lake is append-only. " * 20,
    " ".join(f"word{n}" for n in range(110)),
    "This text is longer than the model reads, so its end is cut off. " * 60,
]


def load(folder: pathlib.Path) -> tuple[tokenizers.Tokenizer, transformers.BertModel]:
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    config = transformers.BertConfig.from_json_file(str(folder / "config.json"))
    config._attn_implementation = "eager"
    model = transformers.BertModel(config, add_pooling_layer=False)
    weights = safetensors.torch.load_file(str(folder / "model.safetensors"))
    missing, _ = model.load_state_dict({name: tensor for name, tensor in weights.items() if not name.startswith("pooler.")}, strict=False)
    assert not missing, missing
    return tokenizer, model.double().eval()


def embed(tokenizer: tokenizers.Tokenizer, model: transformers.BertModel, limit: int) -> tuple[torch.Tensor, list[int]]:
    tokenizer.enable_truncation(limit)
    tokenizer.enable_padding()
    encodings = tokenizer.encode_batch(TEXTS)
    ids = torch.tensor([encoding.ids for encoding in encodings])
    mask = torch.tensor([encoding.attention_mask for encoding in encodings])
    with torch.no_grad():
        hidden = model(input_ids=ids, attention_mask=mask).last_hidden_state
    mean = (hidden * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True)
    return torch.nn.functional.normalize(mean, dim=1), mask.sum(1).tolist()


def main() -> None:
    tokenizer, model = load(pathlib.Path(sys.argv[1]))
    limit = model.config.max_position_embeddings
    vectors, tokens = embed(tokenizer, model, limit)
    reference = {
        "model": "all-minilm-l6-v2",
        "made_with": {"python": platform.python_version(), **{m.__name__: m.__version__ for m in (torch, transformers, tokenizers, safetensors)}},
        "max_tokens": limit,
        "texts": [{"text": text, "tokens": count, "vector": [round(x, 6) for x in vector.tolist()]} for text, count, vector in zip(TEXTS, tokens, vectors)],
    }
    print(json.dumps(reference, ensure_ascii=False).replace('{"text":', '\n{"text":'))


main()
