"""How many texts a second are scored, beside sacrebleu and rouge-score?

Both sides score the same pairs on two cores: ours with two threads, the peers with two processes that are warm, a half of the pairs
each. Their caches of tokenised texts are emptied before each round. Scores must be the same, or the bench fails.
"""

import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

import packages
import product
import report

HERE = pathlib.Path(__file__).resolve().parent
CORES = 2
PEERS = {"sacrebleu": "sacrebleu==2.6.0", "rouge-score": "rouge-score==0.1.2"}
METRICS = {
    "bleu": "sacrebleu", "chrf": "sacrebleu", "chrf++": "sacrebleu", "ter": "sacrebleu", "rouge": "rouge-score", "rouge-stem": "rouge-score",
}
AIM = 30


def ours(file, metric, seconds):
    command = [product.target() / "release/examples/throughput", file, metric, str(CORES), str(seconds)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def theirs(python, file, metric, rounds):
    command = [python, HERE / "peer.py", file, metric, str(CORES), str(rounds)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    quick = "--quick" in sys.argv[1:]
    on = report.machine()
    product.build("--example", "throughput")
    pythons = {name: packages.pip_install(name, requirement) / "python" for name, requirement in PEERS.items()}
    told = json.loads((product.ROOT / "parity/metrics_pairs.json").read_text())["pairs"]
    # Texts as long as answers are; those made by hand are short.
    pairs = [pair[:2] for pair in told[: 100 if quick else 500]]
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "pairs.json"
        file.write_text(json.dumps(pairs))
        for metric, peer in METRICS.items():
            report.say(f"{metric}: {len(pairs)} pairs")
            # In turns, so that a machine that slows down slows down both.
            turns = [(ours(file, metric, 0.5 if quick else 2), theirs(pythons[peer], file, metric, 1 if quick else 3)) for _ in range(1 if quick else 3)]
            for mine, other in turns:
                if abs(mine["score"] - other["score"]) > 1e-6:
                    raise SystemExit(f"{metric}: {mine['score']} is not {peer}'s {other['score']}")
            rates = [statistics.median(len(pairs) / turn[side]["seconds"] for turn in turns) for side in (0, 1)]
            figures.append(report.figure(f"{metric.replace('+', 'p')}_pairs_s", "pairs/s", rates[0], AIM, "higher", peer, rates[1]))
    report.finish("metrics", figures, on, PEERS)


main()
