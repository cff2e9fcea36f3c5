"""Enters what three people say of pairs of answers through the API, as a program that asks people would: python annotate.py TESTSET URL KEY

TESTSET is PandaLM's testset-v1.json. Each person asks for items, is shown two answers without a sign of which is which, finds the one that the
set prefers by its text, and says where it stands. The report is compared with annotations.json, and printed.
"""

import json
import sys
import urllib.request

WORDS = {1: "response1", 2: "response2"}


def ask(url, key, method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    request = urllib.request.Request(url + path, data=data, method=method, headers=headers)
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def main():
    testset, url, key = sys.argv[1:]
    reference = json.load(open("annotations.json"))
    rows = json.load(open(testset))[: len(reference["labels"])]
    columns = ["idx", "instruction", "input", "response1", "response2", "cmp_key"]
    ask(url, key, "POST", "/api/v1/datasets/pandalm/rows", {"add": [{name: row[name] for name in columns} for row in rows]})
    definition = {
        "dataset": "pandalm", "sample": {"seed": 7}, "question": "Which response is better?", "show": ["idx", "instruction", "input"],
        "scale": {"kind": "pairwise", "a": "response1", "b": "response2"}, "overlap": {"labels": 3},
    }
    ask(url, key, "POST", "/api/v1/annotations", {"name": "pandalm", "definition": definition})
    by_idx, given = {row["idx"]: row for row in rows}, 0
    for who in ["annotator1", "annotator2", "annotator3"]:
        while item := ask(url, key, "POST", "/api/v1/annotations/pandalm/next", {"annotator": who})["item"]:
            row = by_idx[item["columns"]["idx"]]
            said = row[who]
            # Two answers that are the same text have no order to be found by; they are rare, and then a place is as good as the other.
            value = "tie" if said == 0 else "first" if item["first"] == row[WORDS[said]] else "second"
            ask(url, key, "POST", "/api/v1/annotations/pandalm/labels", {"annotator": who, "item": item["item"], "value": value})
            given += 1
    report = ask(url, key, "GET", "/api/v1/annotations/pandalm/report")
    agreement = report["agreement"]
    told = [agreement["same"]["value"], agreement["alpha"]["value"], *[pair["kappa"]["value"] for pair in agreement["pairs"]]]
    expected = [reference["same"], reference["alpha"], *reference["kappas"]]
    print(json.dumps(report, indent=1))
    print("labels", given, "largest difference", max(abs(a - b) for a, b in zip(told, expected, strict=True)), file=sys.stderr)


main()
