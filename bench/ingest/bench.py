"""How many spans a second are taken to stay, beside Phoenix and MLflow, and what is left for queries and in overload?

The same exporters send the same traces to one after the other, all on this machine. See README.md.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile
import threading
import time

import ours
import peers
import process
import product
from report import figure, finish, machine, say

# What OpenTelemetry's batch processor sends at once, unless told otherwise.
BATCH_SPANS = 512
CONNECTIONS = 4
# As many spans a second as we aim to take; queries are asked under this load, and under the highest.
AIMED_SPANS_S = 40_000
# So many requests are more than the memory for them holds, so some are refused.
OVERLOAD_CONNECTIONS = 512
# Calls through the gateway beside an overload: as many a second as a busy team makes, and what the stub takes for one.
CALLS_S = 100
CALL_MS = 20


class Plan:
    """How much and how long."""

    def __init__(self, quick):
        self.our_spans = 500_000 if quick else 2_000_000
        self.peer_spans = {"phoenix": 1_024 if quick else 2_048, "mlflow": 2_048 if quick else 8_192}
        self.queries = 7 if quick else 21
        self.loaded_seconds = 15 if quick else 30
        self.overload_seconds = 15 if quick else 60
        self.calm_seconds = 5 if quick else 20


def take(taker, spans):
    """Sends so many spans and waits until they are stored: how fast, and what it cost."""
    requests = -(-spans // BATCH_SPANS)
    # The first request finds nothing warm, and is not counted.
    ours.export(taker.url, taker.headers, requests=1, spans=BATCH_SPANS, connections=1, first=1_000_000_000)
    peers.wait_until_stored(taker, BATCH_SPANS)
    process.forget_peak(taker.pid)
    cpu, begin = process.cpu_seconds(taker.pid), time.monotonic()
    sent = ours.export(taker.url, taker.headers, requests=requests, spans=BATCH_SPANS, connections=CONNECTIONS)
    acknowledged = time.monotonic() - begin
    if sent["failed"] or sent["given_up"]:
        raise RuntimeError(f"{taker.name} failed: {sent}")
    peers.wait_until_stored(taker, BATCH_SPANS + requests * BATCH_SPANS)
    # Ours says so by the acknowledgement itself, and counting would be part of the time.
    seconds = acknowledged if taker.server else time.monotonic() - begin
    taken = requests * BATCH_SPANS
    result = {
        "spans_per_s": taken / seconds,
        "cpu_us_per_span": (process.cpu_seconds(taker.pid) - cpu) / taken * 1e6,
        "peak_mib": process.peak_mib(taker.pid),
    }
    say(f"{taker.name}: {result['spans_per_s']:.0f} spans/s, {result['cpu_us_per_span']:.0f} us of CPU a span, {result['peak_mib']:.0f} MiB")
    return result


QUERIES = {
    "list": lambda server, trace: server.get("/api/v1/traces", limit=50),
    "overview": lambda server, trace: server.get("/api/v1/overview"),
    "trace": lambda server, trace: server.get(f"/api/v1/traces/{trace}"),
}


def some_traces(server):
    """Traces spread over all that was sent: the newest would be in memory on a calm machine and in files on a busy one."""
    statement = "SELECT min(trace_id) AS trace FROM spans GROUP BY substr(trace_id, 1, 16) ORDER BY random() LIMIT 100"
    return [row["trace"] for row in server.sql(statement)]


def ask(server, traces, repeats):
    """The median time of each query, in milliseconds."""
    times = {name: [] for name in QUERIES}
    for number in range(repeats):
        for name, query in QUERIES.items():
            times[name].append(query(server, traces[number % len(traces)])[1])
            # A page of the console asks every second or so.
            time.sleep(0.1)
    return {name: statistics.median(took) for name, took in times.items()}


def ask_under_load(taker, plan):
    """The same queries idle, while spans come at the rate that we aim for, and while exporters send as fast as they are
    answered: for each load the worst ratio to idle."""
    process.wait_until_idle(taker.pid)
    traces = some_traces(taker.server)
    idle = ask(taker.server, traces, plan.queries)
    say(f"queries idle: {rounded(idle)}")
    slowdown, first = {}, 2_000_000_000
    for name, load in (("aimed", {"rate": AIMED_SPANS_S / BATCH_SPANS}), ("most", {})):
        loaded, sent = ask_beside(taker, traces, plan, first=first, **load)
        first += 250_000_000
        slowdown[name] = max(loaded[query] / idle[query] for query in idle)
        say(f"queries under {sent['spans_per_s']:.0f} spans/s: {rounded(loaded)}, at the worst {slowdown[name]:.2f} times idle")
        process.wait_until_idle(taker.pid)
    return slowdown


def ask_beside(taker, traces, plan, **load):
    """The median time of each query while exporters send, and what they sent."""
    load |= {"requests": 10**9, "seconds": plan.loaded_seconds, "spans": BATCH_SPANS, "connections": CONNECTIONS}
    sent = {}
    sender = threading.Thread(target=lambda: sent.update(ours.export(taker.url, taker.headers, **load)))
    sender.start()
    time.sleep(2)
    loaded = ask(taker.server, traces, plan.queries)
    sender.join()
    return loaded, sent


def rounded(times):
    return {name: round(took, 1) for name, took in times.items()}


def overload(taker, highest, plan, folder):
    """Three times what it can take, in an open loop: what was acknowledged is there, what was refused was told so, and
    who calls models hardly notices."""
    process.wait_until_idle(taker.pid)
    calm = calls_p99_ms(taker, plan.calm_seconds)
    process.forget_peak(taker.pid)
    first, listed = 3_000_000_000, folder / "acknowledged.txt"
    rate = 3 * highest / BATCH_SPANS
    load = {"rate": rate, "requests": 10**9, "first": first, "seconds": plan.overload_seconds, "spans": BATCH_SPANS}
    sent = {}
    send = lambda: sent.update(ours.export(taker.url, taker.headers, connections=OVERLOAD_CONNECTIONS, acknowledged=listed, **load))
    sender = threading.Thread(target=send)
    sender.start()
    time.sleep(2)
    pressed = calls_p99_ms(taker, plan.overload_seconds - 4)
    sender.join()
    peak = process.peak_mib(taker.pid)
    lost = missing(taker.server, [int(line) for line in listed.read_text().split()], first)
    say(f"offered {rate * BATCH_SPANS:.0f} spans/s: {sent}, {peak:.0f} MiB at the most, {lost} acknowledged requests incomplete")
    say(f"p99 of a call: calm {calm:.1f} ms, in overload {pressed:.1f} ms")
    return {"lost": lost, "failed": sent["failed"], "refused": sent["given_up"], "peak_mib": peak, "p99": pressed / calm}


def calls_p99_ms(taker, seconds):
    """The 99th percentile of calls through the gateway to the stub."""
    body = json.dumps({"model": "fast", "messages": [{"role": "user", "content": "How are you?"}]})
    command = [product.binary("qd-bench"), "load", "--url", f"{taker.server.base}/v1/chat/completions", "--body", body]
    command += ["--header", taker.headers[0], "--rate", str(CALLS_S), "--connections", "64", "--seconds", str(seconds), "--warm-up", "1"]
    run = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    if run["errors"]:
        say(f"{run['errors']} calls failed")
    return run["latency_us"]["p99"] / 1000


def missing(server, acknowledged, first):
    """Acknowledged requests of which not every span is there; a trace's identifier begins with its request's number."""
    statement = f"SELECT substr(trace_id, 1, 16) AS request, count(*) AS n FROM spans WHERE trace_id >= '{first + 1:016x}' GROUP BY 1"
    whole = {int(row["request"], 16) - 1 for row in all_rows(server, statement) if row["n"] >= BATCH_SPANS}
    return len(set(acknowledged) - whole)


def all_rows(server, statement):
    """Rows of a statement that may have more than one answer holds."""
    rows, page = [], 10_000
    while True:
        some = server.sql(f"{statement} ORDER BY 1 LIMIT {page} OFFSET {len(rows)}")
        rows += some
        if len(some) < page:
            return rows


def measure(plan, folder):
    results = {}
    for start in (peers.mlflow, peers.phoenix):
        with start(folder) as taker:
            results[taker.name] = take(taker, plan.peer_spans[taker.name])
    port = process.free_port()
    upstream = f"http://127.0.0.1:{port}/v1"
    stub = [product.binary("qd-bench"), "stub", "--port", str(port), "--delay-ms", str(CALL_MS)]
    with process.server(stub, folder / "stub.log", f"{upstream}/models"), peers.quarterdeck(folder, upstream) as taker:
        results["quarterdeck"] = take(taker, plan.our_spans)
        results["slowdown"] = ask_under_load(taker, plan)
        results["overload"] = overload(taker, results["quarterdeck"]["spans_per_s"], plan, folder)
    return results


def figures(results):
    mine = results["quarterdeck"]
    peer = max(("phoenix", "mlflow"), key=lambda name: results[name]["spans_per_s"])
    best, over = results[peer], results["overload"]
    return [
        figure("durable_spans_s", "spans/s", mine["spans_per_s"], AIMED_SPANS_S, "higher"),
        figure("durable_spans_s_vs_best_peer", "spans/s", mine["spans_per_s"], 80, "higher", peer, best["spans_per_s"]),
        figure("phoenix_spans_s", "spans/s", results["phoenix"]["spans_per_s"], None, "higher"),
        figure("mlflow_spans_s", "spans/s", results["mlflow"]["spans_per_s"], None, "higher"),
        figure("cpu_us_per_span", "us", mine["cpu_us_per_span"], None, "lower", peer, best["cpu_us_per_span"]),
        figure("peak_memory", "MiB", mine["peak_mib"], None, "lower", peer, best["peak_mib"]),
        figure("queries_at_aimed_spans_s_over_idle", "ratio", results["slowdown"]["aimed"], 2, "lower"),
        figure("queries_at_most_spans_s_over_idle", "ratio", results["slowdown"]["most"], 2, "lower"),
        figure("overload_gateway_p99_over_calm", "ratio", over["p99"], 2, "lower"),
        figure("overload_peak_memory", "MiB", over["peak_mib"], None, "lower"),
        figure("overload_refused_requests", "requests", over["refused"], None, "higher"),
        figure("overload_failed_requests", "requests", over["failed"], 0, "lower"),
        figure("overload_acknowledged_lost", "requests", over["lost"], 0, "lower"),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under four minutes once the peers are installed")
    plan = Plan(parser.parse_args().quick)
    product.build("--bin", "quarterdeck", "--bin", "qd-bench")
    on = machine()
    with tempfile.TemporaryDirectory(prefix="bench-ingest-", dir=product.target()) as folder:
        results = measure(plan, pathlib.Path(folder))
    finish("ingest", figures(results), on, peers.versions())


if __name__ == "__main__":
    main()
