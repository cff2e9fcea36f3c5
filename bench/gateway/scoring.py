"""What does a rule that scores every call add to the latency of calls?

Two servers, each with a data folder of its own, one with a rule of all that needs no reference, take turns at a fixed rate. What is told
is the quantile with the rule less the same without: scoring reads what is durable and is not on the way of a call.
"""

import json
import statistics
import subprocess
import time

import peers
from report import figure, say

RATE = 200
RULE = {
    "scorers": [
        {"kind": "regex", "pattern": "Paris"}, {"kind": "json_schema", "schema": {"type": "object"}}, {"kind": "length"}, {"kind": "latency"},
        {"kind": "cost"}, {"kind": "leak"}, {"kind": "toxicity"}, {"kind": "contains", "texts": ["I cannot"]},
    ],
}
# Calls are scored some seconds after their end; the last ones are waited for.
PATIENCE_S = 60


def measure(upstream, fresh, latency, plan):
    """Latencies in milliseconds at `RATE` with and without a rule, by turns, and how much of what was recorded was scored."""
    told = {"with": [], "without": []}
    with peers.quarterdeck(upstream, fresh("plain")) as plain, peers.quarterdeck(upstream, fresh("scored")) as scored:
        rule(scored)
        for _ in range(plan.rounds):
            told["without"].append(latency(plain, RATE, plan))
            told["with"].append(latency(scored, RATE, plan))
        share = scored_share(scored)
    middle = {
        name: {quantile: statistics.median(run[quantile] for run in runs) / 1000 for quantile in ("p50", "p99")} for name, runs in told.items()
    }
    say(f"at {RATE} requests/s: {middle}, {share:.3f} of the scores are there")
    return middle, share


def rule(gateway):
    command = [*gateway.common, "scorer", "create", "all", "--file", "-"]
    subprocess.run(command, check=True, capture_output=True, text=True, input=json.dumps(RULE))


def scored_share(gateway):
    """The scores that there are by those that there should be."""
    wanted = gateway.recorded()["n"] * len(RULE["scorers"])
    until, found = time.monotonic() + PATIENCE_S, 0
    while found < wanted and time.monotonic() < until:
        time.sleep(1)
        found = peers.command_json(gateway.common, "sql", "SELECT count(DISTINCT score_id) AS n FROM scores")[0]["n"]
    return found / max(wanted, 1)


def figures(upstream, fresh, latency, plan):
    middle, share = measure(upstream, fresh, latency, plan)
    added = {quantile: middle["with"][quantile] - middle["without"][quantile] for quantile in ("p50", "p99")}
    return [
        figure("scoring_added_p50_ms_at_200", "ms", added["p50"], 0.2, "lower"),
        figure("scoring_added_p99_ms_at_200", "ms", added["p99"], 1.0, "lower"),
        figure("unscored_p50_ms_at_200", "ms", middle["without"]["p50"], None, "lower"),
        figure("unscored_p99_ms_at_200", "ms", middle["without"]["p99"], None, "lower"),
        figure("calls_scored", "share", share, 1.0, "higher"),
    ]
