"""How fast are durable appends to the lake, how small is what they leave, and how quick are queries over it?

There is no peer: the aims are absolute. See README.md for what is measured and how the data is made.
"""

import argparse
import json
import subprocess
import sys
import tempfile

import product
from report import figure, finish, machine

ROWS = 1_000_000
QUICK_ROWS = 300_000


def measure(program, rows):
    """One run in a fresh folder beside the build, so that it is on a real disk and not in memory."""
    with tempfile.TemporaryDirectory(prefix="bench-lake-", dir=product.target()) as folder:
        done = subprocess.run([program, str(rows), folder], stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def figures(run, rows):
    """The aims hold for a million spans; a quick run shows how it stands with fewer."""
    append, lookup, percentile = run["append"], run["lookup_ms"], run["p99_by_model_ms"]
    return [
        figure("durable_rows_s", "rows/s", append["rows_per_s"], 40_000, "higher"),
        figure("disk_bytes_per_span", "bytes", run["bytes_per_span"], 400, "lower"),
        figure("trace_lookup_ms", "ms", lookup["median"], 150, "lower"),
        figure("trace_lookup_worst_ms", "ms", lookup["worst"], None, "lower"),
        figure("trace_missing_ms", "ms", lookup["missing"], None, "lower"),
        figure("p99_by_model_ms", "ms", percentile["median"], 150, "lower"),
        figure("p99_by_model_staged_ms", "ms", run["staged_query_ms"]["median"], None, "lower"),
        figure("append_ack_p50_ms", "ms", append["ack_p50_ms"], None, "lower"),
        figure("append_ack_p99_ms", "ms", append["ack_p99_ms"], None, "lower"),
        figure("open_with_staged_rows_ms", "ms", run["reopen_ms"], None, "lower"),
        figure("rows", "rows", rows, None, "higher"),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rows, under 3 minutes")
    arguments = parser.parse_args()
    rows = QUICK_ROWS if arguments.quick else ROWS
    # The first time takes as long as the query engine does.
    product.build("--example", "bench_lake")
    on = machine()
    run = measure(product.binary("examples/bench_lake"), rows)
    print(json.dumps(run, indent=1), file=sys.stderr)
    rust = subprocess.run(["rustc", "--version"], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
    finish("lake", figures(run, rows), on, {"rustc": rust})


if __name__ == "__main__":
    main()
