"""The few lines of WordNet 3.0 that the words of metrics.py need: python wordnet_cut.py WORDNET_FOLDER OUTPUT_FOLDER

Lines are as Princeton wrote them, but for what follows the words of a synset: pointers and glosses are left out. The files
begin with WordNet's licence, which asks for that.
"""

import ast
import pathlib
import sys

PARTS = ["noun", "verb", "adj", "adv"]


def words():
    """WORDS of metrics.py, without what that imports."""
    tree = ast.parse((pathlib.Path(__file__).parent / "metrics.py").read_text())
    (found,) = [node.value for node in tree.body if isinstance(node, ast.Assign) and node.targets[0].id == "WORDS"]
    return set(found.func.value.value.split())


def main():
    source, output = map(pathlib.Path, sys.argv[1:3])
    output.mkdir(exist_ok=True)
    wanted = {word.lower() for word in words()}
    # More base forms than there are do no harm: endings taken off and put on as any part of speech does.
    endings = ["", "s", "es", "ses", "ves", "xes", "zes", "ches", "shes", "men", "ies", "ed", "ing", "er", "est"]
    others = ["", "s", "f", "x", "z", "ch", "sh", "man", "y", "e"]
    forms = {word[: len(word) - len(ending)] + other for word in wanted for ending in endings if word.endswith(ending) for other in others}
    for part in PARTS:
        lines = (source / f"data.{part}").read_text().splitlines()
        licence = [line for line in lines if line.startswith("  ")]
        exceptions = [line for line in (source / f"{part}.exc").read_text().splitlines() if line.split()[0] in wanted]
        bases = forms | {base for line in exceptions for base in line.split()[1:]}
        index = [line for line in (source / f"index.{part}").read_text().splitlines() if line.split(" ")[0] in bases]
        places = {place for line in index for place in line.split() if len(place) == 8 and place.isdigit()}
        data = [line for line in lines if line[:8] in places]
        (output / f"{part}.exc").write_text("".join(f"{line}\n" for line in exceptions))
        (output / f"index.{part}").write_text("".join(f"{line.rstrip()}\n" for line in licence + index))
        (output / f"data.{part}").write_text("".join(f"{line.rstrip()}\n" for line in licence + [cut(line) for line in data]))


def cut(line):
    fields = line.split(" ")
    count = int(fields[3], 16)
    return " ".join(fields[: 4 + 2 * count]) + " 000 |"


main()
