#!/usr/bin/env python3
"""Compares judges of the embedded model with people: hallucinations on HaluEval, pairs on PandaLM and LLMBar (natural).

Starts the binary with a data folder of its own, imports the data, makes the judges, calibrates them and writes each card as JSON beside a
table of all of them, as Markdown on standard output.

usage: judges.py --binary target/release/quarterdeck --data ../shared/data [--items N] [--only NAME] [--folder DIR] [--mirror DIR]
                 [--model NAME] [--seed N] [--threads N]
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

MODEL = "smollm2-135m-instruct"
HERE = pathlib.Path(__file__).resolve().parent


class House:
    """A data folder, and the server on it."""

    def __init__(self, binary, folder, mirror, model, threads):
        self.binary, self.folder, self.model = pathlib.Path(binary).resolve(), pathlib.Path(folder), model
        settings = ["server.address=127.0.0.1:0", "otlp.grpc=false", f"models.defaults={model}", f"models.preload={model}"]
        settings += [f"models.mirror={mirror}"] if mirror else []
        settings += [f"engine.threads={threads}"] if threads else []
        self.settings = [part for setting in settings for part in ("--set", setting)]
        self.server = None

    def start(self):
        log = (self.folder / "server.log").open("ab")
        command = [self.binary, "serve", "--data", self.folder / "data", *self.settings]
        self.server = subprocess.Popen(command, stdout=log, stderr=log)
        address = self.folder / "data" / "server.json"
        while self.server.poll() is None and not (address.exists() and self.can("model", "list")):
            time.sleep(0.2)
        if self.server.poll() is not None:
            sys.exit(f"the server ended; see {self.folder / 'server.log'}")
        while not self.can("model", "load", self.model):
            time.sleep(1)

    def stop(self):
        self.server.terminate()
        self.server.wait()

    def run(self, *words):
        command = [self.binary, "--data", self.folder / "data", "--output", "json", *map(str, words)]
        return subprocess.run(command, capture_output=True, text=True, cwd=self.folder)

    def can(self, *words):
        return self.run(*words).returncode == 0

    def ask(self, *words):
        done = self.run(*words)
        if done.returncode != 0:
            sys.exit(f"{' '.join(map(str, words))}: {done.stderr.strip()}")
        return json.loads(done.stdout) if done.stdout.strip() else None


def halueval(data):
    lines = (data / "halueval" / "general_data.json").read_text(encoding="utf-8").splitlines()
    rows = map(json.loads, filter(None, lines))
    return [{"id": row["ID"], "question": row["user_query"], "answer": row["chatgpt_response"], "human": row["hallucination"]} for row in rows]


def pandalm(data):
    for row in json.loads((data / "pandalm" / "testset-v1.json").read_text(encoding="utf-8")):
        author_a, author_b = row["cmp_key"].split("_")
        yield {
            "id": str(row["idx"]), "question": "\n\n".join(filter(None, [row["instruction"], row["input"]])),
            "answer_a": row["response1"], "answer_b": row["response2"], "author_a": author_a, "author_b": author_b,
            **{f"annotator{n}": row[f"annotator{n}"] for n in (1, 2, 3)},
        }


def llmbar(data):
    for number, row in enumerate(json.loads((data / "llmbar" / "natural.json").read_text(encoding="utf-8"))):
        yield {"id": str(number), "question": row["input"], "answer_a": row["output_1"], "answer_b": row["output_2"], "human": row["label"]}


PAIR = ["--means", "1=A", "--means", "2=B", "--means", "0=tie"]
# For each data set its rows, its judge, how many items, and what the calibration says of people.
SETS = {
    "halueval": (halueval, ["--file", HERE / "hallucination.yaml"], 200, ["--label", "human"]),
    "pandalm": (pandalm, ["--from", "ready/preference"], 200, ["--label", "annotator1,annotator2,annotator3", "--author", "author_a,author_b", *PAIR]),
    "llmbar": (llmbar, ["--from", "ready/preference"], 100, ["--label", "human", *PAIR]),
}


def calibrate(house, name, data, items, seed):
    """Compares one judge with people, and gives its card with how long that took."""
    rows, source, usual, people = SETS[name]
    file = house.folder / f"{name}.jsonl"
    file.write_text("\n".join(json.dumps(row) for row in rows(data)), encoding="utf-8")
    house.ask("dataset", "import", name, file)
    judge = f"{name}-judge"
    house.ask("judge", "create", judge, *source, "--model", house.model)
    begun = time.monotonic()
    found = house.ask("judge", "calibrate", judge, "--dataset", name, "--limit", items or usual, "--seed", seed, *people)
    (house.folder / f"{name}-card.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return found["card"], time.monotonic() - begun


def shown(stat, unit="plain"):
    if stat is None:
        return "–"
    if stat["value"] is None:
        return f"– ({stat['undefined']})"
    form = {"share": lambda x: f"{100 * x:.1f} %", "plain": lambda x: f"{x:.2f}", "whole": lambda x: f"{x:.0f}"}[unit]
    if stat["low"] is None:
        return form(stat["value"])
    return f"{form(stat['value'])} [{form(stat['low'])}, {form(stat['high'])}]"


def table(cards):
    """Each card is a column."""
    own = lambda card, *path: None if card is None else own(card.get(path[0]), *path[1:]) if path else card
    lines = {
        "items": lambda c: str(c["items"]), "undecided by people": lambda c: str(c["undecided"]),
        "right, of all": lambda c: shown(c["accuracy"]["all"], "share"),
        "right, of those told": lambda c: shown(c["accuracy"]["told"], "share"),
        "always the most common": lambda c: f"{shown(c['accuracy']['base_rate'], 'share')} ({c['accuracy']['most_common']})",
        "right more often than that by": lambda c: shown(c["accuracy"]["gain"], "share"),
        "told": lambda c: shown(c["outcomes"]["told"], "share"),
        "cannot tell": lambda c: shown(c["outcomes"]["cannot_tell"], "share"),
        "no verdict": lambda c: shown(c["outcomes"]["invalid"], "share"),
        "Cohen's kappa": lambda c: shown(c["kappa"]), "weighted kappa": lambda c: shown(c["weighted_kappa"]),
        "Krippendorff's alpha": lambda c: shown(c["alpha"]), "Spearman's ρ": lambda c: shown(c["spearman"]),
        "people among themselves, alpha": lambda c: shown(own(c, "people", "alpha")),
        "order flips": lambda c: shown(own(c, "biases", "order_flips"), "share"),
        "first place": lambda c: shown(own(c, "biases", "first_place")),
        "twice the length: log-odds of pairs, points of scores": lambda c: shown(own(c, "biases", "length")),
        "labels are worth, with ten times as many judged": lambda c: f"{c['worth'][1]['labels']} → {shown(c['worth'][1]['effective_labels'], 'whole')}",
        "p50 ms": lambda c: shown(c["effort"]["latency_p50_ms"], "whole"), "p95 ms": lambda c: shown(c["effort"]["latency_p95_ms"], "whole"),
        "tokens in, out": lambda c: f"{c['effort']['input_tokens']['value']:.0f}, {c['effort']['output_tokens']['value']:.0f}",
    }
    yield "| | " + " | ".join(cards) + " |"
    yield "| --- |" + " --- |" * len(cards)
    for name, of in lines.items():
        yield f"| {name} | " + " | ".join(of(card) for card, _ in cards.values()) + " |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--items", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", choices=list(SETS))
    parser.add_argument("--folder", type=pathlib.Path)
    parser.add_argument("--mirror")
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--threads", type=int)
    wanted = parser.parse_args()
    os.environ.pop("QUARTERDECK_URL", None)
    folder = (wanted.folder or pathlib.Path(tempfile.mkdtemp(prefix="judges-"))).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    house = House(wanted.binary, folder, wanted.mirror, wanted.model, wanted.threads)
    house.start()
    cards = {}
    try:
        for name in wanted.only or list(SETS):
            cards[name] = calibrate(house, name, wanted.data.resolve(), wanted.items, wanted.seed)
            card, wall_s = cards[name]
            print(f"{name}: {card['sentence']}. It took {wall_s / 60:.1f} minutes.\n", flush=True)
    finally:
        house.stop()
    print("\n".join(table(cards)))


if __name__ == "__main__":
    main()
