"""Reference values of bert-score with all-MiniLM-L6-v2: python bert_score.py MODEL_FOLDER > bert_score.json

The pairs are the first of metrics_pairs.json, answers of PandaLM. bert-score itself reads, encodes and compares them, in its own
batches, where what it pads makes similarities below 0 to 0; the folder it gets says beside the model's files how many tokens a text may have, which a tokenizer.json does not.
"""

import csv
import importlib.metadata
import json
import math
import pathlib
import platform
import sys
import tempfile

# This file has the name of the package that it runs.
sys.path.pop(0)
from bert_score import score  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
LAYERS = 6
MOST_PAIRS = 200
# What a baseline is of another model says nothing of this one; any three numbers show the arithmetic.
BASELINE = [0.31, 0.29, 0.3]
# How many pairs are scored, and how. With a baseline bert-score wants a language, from which it would take one of its own.
WAYS = {
    "last": (None, {}),
    "layer_3": (120, {"num_layers": 3}),
    "idf_rescaled": (None, {"idf": True, "rescale_with_baseline": True, "lang": "en"}),
}


def pairs():
    told = json.loads((HERE / "metrics_pairs.json").read_text())
    return [(pair[0], pair[1:]) for pair in told["pairs"][:MOST_PAIRS]]


def folder_of(model, scratch):
    """The model with what says how many tokens a text has at most, and a table of baselines."""
    for file in ["config.json", "tokenizer.json", "model.safetensors"]:
        (scratch / file).symlink_to(model / file)
    limit = json.loads((model / "config.json").read_text())["max_position_embeddings"]
    (scratch / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "BertTokenizerFast", "model_max_length": limit}))
    with (scratch / "baseline.csv").open("w") as file:
        rows = csv.writer(file)
        rows.writerow(["LAYER", "P", "R", "F"])
        rows.writerows([layer, *BASELINE] for layer in range(LAYERS + 1))


def main():
    all_pairs = pairs()
    answers, references = [answer for answer, _ in all_pairs], [references for _, references in all_pairs]
    names = ["bert-score", "torch", "transformers", "tokenizers"]
    told = {"versions": {"python": platform.python_version()} | {name: importlib.metadata.version(name) for name in names}, "layers": LAYERS, "baseline": BASELINE}
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        folder_of(pathlib.Path(sys.argv[1]).resolve(), scratch)
        for name, (count, way) in WAYS.items():
            options = {"model_type": str(scratch), "num_layers": LAYERS, "baseline_path": str(scratch / "baseline.csv"), "device": "cpu"} | way
            scores = zip(*(measure.tolist() for measure in score(answers[:count], references[:count], **options)))
            told[name] = [[None if math.isnan(value) else round(value, 6) for value in values] for values in scores]
    print("{")
    for place, (name, value) in enumerate(told.items()):
        text = "[\n" + ",\n".join(map(json.dumps, value)) + "\n]" if name in WAYS else json.dumps(value)
        print(f'"{name}": {text}' + ("," if place < len(told) - 1 else ""))
    print("}")


main()
