#!/usr/bin/env python3
"""Sweeps three templates, three numbers of examples and two temperatures over BIG-Bench Hard and GSM8K with the embedded model.

The server is killed with SIGKILL when half of the answers are there, and started again. What was answered before must not be
asked again, which is counted in the traces. Ends with a table of each sweep and its sentence, as Markdown on standard output.

usage: sweep.py --binary target/release/quarterdeck --data ../shared/data [--items 100] [--search halving|grid] [--only NAME]
                [--folder DIR] [--mirror DIR] [--no-kill]

What came of each sweep lies in the folder too, as NAME-found.json. Sweeps that are there are gone on with, so that a run that was
interrupted can be begun again with the same folder.
"""

import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

MODEL = "smollm2-135m-instruct"
SHOTS = [0, 1, 3]
TEMPERATURES = [0, 0.7]
TEMPLATES = {
    "plain": None,
    "only-answer": "Answer with the answer only.",
    "stepwise": "Think step by step. End with: The answer is X.",
}
# What each task's answers are known by, and how long they may be.
TASKS = {
    "boolean_expressions": ({"kind": "exact_match", "ignore_case": True, "extract": r"(?i)\b(true|false)\b"}, 32),
    "navigate": ({"kind": "exact_match", "ignore_case": True, "extract": r"(?i)\b(yes|no)\b"}, 32),
    "object_counting": ({"kind": "number_match"}, 32),
    "gsm8k": ({"kind": "number_match"}, 160),
}
LOOK_S = 1.0


class House:
    """A data folder, and the server on it."""

    def __init__(self, binary, folder, mirror):
        self.binary, self.folder = pathlib.Path(binary).resolve(), pathlib.Path(folder)
        settings = ["server.address=127.0.0.1:0", "otlp.grpc=false", f"models.defaults={MODEL}", f"models.preload={MODEL}"]
        settings += [f"models.mirror={mirror}"] if mirror else []
        self.settings = [part for setting in settings for part in ("--set", setting)]
        self.server = None

    def start(self):
        log = (self.folder / "server.log").open("ab")
        command = [self.binary, "serve", "--data", self.folder / "data", *self.settings]
        # Threads that wait for each other in a loop take the cores from those that work.
        environment = {"OMP_WAIT_POLICY": "passive", **os.environ}
        self.server = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, env=environment)
        address = self.folder / "data" / "server.json"
        while self.server.poll() is None and not (address.exists() and self.can("model", "list")):
            time.sleep(0.2)
        if self.server.poll() is not None:
            sys.exit(f"the server ended; see {self.folder / 'server.log'}")
        while not self.can("model", "load", MODEL):
            time.sleep(1)

    def kill(self):
        self.server.kill()
        self.server.wait()
        (self.folder / "data" / "server.json").unlink(missing_ok=True)

    def stop(self):
        self.server.terminate()
        self.server.wait()

    def run(self, *words):
        command = [self.binary, "--data", self.folder / "data", "--output", "json", *words]
        return subprocess.run(command, capture_output=True, text=True, cwd=self.folder)

    def can(self, *words):
        return self.run(*words).returncode == 0

    def ask(self, *words):
        done = self.run(*words)
        if done.returncode != 0:
            sys.exit(f"{' '.join(map(str, words))}: {done.stderr.strip()}")
        return json.loads(done.stdout) if done.stdout.strip() else None

    def sql(self, text):
        found = self.ask("sql", text)
        return found["rows"] if isinstance(found, dict) else found


def rows(data, task):
    """The rows of a task: what is asked, and what should be answered."""
    if task == "gsm8k":
        lines = (data / "gsm8k" / "test.jsonl").read_text(encoding="utf-8").splitlines()
        return [{"input": row["question"], "reference": row["answer"]} for row in map(json.loads, lines)]
    examples = json.loads((data / "bbh" / f"{task}.json").read_text(encoding="utf-8"))["examples"]
    return [{"input": row["input"], "reference": row["target"]} for row in examples]


def seed(house, data, tasks):
    for task in tasks:
        file = house.folder / f"{task}.jsonl"
        file.write_text("\n".join(json.dumps(row) for row in rows(data, task)), encoding="utf-8")
        house.ask("dataset", "import", task, file)
    for name, words in TEMPLATES.items():
        system = [{"role": "system", "content": words}] if words else []
        messages = [*system, {"placeholder": "examples"}, {"role": "user", "content": "{{ input }}"}]
        example = [{"role": "user", "content": "{{ input }}"}, {"role": "assistant", "content": "{{ output }}"}]
        prompt = {"messages": messages, "variables": [{"name": "input"}], "examples": {"template": example}, "model": MODEL}
        file = house.folder / f"{name}.json"
        file.write_text(json.dumps(prompt), encoding="utf-8")
        house.ask("prompt", "create", name, "--file", file)


def definition(task, items, search):
    scorer, longest = TASKS[task]
    return {
        "dataset": task, "items": {"limit": items, "seed": 0}, "prompts": list(TEMPLATES), "shots": SHOTS,
        "parameters": {"temperature": TEMPERATURES, "max_tokens": [longest]}, "search": search,
        "scorers": [scorer, {"kind": "latency"}, {"kind": "length", "unit": "tokens"}], "concurrency": 8,
    }


def state(house, task):
    return house.ask("experiment", "show", task)


def sweep(house, task, items, search, kill):
    """Runs one sweep, with a SIGKILL half-way, and gives it as it ends with what the kill did."""
    file = house.folder / f"{task}-sweep.json"
    file.write_text(json.dumps(definition(task, items, search)), encoding="utf-8")
    begun = time.monotonic()
    made = house.ask("experiment", "run", task, "--file", file, "--detach")
    told = {"kept": None}
    while True:
        found = state(house, task)
        done, total = found["report"]["answers"], found["total"] or 0
        if found["state"] not in ("queued", "running"):
            break
        print(f"{task}: {done} of {total or '?'}", file=sys.stderr, flush=True)
        if kill and told["kept"] is None and total and 2 * done >= total:
            told["kept"] = kept(house, made["id"])
            house.kill()
            house.start()
        time.sleep(LOOK_S)
    told["wall_s"] = time.monotonic() - begun
    told.update(counted(house, task, made))
    (house.folder / f"{task}-found.json").write_text(json.dumps({"experiment": found, "told": told}), encoding="utf-8")
    return found, told


def kept(house, experiment):
    return house.sql(f"SELECT count(*) AS n FROM experiment_items WHERE experiment = '{experiment}'")[0]["n"]


def counted(house, task, made):
    """The rows of a sweep, its calls in the traces, and those of one cell about one item that came more than once.

    A call that the kill cut off has no answer: it was made again, and is neither row nor trace before.
    """
    tag = f"experiment:{task}@{made['version']}"
    calls = f"FROM spans WHERE array_has(tags, '{tag}') AND status = 'ok'"
    same = f"SELECT count(*) AS n {calls} GROUP BY array_to_string(tags, ' '), input HAVING count(*) > 1"
    return {
        "rows": kept(house, made["id"]),
        "calls": house.sql(f"SELECT count(*) AS n {calls}")[0]["n"],
        "twice": sum(found["n"] - 1 for found in house.sql(same)),
    }


def points(score):
    if score["mean"] is None:
        return "–"
    return " ".join([f"{100 * score['mean']:.1f}", f"[{100 * score['low']:.1f}, {100 * score['high']:.1f}]"])


def told_of(task, found, told):
    report = found["report"]
    yield f"### {task}\n"
    yield f"{len(report['cells'])} cells, {found['items']} items, {report['answers']} answers in {told['wall_s'] / 60:.1f} minutes; {found['state']}.\n"
    if told["kept"] is not None:
        yield f"Killed with {told['kept']} answers kept. At the end there are {told['rows']} answers and {told['calls']} answered calls in the traces; {told['twice']} calls were answered twice.\n"
    yield "| cell | what | score | items | left after | p50 ms | tokens out |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    for cell in report["cells"]:
        score = cell["scores"][report["metric"]]
        left = cell["left_after"] or ""
        yield f"| {cell['id']} | {cell['label']} | {points(score)} | {score['items']} | {left} | {cell['latency_p50_ms'] or 0:.0f} | {cell['output_tokens'] or 0:.0f} |"
    sentence = report["sentence"].rstrip(".")
    yield f"\n{sentence[:1].upper()}{sentence[1:]}.\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--items", type=int, default=100)
    parser.add_argument("--search", choices=["halving", "grid"], default="halving")
    parser.add_argument("--only", action="append", choices=list(TASKS))
    parser.add_argument("--folder", type=pathlib.Path)
    parser.add_argument("--mirror")
    parser.add_argument("--no-kill", action="store_true")
    wanted = parser.parse_args()
    os.environ.pop("QUARTERDECK_URL", None)
    # Whoever ends this ends the server too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    folder = wanted.folder or pathlib.Path(tempfile.mkdtemp(prefix="sweep-"))
    folder.mkdir(parents=True, exist_ok=True)
    search = {"kind": "grid"} if wanted.search == "grid" else {"kind": "halving", "first_items": 20, "factor": 3}
    tasks = wanted.only or list(TASKS)
    house = House(wanted.binary, folder, wanted.mirror)
    house.start()
    try:
        seed(house, wanted.data.resolve(), tasks)
        for task in tasks:
            found, told = sweep(house, task, wanted.items, search, not wanted.no_kill)
            print("\n".join(told_of(task, found, told)), flush=True)
    finally:
        house.stop()


if __name__ == "__main__":
    main()
