"""How soon is a page of the console usable over much data?

A trace of 30,000 spans and a lake of 1,000,000 spans, in Chromium. The aims are absolute; there is no peer. See README.md.
"""

import argparse
import json
import os
import subprocess

import product
from report import figure, finish, machine

SPANS = 1_000_000
QUICK_SPANS = 200_000


def measure(spans, repeats):
    script = product.ROOT / "bench/console/measure.mjs"
    environment = {**os.environ, "QUARTERDECK_BIN": str(product.binary())}
    command = ["node", script, str(spans), str(repeats)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
    return json.loads(done.stdout.strip().splitlines()[-1])


def figures(run, spans):
    return [
        figure("trace_30000_spans_ms", "ms", run["trace"]["median_ms"], 1000, "lower"),
        figure("trace_scroll_worst_frame_ms", "ms", run["scroll_worst_frame_ms"], None, "lower"),
        figure("list_ms", "ms", run["list"]["median_ms"], 500, "lower"),
        figure("overview_30_days_ms", "ms", run["overview"]["median_ms"], 700, "lower"),
        figure("spans_in_lake", "spans", spans, None, "higher"),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a fifth of the spans, under three minutes")
    quick = parser.parse_args().quick
    subprocess.run(["make", "--silent", "web", "browser"], cwd=product.ROOT, check=True, stdout=subprocess.DEVNULL)
    product.build("--bin", "quarterdeck")
    on = machine()
    spans = QUICK_SPANS if quick else SPANS
    run = measure(spans, 3 if quick else 7)
    finish("console", figures(run, spans), on, {"chromium": run["chromium"]})


if __name__ == "__main__":
    main()
