"""Reference requests and numbers for tasks: python tasks.py SHIPPED [DATA] > tasks.json

lm-evaluation-harness builds the requests of a few tasks, a model without a network answers each from a hash of its text, and
the harness scores the answers: for the files in SHIPPED (crates/task/tasks), with `!function` from the harness's own
folders, over a few documents that stand in the output. DATA is a folder with the data sets as their authors published them
(bbh, gsm8k, truthfulqa); without it the documents are those of the committed tasks.json.
"""

import contextlib
import csv
import hashlib
import importlib.metadata
import json
import os
import pathlib
import shutil
import sys
import tempfile

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", DISABLE_MULTIPROC="1", LMEVAL_LOG_LEVEL="ERROR")

import lm_eval
import yaml
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

# Two generators' worth for one task; few elsewhere, since the harness takes a tenth of a second for one F1 of scikit-learn.
RESAMPLES = {"own_last_word": 2000}
FEW_RESAMPLES = 30
WHOLE_SAMPLES = 2

BBH = ["date_understanding", "object_counting", "sports_understanding", "word_sorting"]

ARTICLES = [
    " = Robert = \n\n Robert is an English actor . He had a role in the series The Bill ( 2000 ) , and in \" Herons \" .\n",
    " = A @-@ B = \n\n It weighs 1 @,@ 500 kg , or 3 @.@ 3 tons ; it 's old .\n The N team ' s 2 ° heat .\n",
    "One word",
    " = = Notes = = \n\n Größe : 中文 字 [ 1 ] { x } ' q ' ! Why ? \n\n",
]

# Small tasks of our own for what the shipped ones do not use. {F} is where files of documents lie.
WRITTEN = {
    "own_rolling": """
output_type: loglikelihood_rolling
test_split: test
doc_to_text: ""
doc_to_target: text
""",
    "own_last_word": """
output_type: loglikelihood
test_split: test
doc_to_text: "{{text.split(' ')[:-1]|join(' ')}}"
doc_to_target: "{{' '+text.split(' ')[-1]}}"
metric_list: [{metric: perplexity, aggregation: perplexity, higher_is_better: false}, {metric: acc, aggregation: mean, higher_is_better: true}]
""",
    # Numbers as targets, choices from a mapping, a description, examples from the same split without the document itself.
    "own_classes": """
output_type: multiple_choice
test_split: test
description: "Say yes or no about {{topic}}."
doc_to_text: "{{question}}?"
doc_to_target: label
doc_to_choice: {a: "no", b: "yes"}
fewshot_split: test
num_fewshot: 3
metric_list:
  - metric: acc
  - metric: acc_norm
  - metric: acc_bytes
  - metric: exact_match
  - metric: f1
  - metric: mcc
  - metric: brier_score
  - metric: acc_mutual_info
""",
    # As above with the first examples, other delimiters and a beginning of the answer.
    "own_first": """
output_type: multiple_choice
test_split: test
doc_to_text: "{{question}}?"
doc_to_target: "{{['no', 'yes'][label]}}"
doc_to_choice: "{{['no', 'yes']}}"
fewshot_split: test
fewshot_delimiter: "\\n--\\n"
target_delimiter: "\\t"
gen_prefix: "Answer:"
fewshot_config: {sampler: first_n, doc_to_text: "{{question}} ({{topic}})?", target_delimiter: " -> "}
num_fewshot: 2
""",
    # Each choice is a context, as Winogrande asks.
    "own_inputs": """
output_type: multiple_choice
test_split: test
training_split: train
doc_to_text: label
doc_to_target: "{{topic}}"
doc_to_choice: "{{[question + ' no', question + ' yes']}}"
num_fewshot: 1
""",
    # Several targets, several answers, a vote.
    "own_votes": """
output_type: generate_until
validation_split: test
doc_to_text: "Q: {{question}} "
doc_to_target: "{{[topic, 'The answer is ' ~ label]}}"
repeats: 3
num_fewshot: 4
generation_kwargs: {until: "\\n", do_sample: true, temperature: 0.7, max_gen_toks: 16}
filter_list:
  - {name: vote, filter: [{function: remove_whitespace}, {function: majority_vote}, {function: take_first}]}
  - {name: map, filter: [{function: lowercase}, {function: map, mapping_dict: {"yes": cats, "no": dogs}, default_value: none of them}, {function: take_first}]}
  - {name: second, filter: [{function: uppercase}, {function: take_first_k, k: 2}, {function: regex, regex_pattern: "IS ([0-9]+)|(YES)", group_select: -1, fallback: nothing}, {function: take_first}]}
metric_list: [{metric: exact_match, ignore_case: true, ignore_punctuation: true, ignore_numbers: false}]
""",
    # The letter of a choice from its words.
    "own_letters": """
output_type: generate_until
test_split: test
doc_to_text: "{{question}}"
doc_to_target: "{{'(A)' if label == 0 else '(B)'}}"
filter_list:
  - name: letters
    filter:
      - {function: multi_choice_regex, regex_pattern: "(\\\\([A-Z]\\\\))", group_select: 0, ignore_case: true, ignore_punctuation: true, regexes_to_ignore: ["really "]}
      - {function: take_first}
""",
}
GROUP = """
group: own_group
task: [own_classes, {task: own_first, num_fewshot: 1}]
aggregate_metric_list:
  - {metric: acc, weight_by_size: true}
  - {metric: acc_norm, weight_by_size: false, filter_list: none}
"""


def truthfulqa(path, count):
    def split(answers):
        return [answer.strip() for answer in answers.split(";") if answer.strip()]

    documents = []
    with open(path, newline="", encoding="utf-8") as file:
        for row in list(csv.DictReader(file))[:count]:
            right, wrong = split(row["Correct Answers"]), split(row["Incorrect Answers"])
            targets = lambda right: {"choices": right + wrong, "labels": [1] * len(right) + [0] * len(wrong)}
            documents.append({
                "question": row["Question"].strip(), "mc1_targets": targets([row["Best Answer"].strip()]), "mc2_targets": targets(right),
            })
    return documents


def own_documents():
    topics = ["cats", "dogs", "größe", "中文 字"]
    rows = []
    for index in range(14):
        label = (index * 7 + 3) % 5 % 2
        rows.append({
            "question": f"Is it so, number {index}", "topic": topics[index % 4], "label": label,
            "choices": ["No way", "No way, really: never"] if index % 2 else ["yes", "No!"],
        })
    # Copies of a document, so that leaving it out leaves too few.
    return rows + [dict(rows[3]), dict(rows[3])]


def documents(data):
    if data is None:
        return json.loads(pathlib.Path(__file__).with_name("tasks.json").read_text())["documents"]
    lines = lambda name, count: [json.loads(line) for line in (data / "gsm8k" / name).read_text().splitlines()[:count]]
    found = {
        "gsm8k/test": lines("test.jsonl", 8), "gsm8k/train": lines("train.jsonl", 30),
        "truthfulqa/validation": truthfulqa(data / "truthfulqa" / "TruthfulQA.csv", 12),
        "wikitext/test": [{"page": page} for page in ARTICLES],
        "texts/test": [{"text": page} for page in ARTICLES] + [{"text": "the cat sat on the mat"}, {"text": "naïve  café"}],
        "own/test": own_documents(), "own/train": own_documents()[::-1][:9],
    }
    for name in BBH:
        found[f"bbh_{name}/test"] = json.loads((data / "bbh" / f"{name}.json").read_text())["examples"][:10]
    return found


# A task's name, the task it includes, and its documents by split.
TASKS = [
    ("gsm8k", "gsm8k/gsm8k.yaml", {"test": "gsm8k/test", "train": "gsm8k/train"}),
    ("gsm8k_cot", "gsm8k/gsm8k-cot.yaml", {"test": "gsm8k/test"}),
    ("truthfulqa_mc1", "truthfulqa/truthfulqa_mc1.yaml", {"validation": "truthfulqa/validation"}),
    ("truthfulqa_mc2", "truthfulqa/truthfulqa_mc2.yaml", {"validation": "truthfulqa/validation"}),
    ("wikitext", "wikitext/wikitext.yaml", {"train": "wikitext/test", "validation": "wikitext/test", "test": "wikitext/test"}),
    *[(f"bbh_zeroshot_{name}", f"bbh/zeroshot/{name}.yaml", {"test": f"bbh_{name}/test"}) for name in BBH],
    *[(f"bbh_cot_fewshot_{name}", f"bbh/cot_fewshot/{name}.yaml", {"test": f"bbh_{name}/test"}) for name in BBH[:2]],
]
OWN = {name: {"test": "own/test", "train": "own/train"} for name in WRITTEN}
OWN.update(own_rolling={"test": "texts/test"}, own_last_word={"test": "texts/test"})


def hashed(*parts):
    return int.from_bytes(hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).digest()[:6], "big")


class Stub(LM):
    """Answers from hashes of what it is asked, some of them near what is right; keeps all it was asked."""

    def __init__(self, texts):
        super().__init__()
        self.texts, self.calls = texts, {}

    def apply_chat_template(self, messages, add_generation_prompt=True):
        return json.dumps([messages, add_generation_prompt], ensure_ascii=False)

    @property
    def tokenizer_name(self):
        return "none"

    def loglikelihood(self, requests, disable_tqdm=False):
        values = [hashed(*request.args) for request in requests]
        return [(-(value % 400_000) / 10_000, value % 3 == 0) for value in values]

    def loglikelihood_rolling(self, requests, disable_tqdm=False):
        return [-(hashed(*request.args) % 900_000) / 1_000 for request in requests]

    def generate_until(self, requests, disable_tqdm=False):
        answers = []
        for request in requests:
            key = request.task_name, request.args[0]
            repeat = self.calls[key] = self.calls.get(key, -1) + 1
            value = hashed(request.args[0], repeat)
            answers.append(self.texts(request, value))
        return answers


def texts(request, value):
    """A text for a request: one of many forms, some with the right answer in them."""
    target = request.doc.get("target") or request.doc.get("answer") or request.doc.get("topic") or ""
    last = target.split("#### ")[-1]
    number = ["7", "1,234.", "-3.5", "$40", "twenty-one", "two hundred and five", "thousand hundred thousand", "none"][value // 7 % 8]
    words = request.doc.get("input", "").split("List:")[-1].split()
    forms = [
        f" So the answer is {last}.\n\nQ:", f" The answer is {last}. I think. #### {last}", f"#### {number}\nmore", f" {last}", f"The answer is {number}.",
        f"It is {number}, or 12, and \\boxed{{5}}.", "", "No, it is not plausible: yes", "(B) or (A)", ": C", "no way, really never; NO!", f" {target} \n",
        " ".join(words[::-1] + words[:2]), "The answer is 1", "yes", f"the answer is {last} ", "07/14/1938 Answer: B",
    ]
    return forms[value % len(forms)]


def sha(value):
    return hashlib.sha256(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()).hexdigest()[:16]


def plain_request(args):
    """A request as both sides write it: texts only, and what is said about generating."""
    if len(args) == 2 and isinstance(args[1], dict):
        how = args[1]
        until = how["until"] if isinstance(how["until"], list) else [how["until"]]
        return [args[0], until, how.get("max_gen_toks"), float(how.get("temperature", 0.0))]
    return list(args)


def plain_response(response):
    return [response[0], bool(response[1])] if isinstance(response, tuple) else response


def in_document_order(samples):
    first = samples[0]["filter"]
    return [sample for sample in samples if sample["filter"] == first]


def told(result, name):
    samples = in_document_order(result["samples"][name])
    requests = [[plain_request(args) for args in sample["arguments"]] for sample in samples]
    numbers = {
        key: value for key, value in result["results"][name].items()
        if "," in key and isinstance(value, (int, float)) or value == "N/A"
    }
    return {
        "whole_requests": requests[:WHOLE_SAMPLES], "requests": [sha(request) for request in requests],
        "answers": [[[plain_response(r) for r in responses] for responses in sample["resps"]] for sample in samples],
        "numbers": numbers,
        "filtered": {
            sample["filter"]: [s["filtered_resps"][0] for s in result["samples"][name] if s["filter"] == sample["filter"]]
            for sample in result["samples"][name]
        } if isinstance(samples[0]["resps"][0][0], str) else None,
    }


def write_files(folder, shipped, found):
    """The shipped files with the harness's functions beside them, and a file for each task that names its documents."""
    shutil.copytree(shipped, folder / "tasks")
    installed = pathlib.Path(lm_eval.__file__).parent / "tasks"
    for part, name in [("truthfulqa", "utils.py"), ("hellaswag", "utils.py"), ("wikitext", "preprocess_wikitext.py"), ("bbh/zeroshot", "utils.py"), ("bbh/cot_zeroshot", "utils.py")]:
        shutil.copy(installed / part / name, folder / "tasks" / part / name)
    (folder / "data").mkdir()
    for name, rows in found.items():
        lines = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "data" / f"{name.replace('/', '-')}.jsonl").write_text(lines)
    files, sources = {}, {}
    for name, included, splits in TASKS:
        files[f"{name}.yaml"] = f"include: tasks/{included}\ntask: run_{name}\ntag: run\n"
        sources[f"run_{name}"] = splits
    for name, text in WRITTEN.items():
        files[f"{name}.yaml"] = f"task: {name}\n{text.lstrip()}"
        sources[name] = OWN[name]
    for name, text in files.items():
        splits = sources[("run_" if text.startswith("include") else "") + name.removesuffix(".yaml")]
        paths = {split: str(folder / "data" / f"{rows.replace('/', '-')}.jsonl") for split, rows in splits.items()}
        local = yaml.safe_dump({"dataset_path": "json", "dataset_name": None, "dataset_kwargs": {"data_files": paths}})
        (folder / name).write_text(text + local)
    (folder / "group.yaml").write_text(GROUP)
    files["group.yaml"] = GROUP
    return files, sources


def run(manager, names, resamples=FEW_RESAMPLES, **how):
    with contextlib.redirect_stdout(sys.stderr):
        return lm_eval.simple_evaluate(
            model=Stub(texts), tasks=names, task_manager=manager, bootstrap_iters=resamples, log_samples=True, **how
        )


def main() -> None:
    shipped = pathlib.Path(sys.argv[1])
    found = documents(pathlib.Path(sys.argv[2]) if len(sys.argv) > 2 else None)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["HF_HOME"] = f"{folder}/cache"
        folder = pathlib.Path(folder)
        files, sources = write_files(folder, shipped, found)
        manager = TaskManager(include_path=str(folder), include_defaults=False)
        plain = run(manager, [name for name in sources if name not in RESAMPLES])
        resampled = {name: run(manager, [name], resamples) for name, resamples in RESAMPLES.items()}
        group = run(manager, ["own_group"])
        chat = {
            form: run(manager, ["own_first", "own_classes", "own_votes", "own_inputs"], apply_chat_template=True, fewshot_as_multiturn=turns,
                      system_instruction="Be brief.", num_fewshot=2, limit=3, fewshot_random_seed=99)
            for form, turns in [("turns", True), ("one_turn", False)]
        }
    output = {
        "versions": {name: importlib.metadata.version(name) for name in ("lm_eval", "datasets", "scikit-learn")},
        "resamples": {name: RESAMPLES.get(name, FEW_RESAMPLES) for name in sources}, "documents": found, "files": files, "sources": sources,
        "tasks": {name: told(resampled.get(name, plain), name) for name in sources},
        "group": {key: value for key, value in group["groups"]["own_group"].items() if "," in key},
        "group_answers": {name: told(group, name)["answers"] for name in group["samples"]},
        "chat": {form: {name: told(result, name) for name in result["samples"]} for form, result in chat.items()},
    }
    for task in [*output["tasks"].values()]:
        task["numbers"] = dict(sorted(task["numbers"].items()))
    lines = []
    for name, value in output.items():
        if name in ("documents", "tasks", "files"):
            rows = ",\n".join(f"{json.dumps(key)}: {json.dumps(row, ensure_ascii=False)}" for key, row in value.items())
            lines.append(f'"{name}": {{\n{rows}\n}}')
        else:
            lines.append(f'"{name}": {json.dumps(value, ensure_ascii=False)}')
    print("{" + ",\n".join(lines) + "}")


main()
