"""How many requests of multiple-choice tasks a second, and the same answers, beside lm-evaluation-harness?

Both sides ask the same model of the same server: ours as a leaderboard, the harness over the endpoint with echoed prompts, as its
own model `gguf` does. QUARTERDECK_BENCH_DATA is the folder with the data sets (gsm8k, truthfulqa, bbh), QUARTERDECK_BENCH_LIMIT the
number of documents of each task at most, QUARTERDECK_BENCH_MODELS which models, QUARTERDECK_BENCH_TASKS which tasks.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import ours
import packages
import product
import report

HERE = pathlib.Path(__file__).resolve().parent
PEER = "lm-eval"
REQUIREMENTS = product.ROOT / "parity/requirements_tasks.txt"
DATA = pathlib.Path(os.environ.get("QUARTERDECK_BENCH_DATA") or product.ROOT / "../shared/data").resolve()
TEST_MODELS = pathlib.Path(os.environ.get("QUARTERDECK_TEST_MODELS") or pathlib.Path.home() / ".cache/quarterdeck/test-models")
CHOICES = ["truthfulqa_mc1", "truthfulqa_mc2"]
TEXTS = ["bbh_zeroshot_boolean_expressions", "bbh_zeroshot_navigate", "bbh_zeroshot_sports_understanding", "gsm8k"]
METRICS = {"truthfulqa_mc1": "acc,none", "truthfulqa_mc2": "acc,none"}
CONCURRENCY = 8
# What the issue asks for.
LIMITS = {"gsm8k": 200}
AIM_SPEED, AIM_SAME, AIM_ERRORS = 3, 0.98, 2


def installed():
    """The harness with what the parity scripts pin, in an environment of its own."""
    return packages.pip_install(PEER, f"--requirement={REQUIREMENTS}") / "python"


def models():
    named = os.environ.get("QUARTERDECK_BENCH_MODELS")
    return named.split(",") if named else ["smollm2-135m-instruct", "gemma-3-270m"]


def bring(server, model):
    """Installs a model: from the test models where it is there, else from where everybody gets it."""
    for verb in ("pull", "load"):
        subprocess.run([*server.command, "model", verb, model], check=True, stdout=sys.stderr)


def run_ours(server, folder, name, model, tasks, limits):
    """A leaderboard of these tasks: seconds from its job's beginning to its end, and what was said."""
    entries = [{"task": task, "metric": metric_of(task), "limit": limits.get(task)} for task in tasks]
    definition = {"tasks": entries, "models": [model], "concurrency": CONCURRENCY, "measure_speed": False, "cache": False}
    file = folder / f"{name}.json"
    file.write_text(json.dumps(definition))
    # The documents become datasets first, so that the time is that of asking.
    ours.command_json(server.command, "leaderboard", "run", f"{name}-first", "--file", file, "--from", DATA, "--limit", "1")
    begun = time.perf_counter()
    page = ours.command_json(server.command, "leaderboard", "run", name, "--file", file)
    seconds = time.perf_counter() - begun
    told = page["report"]["models"][0]
    documents = {task: said(server, name, task, model) for task in tasks}
    return {"seconds": seconds, "report": told, "documents": documents}


def said(server, name, task, model):
    command = [*server.command, "--output", "jsonl", "leaderboard", "documents", name, "--task", task, "--model", model, "--limit", "100000"]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    return [json.loads(line) for line in lines]


def run_theirs(server, folder, python, model, tasks, limits):
    job = {
        "base": server.base, "key": server.key, "model": model, "tasks": tasks, "limits": limits, "data": str(DATA),
        "shipped": str(product.ROOT / "crates/task/tasks"), "concurrency": CONCURRENCY,
    }
    file = folder / "job.json"
    file.write_text(json.dumps(job))
    done = subprocess.run([python, HERE / "peer.py", file], check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def metric_of(task):
    return METRICS.get(task, "exact_match,flexible-extract")


def likeliest(numbers):
    return max(range(len(numbers)), key=numbers.__getitem__)


def same_choices(mine, theirs):
    """The share of documents of which both find the same choice the likeliest."""
    pairs = [(mine[int(at)]["answers"][0]["choices"], entry["said"]) for at, entry in theirs.items()]
    same = [likeliest([c["sum"] for c in a]) == likeliest([float(ll) for ll, _ in b]) for a, b in pairs]
    return sum(same) / len(same)


def same_texts(mine, theirs):
    same = [mine[int(at)]["answers"][0]["texts"][0] == entry["said"][0] for at, entry in theirs.items()]
    return sum(same) / len(same)


def errors_apart(mine, theirs, task):
    """How far the two numbers lie apart, in standard errors of ours."""
    value = float(theirs["numbers"][metric_of(task)])
    apart = abs(mine["value"] - value)
    return 0.0 if apart == 0 else apart / mine["stderr"] if mine["stderr"] else float("inf")


def figures_of(model, mine, theirs, tasks, is_choices):
    figures = []
    for task in tasks:
        told = next(entry for entry in mine["report"]["tasks"] if entry["task"] == task)
        other = theirs["tasks"][task]
        alike = same_choices if is_choices else same_texts
        share = alike(mine["documents"][task], other["documents"])
        report.say(f"{model} {task}: ours {told['value']:.4f} ± {told['stderr'] or 0:.4f}, theirs {other['numbers'][metric_of(task)]}, {share:.1%} the same of {told['documents']}")
        figures.append(report.figure(f"{model}_{task}_same", "share", share, AIM_SAME if is_choices else None))
        figures.append(report.figure(f"{model}_{task}_apart", "stderr", errors_apart(told, other, task), AIM_ERRORS, "lower"))
    kind = "loglikelihood" if is_choices else "generate_until"
    count = theirs["requests"][kind]
    speeds = count / mine["seconds"], count / theirs["seconds"][kind]
    name = f"{model}_{'choices' if is_choices else 'texts'}_s"
    figures.append(report.figure(name, "requests/s", speeds[0], AIM_SPEED if is_choices else None, "higher", PEER, speeds[1]))
    return figures


def main():
    quick = "--quick" in sys.argv[1:]
    most = int(os.environ.get("QUARTERDECK_BENCH_LIMIT") or (10 if quick else 0)) or None
    wanted = os.environ.get("QUARTERDECK_BENCH_TASKS")
    chosen = set(wanted.split(",")) if wanted else {*CHOICES, *TEXTS}
    limits = {task: min(filter(None, [LIMITS.get(task), most]), default=None) for task in CHOICES + TEXTS}
    on = report.machine()
    product.build("--bin", "quarterdeck")
    python = installed()
    if TEST_MODELS.is_dir():
        ours.CONFIG = ours.CONFIG.replace("preload = []", f'preload = []\nmirror = "{TEST_MODELS}"')
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        with ours.server(folder) as server:
            for model in models():
                bring(server, model)
                for is_choices, group in [(True, CHOICES), (False, TEXTS)]:
                    tasks = [task for task in group if task in chosen]
                    if not tasks:
                        continue
                    name = f"{model}-{'choices' if is_choices else 'texts'}"
                    report.say(f"{name}: ours")
                    mine = run_ours(server, folder, name, model, tasks, limits)
                    report.say(f"{name}: {PEER}")
                    theirs = run_theirs(server, folder, python, model, tasks, limits)
                    figures += figures_of(model, mine, theirs, tasks, is_choices)
    report.finish("tasks", figures, on, {PEER: "lm_eval==0.4.13"})


main()
