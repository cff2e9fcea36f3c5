"""Reference values for judges: python judges.py > judges.json

Choices are what `get_choice` of the `evals` package makes of an answer. The package asks for much that it does not need for
that, so its file is read, and only the constants and the function are run. Of each text there is a choice for each type
and each way of matching, in the order of both lists.
"""

import ast
import importlib.metadata
import itertools
import json
import logging
import platform
import string
from pathlib import Path

NAMES = {"MATCH_FNS", "INVALID_STR", "get_choice"}


def functions():
    root = importlib.metadata.distribution("evals").locate_file("evals/elsuite/modelgraded/classify_utils.py")
    tree = ast.parse(Path(root).read_text())
    wanted = [
        node
        for node in tree.body
        if (isinstance(node, ast.FunctionDef) and node.name in NAMES)
        or (isinstance(node, ast.Assign) and node.targets[0].id in NAMES)
    ]
    scope = {"string": string, "logging": logging}
    # Annotations name types of the package.
    for node in wanted:
        if isinstance(node, ast.FunctionDef):
            node.returns = None
            for argument in node.args.args:
                argument.annotation = None
    exec(compile(ast.Module(wanted, []), str(root), "exec"), scope)
    return scope


TEXTS = [
    "",
    "   ",
    "Y",
    "N.",
    "\"Y\"",
    "**Y**",
    "Y\nN",
    "N\n\nY\n",
    "Yes",
    "No\n",
    "The answer is Y",
    "The answer is Y, since N is wrong.",
    "First I thought N.\nThen I saw that it is right.\n\nY\nY",
    "It is short.\n(Y)\n...",
    "Reasoning: none\r\nY\r\n",
    "\x1cY\x1d",
    "\u3000Y\u3000",
    "1",
    "10",
    "10\nbecause 1 is too low",
    "I give 5 of 10",
    "A or B",
    "B or A",
    "Answer: (C)",
    "(C) is the best",
    "ABC",
    "y",
    "理由です。\nY",
    "Y。",
    "…\n---\n***\nN",
    "disagree\nagree",
    "I agree",
]
CHOICES = [
    ["Y", "N"],
    ["Yes", "No"],
    ["1", "2", "3", "10"],
    ["A", "B", "C"],
    ["agree", "disagree"],
]


EVAL_TYPES = ["classify", "classify_cot", "cot_classify", "cot_classify_jp"]
MATCH_FNS = ["include", "exact", "endswith", "starts_or_endswith"]


def choices():
    get_choice = functions()["get_choice"]
    logging.disable(logging.CRITICAL)
    for text, strings in itertools.product(TEXTS, CHOICES):
        made = [get_choice(text, eval_type, match_fn, strings) for eval_type in EVAL_TYPES for match_fn in MATCH_FNS]
        yield {"text": text, "choice_strings": strings, "choices": made}


def main():
    versions = {"python": platform.python_version(), "evals": importlib.metadata.version("evals")}
    print(f'{{"versions": {json.dumps(versions)},')
    print(f'"eval_types": {json.dumps(EVAL_TYPES)},')
    print(f'"match_fns": {json.dumps(MATCH_FNS)},')
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in choices())
    print(f'"cases": [\n{lines}\n]}}')


main()
