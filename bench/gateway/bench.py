"""What does a call through the gateway cost beside LiteLLM's, Portkey's and TensorZero's?

Everything runs on this machine: a stub upstream with a fixed delay, one gateway at a time, and the load. See README.md.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
import tempfile
import time

import peers
import process
import product
import scoring
from report import figure, finish, machine, say

DELAY_MS = 20
# Of the highest rate; latencies at saturation say nothing but the length of the queue.
SHARE_OF_HIGHEST = 0.7
# gpt-4o-mini at $0.15 and $0.60 a million tokens, 21 in and 14 out: 21 * 150,000 + 14 * 600,000 picodollars.
CALL_COST_PICODOLLARS = 11_550_000
# The durable queue must have emptied by then.
SETTLE_S = 5


class Plan:
    """How long and how often. The quick plan is for seeing that nothing has slipped, the full one for numbers to cite."""

    def __init__(self, quick):
        self.connections = [64, 256] if quick else [32, 64, 128, 256]
        self.slow_connections = [16] if quick else [16, 64]
        self.seconds = 4 if quick else 10
        self.warm_up = 2 if quick else 4
        self.rounds = 1 if quick else 3
        self.latency_seconds = 8 if quick else 20


def load(target, connections, seconds, warm_up, rate=0):
    """One run of the load generator."""
    options = {"--connections": connections, "--seconds": seconds, "--warm-up": warm_up, "--rate": rate}
    words = [str(word) for option in options.items() for word in option]
    command = [product.binary("qd-bench"), "load", *target.load_arguments(), *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True, preexec_fn=process.on(peers.RIG_CORES))
    return json.loads(done.stdout)


def highest(target, connections, plan):
    """The most requests a second that were all answered, over several numbers of connections."""
    runs = [load(target, count, plan.seconds, plan.warm_up) for count in connections]
    clean = [run["requests_per_s"] for run in runs if run["errors"] == 0]
    if not clean:
        raise RuntimeError(f"{target.url} answered with errors: {runs}")
    return max(clean)


def measure_fast(upstream, folder, plan):
    """Ours and TensorZero's by turns, so that what else happens on the machine happens to both."""
    rates, memory, traced = {"ours": [], "tensorzero": []}, {}, []
    for round_number in range(plan.rounds):
        with peers.tensorzero(upstream, folder) as gateway:
            rates["tensorzero"].append(highest(gateway, plan.connections, plan))
            memory["tensorzero"] = process.resident_mib(gateway.pid)
        with peers.quarterdeck(upstream, fresh(folder, round_number)) as gateway:
            rates["ours"].append(highest(gateway, plan.connections, plan))
            memory["ours"] = process.resident_mib(gateway.pid)
            traced.append(traced_share(gateway))
        say(f"round {round_number + 1}: ours {rates['ours'][-1]:.0f}/s, TensorZero {rates['tensorzero'][-1]:.0f}/s")
    return {name: statistics.median(values) for name, values in rates.items()}, memory, min(traced)


def fresh(folder, number):
    path = folder / f"round-{number}"
    path.mkdir()
    return path


def traced_share(gateway):
    """The share of the answered calls that have a row with the right cost."""
    time.sleep(SETTLE_S)
    recorded = gateway.recorded()
    right = recorded["cost"] == recorded["n"] * CALL_COST_PICODOLLARS
    return recorded["n"] / (recorded["n"] + gateway.lost()) if right else 0.0


def measure_slow(start, upstream, folder, plan):
    with start(upstream, folder) as gateway:
        load(gateway, 4, 1, plan.warm_up)
        return highest(gateway, plan.slow_connections, plan), process.resident_mib(gateway.pid)


def measure_latency(start, upstream, folder, rate, plan):
    """Latency in microseconds at a fixed rate."""
    with start(upstream, folder) as gateway:
        return latency(gateway, rate, plan)


def latency(target, rate, plan):
    run = load(target, 512, plan.latency_seconds, plan.warm_up, rate)
    if run["errors"] or run["requests_per_s"] < 0.97 * rate:
        say(f"{target.url} kept {run['requests_per_s']:.0f} of {rate:.0f} requests/s with {run['errors']} errors")
    return run["latency_us"]


def added_ms(ours, direct, quantile):
    return (ours[quantile] - direct[quantile]) / 1000


def run(plan, folder):
    port = process.free_port()
    upstream = f"http://127.0.0.1:{port}/v1"
    stub_command = [product.binary("qd-bench"), "stub", "--port", str(port), "--delay-ms", str(DELAY_MS)]
    with process.server(stub_command, folder / "stub.log", f"{upstream}/models", cores=peers.RIG_CORES):
        return figures(upstream, folder, plan)


def figures(upstream, folder, plan):
    direct = peers.Running(f"{upstream}/chat/completions", [], "gpt-4o-mini", 0)
    ceiling = highest(direct, plan.connections, plan)
    say(f"stub alone {ceiling:.0f}/s")
    rates, memory, traced = measure_fast(upstream, folder, plan)
    rate = SHARE_OF_HIGHEST * rates["ours"]
    at_rate = {"direct": latency(direct, rate, plan)}
    at_rate["ours"] = measure_latency(peers.quarterdeck, upstream, fresh(folder, "latency"), rate, plan)
    at_rate["tensorzero"] = measure_latency(peers.tensorzero, upstream, folder, rate, plan)
    portkey_rate, portkey_memory = measure_slow(peers.portkey, upstream, folder, plan)
    litellm_rate, litellm_memory = measure_slow(peers.litellm, upstream, folder, plan)
    say(f"memory in MiB: LiteLLM {litellm_memory:.0f}, Portkey {portkey_memory:.0f}")
    ours = rates["ours"]
    added = {name: {q: added_ms(at_rate[name], at_rate["direct"], q) for q in ("p50", "p99")} for name in ("ours", "tensorzero")}
    return [
        figure("requests_per_s_vs_litellm", "1/s", ours, 30, "higher", "litellm", litellm_rate),
        figure("requests_per_s_vs_portkey", "1/s", ours, 5, "higher", "portkey", portkey_rate),
        figure("requests_per_s_vs_tensorzero", "1/s", ours, 1.2, "higher", "tensorzero", rates["tensorzero"]),
        figure("stub_alone_requests_per_s", "1/s", ceiling, None, "higher"),
        figure("added_p50_ms_at_70_percent", "ms", added["ours"]["p50"], None, "lower"),
        figure("added_p99_ms_at_70_percent", "ms", added["ours"]["p99"], 1.0, "lower"),
        figure("tensorzero_added_p50_ms_same_rate", "ms", added["tensorzero"]["p50"], None, "lower"),
        figure("tensorzero_added_p99_ms_same_rate", "ms", added["tensorzero"]["p99"], None, "lower"),
        figure("calls_traced_with_cost", "share", traced, 1.0, "higher"),
        figure("resident_memory", "MiB", memory["ours"], 1.0, "lower", "tensorzero", memory["tensorzero"]),
        *scoring.figures(upstream, lambda name: fresh(folder, name), latency, plan),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under three minutes once the peers are installed")
    plan = Plan(parser.parse_args().quick)
    product.build("--bin", "quarterdeck", "--bin", "qd-bench")
    on = machine()
    with tempfile.TemporaryDirectory(prefix="qd-bench-") as folder:
        results = run(plan, pathlib.Path(folder))
    finish("gateway", results, on, peers.versions())


if __name__ == "__main__":
    main()
