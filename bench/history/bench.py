"""How soon are answers over 10 million spans of 30 days: overview, list, trace, search, and deleting a user?

The aims are absolute; there is no peer. The spans come in through OTLP, made from a seed. See README.md.
"""

import argparse
import json
import pathlib
import random
import statistics
import subprocess
import tempfile
import time

import ours
import process
import product
from report import figure, finish, machine, say

SPANS = 10_000_000
QUICK_SPANS = 1_000_000
DAYS = 30
BATCH_SPANS = 512
SEED = 1


def fill(server, spans):
    """Spans that begin evenly over the days until now, and how many a second were taken."""
    now = time.time_ns()
    span = {"from_ns": now - DAYS * 86_400 * 10**9, "until_ns": now}
    requests = -(-spans // BATCH_SPANS)
    sent = ours.export(f"{server.base}/v1/traces", [f"authorization: Bearer {server.key}"], requests=requests, spans=BATCH_SPANS, seed=SEED, **span)
    if sent["acknowledged"] != requests:
        raise RuntimeError(f"not everything was taken: {sent}")
    say(f"{sent['acknowledged_spans']} spans in {sent['seconds']:.0f} s, {sent['spans_per_s']:.0f} a second")
    process.wait_until_idle(server.pid, limit_s=1800)
    return sent, span


class Chooser:
    """Traces, words and users to ask for, drawn from what is there."""

    def __init__(self, server, span):
        self.random = random.Random(SEED)
        self.server, self.span = server, span
        self.calls = [self.call() for _ in range(30)]

    def call(self):
        """A call of a model from anywhere in the 30 days, with the text of its question."""
        at = self.random.randrange(self.span["from_ns"], self.span["until_ns"])
        listed, _ = self.server.get("/api/v1/traces", limit=1, to=rfc3339(at))
        trace = listed["data"][0]["trace_id"]
        detail, _ = self.server.get(f"/api/v1/traces/{trace}")
        text = json.dumps(detail)
        begin = text.index("order ")
        return {"trace": trace, "words": text[begin : begin + 120].split()}

    def question(self, kind):
        call = self.random.choice(self.calls)
        order, words = call["words"][1], call["words"][2:8]
        return {"rare": order, "phrase": " ".join(words[:3]), "word": words[0]}[kind]


def rfc3339(nanos):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(nanos / 1e9))


def times(repeats, ask):
    """Median and worst of so many askings, in milliseconds."""
    took = [ask(number)[1] for number in range(repeats)]
    return {"median": statistics.median(took), "worst": max(took)}


def ask_all(server, span, repeats):
    chooser = Chooser(server, span)
    month = {"from": rfc3339(span["from_ns"]), "to": rfc3339(span["until_ns"])}
    results = {
        "overview": times(repeats, lambda _: server.get("/api/v1/overview", **month)),
        "list": times(repeats, lambda _: server.get("/api/v1/traces", limit=50)),
        "trace": times(repeats, lambda number: server.get(f"/api/v1/traces/{chooser.calls[number % 30]['trace']}")),
    }
    for kind in ("rare", "phrase", "word"):
        results[kind] = times(repeats, lambda _, kind=kind: found(server, chooser.question(kind), month))
    for name, took in results.items():
        say(f"{name}: {took['median']:.0f} ms, at the worst {took['worst']:.0f}")
    return results


def found(server, text, month):
    """A page of a search over all the time; every text asked for is there."""
    listed, took = server.get("/api/v1/traces", limit=50, text=text, **month)
    if not listed["data"]:
        raise RuntimeError(f"{text!r} was not found")
    return listed, took


def delete_user(server, user, limit_s=1800):
    """How long until the rows of a user are hidden for good, and until their bytes are off the disk, in milliseconds."""
    begin = time.monotonic()
    erased, hidden_ms = server.ask("DELETE", f"/api/v1/users/{user}")
    listed, _ = server.get("/api/v1/traces", limit=1, user=user)
    if listed["data"] or not erased["rows"]:
        raise RuntimeError(f"deleting {user} hid {erased['rows']} rows, and {len(listed['data'])} traces are shown")
    state = "queued"
    while state in ("queued", "running"):
        if time.monotonic() - begin > limit_s:
            raise RuntimeError(f"{user} was not off the disk after {limit_s} s")
        time.sleep(0.5)
        job, _ = server.get(f"/api/v1/jobs/{erased['job']['id']}")
        state = job["state"]
    if state != "succeeded":
        raise RuntimeError(f"the job that deletes {user} ended as {state}: {job}")
    say(f"deleting {erased['rows']} rows of {erased['traces']} traces: hidden in {hidden_ms:.0f} ms")
    return {"hidden_ms": hidden_ms, "gone_ms": (time.monotonic() - begin) * 1000}


def disk_bytes(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def measure(spans, repeats, folder):
    with ours.server(folder) as server:
        sent, span = fill(server, spans)
        fill_peak = process.peak_mib(server.pid)
        process.forget_peak(server.pid)
        results = ask_all(server, span, repeats)
        return results | {
            "sent": sent,
            "fill_peak_mib": fill_peak,
            "peak_mib": process.peak_mib(server.pid),
            "bytes_per_span": disk_bytes(folder / "data") / sent["acknowledged_spans"],
            "deletion": delete_user(server, "user-00042"),
        }


def figures(run):
    searches = [run[kind]["median"] for kind in ("rare", "phrase", "word")]
    return [
        figure("overview_30_days_ms", "ms", run["overview"]["median"], 300, "lower"),
        figure("list_page_ms", "ms", run["list"]["median"], 100, "lower"),
        figure("trace_lookup_ms", "ms", run["trace"]["median"], 100, "lower"),
        figure("search_median_ms", "ms", statistics.median(searches), 1000, "lower"),
        figure("search_rare_ms", "ms", run["rare"]["median"], None, "lower"),
        figure("search_phrase_ms", "ms", run["phrase"]["median"], None, "lower"),
        figure("search_word_ms", "ms", run["word"]["median"], None, "lower"),
        figure("delete_user_hidden_ms", "ms", run["deletion"]["hidden_ms"], 1000, "lower"),
        figure("delete_user_off_disk_ms", "ms", run["deletion"]["gone_ms"], None, "lower"),
        figure("peak_memory_of_queries", "MiB", run["peak_mib"], 1024, "lower"),
        figure("peak_memory_of_filling", "MiB", run["fill_peak_mib"], 1024, "lower"),
        figure("durable_spans_s", "spans/s", run["sent"]["spans_per_s"], None, "higher"),
        figure("disk_bytes_per_span", "bytes", run["bytes_per_span"], None, "lower"),
        figure("spans", "spans", run["sent"]["acknowledged_spans"], None, "higher"),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the spans, under three minutes")
    quick = parser.parse_args().quick
    product.build("--bin", "quarterdeck", "--bin", "qd-bench")
    on = machine()
    with tempfile.TemporaryDirectory(prefix="bench-history-", dir=product.target()) as folder:
        run = measure(QUICK_SPANS if quick else SPANS, 7 if quick else 21, pathlib.Path(folder))
    rust = subprocess.run(["rustc", "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    finish("history", figures(run), on, {"rustc": rust})


if __name__ == "__main__":
    main()
