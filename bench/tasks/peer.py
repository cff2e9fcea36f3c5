"""lm-evaluation-harness over an OpenAI-compatible endpoint: python peer.py JOB > RESULT

JOB is a JSON file: the endpoint with its key, the model, tasks, how many documents of each, where the shipped task files and the data
sets lie, and how many requests are under way at once. The harness's own model `gguf` makes the requests, which needs no tokenizer:
one echoed prompt for each choice. RESULT has for each task its numbers and for each document what was said.
"""

import concurrent.futures
import contextlib
import csv
import json
import os
import pathlib
import shutil
import sys
import tempfile
import time

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", DISABLE_MULTIPROC="1", LMEVAL_LOG_LEVEL="ERROR")

import lm_eval
import requests
import yaml
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

FUNCTIONS = [("truthfulqa", "utils.py"), ("hellaswag", "utils.py"), ("wikitext", "preprocess_wikitext.py"), ("bbh/zeroshot", "utils.py"), ("bbh/cot_zeroshot", "utils.py")]


class Endpoint(LM):
    """What `lm_eval/models/gguf.py` asks, several requests at once, with a key and a model's name."""

    def __init__(self, job):
        super().__init__()
        self.job, self.seconds, self.counts = job, {}, {}
        self.session = requests.Session()
        self.session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=job["concurrency"]))
        self.session.headers["authorization"] = f"Bearer {job['key']}"

    def ask(self, body):
        answer = self.session.post(f"{self.job['base']}/v1/completions", json={"model": self.job["model"], "temperature": 0.0, **body}, timeout=3600)
        answer.raise_for_status()
        return answer.json()["choices"][0]

    def timed(self, kind, one, asked):
        begun = time.perf_counter()
        with concurrent.futures.ThreadPoolExecutor(self.job["concurrency"]) as pool:
            found = list(pool.map(one, asked))
        self.seconds[kind] = self.seconds.get(kind, 0) + time.perf_counter() - begun
        self.counts[kind] = self.counts.get(kind, 0) + len(asked)
        return found

    def loglikelihood(self, requests, disable_tqdm=False):
        def one(request):
            context, continuation = request.args
            choice = self.ask({"prompt": context + continuation, "max_tokens": 1, "echo": True, "logprobs": 5})
            return measured(choice["logprobs"], len(context), len(context + continuation))

        return self.timed("loglikelihood", one, requests)

    def loglikelihood_rolling(self, requests, disable_tqdm=False):
        raise NotImplementedError

    def generate_until(self, requests, disable_tqdm=False):
        def one(request):
            prompt, how = request.args
            # The harness's 256 where the task says nothing.
            return self.ask({"prompt": prompt, "stop": how["until"], "max_tokens": how.get("max_gen_toks", 256)})["text"]

        return self.timed("generate_until", one, requests)


def measured(logprobs, begin, end):
    """As `get_result` there, which takes it for granted that one token was generated: none is when the likeliest ends the text."""
    places = [place for place, offset in enumerate(logprobs["text_offset"]) if begin <= offset < end]
    likeliest = lambda place: max(logprobs["top_logprobs"][place].items(), key=lambda item: item[1])[0]
    is_greedy = all(likeliest(place) == logprobs["tokens"][place] for place in places)
    return sum(logprobs["token_logprobs"][place] for place in places), is_greedy


def truthfulqa(path):
    split = lambda answers: [answer.strip() for answer in answers.split(";") if answer.strip()]
    rows = []
    for row in csv.DictReader(path.open(encoding="utf-8-sig", newline="")):
        right, wrong = split(row["Correct Answers"]), split(row["Incorrect Answers"])
        targets = lambda right: {"choices": right + wrong, "labels": [1] * len(right) + [0] * len(wrong)}
        rows.append({"question": row["Question"].strip(), "mc1_targets": targets([row["Best Answer"].strip()]), "mc2_targets": targets(right)})
    return rows


def documents(data, task):
    lines = lambda name: [json.loads(line) for line in (data / "gsm8k" / name).read_text(encoding="utf-8").splitlines()]
    if task.startswith("truthfulqa"):
        return f"truthfulqa/{task}.yaml", {"validation": truthfulqa(data / "truthfulqa" / "TruthfulQA.csv")}
    if task == "gsm8k":
        return "gsm8k/gsm8k.yaml", {"test": lines("test.jsonl"), "train": lines("train.jsonl")}
    name = task.removeprefix("bbh_zeroshot_")
    return f"bbh/zeroshot/{name}.yaml", {"test": json.loads((data / "bbh" / f"{name}.json").read_text(encoding="utf-8"))["examples"]}


def write_files(folder, job):
    """The shipped files with the harness's functions beside them, and a file for each task that names its documents."""
    shutil.copytree(job["shipped"], folder / "tasks")
    installed = pathlib.Path(lm_eval.__file__).parent / "tasks"
    for part, name in FUNCTIONS:
        shutil.copy(installed / part / name, folder / "tasks" / part / name)
    (folder / "data").mkdir()
    for task in job["tasks"]:
        included, splits = documents(pathlib.Path(job["data"]), task)
        paths = {}
        for split, rows in splits.items():
            paths[split] = str(folder / "data" / f"{task}-{split}.jsonl")
            pathlib.Path(paths[split]).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        local = {"include": f"tasks/{included}", "task": f"run_{task}", "dataset_path": "json", "dataset_name": None, "dataset_kwargs": {"data_files": paths}}
        (folder / f"{task}.yaml").write_text(yaml.safe_dump(local))


def told(result, task):
    """The numbers of a task, and for each document what was said and what it was worth after each filter."""
    numbers = {key: value for key, value in result["results"][f"run_{task}"].items() if "," in key}
    found = {}
    for sample in result["samples"][f"run_{task}"]:
        said = [response[0] if isinstance(response, list) else response for response in sample["resps"]]
        entry = found.setdefault(sample["doc_id"], {"said": said, "measures": {}})
        entry["measures"][sample["filter"]] = {metric: sample[metric] for metric in sample["metrics"]}
    return {"numbers": numbers, "documents": found}


def main():
    job = json.loads(pathlib.Path(sys.argv[1]).read_text())
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HF_HOME"] = f"{folder}/cache"
        folder = pathlib.Path(folder)
        write_files(folder, job)
        manager = TaskManager(include_path=str(folder), include_defaults=False)
        results, model = {}, Endpoint(job)
        for task in job["tasks"]:
            with contextlib.redirect_stdout(sys.stderr):
                result = lm_eval.simple_evaluate(
                    model=model, tasks=[f"run_{task}"], task_manager=manager, bootstrap_iters=100, log_samples=True, limit=job["limits"].get(task)
                )
            results[task] = told(result, task)
    print(json.dumps({"tasks": results, "seconds": model.seconds, "requests": model.counts}, default=str))


main()
