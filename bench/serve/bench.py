"""How fast is the local engine beside llama-cpp-python's server, on the same file and threads?

Both serve OpenAI's API over HTTP and are asked by turns on this machine. See README.md.
"""

import argparse
import pathlib
import statistics
import tempfile

import load
import product
import servers
from report import figure, finish, machine, say

PREFIX_WORDS = 512
STREAMS = (1, 4, 8, 16)
# Lengths of the prompts, in words, and of the answers, in tokens, of mixed streams: taken in turn.
MIXED_WORDS = (16, 200, 60, 400, 30, 120)
MIXED_TOKENS = (96, 48, 128, 32, 64)
ASK = "Tell a long story about these words and use each of them: "


class Plan:
    """How often. The quick plan is for seeing that nothing has slipped, the full one for numbers to cite."""

    def __init__(self, quick):
        self.rounds = 1 if quick else 3
        self.repeats = 1 if quick else 4
        self.decode_tokens = 64 if quick else 192
        self.prefill_words = 500 if quick else 1000
        # A part of the mixed lengths, so that a quick run stays quick.
        self.share = 0.35 if quick else 1.0


class Seeds:
    """Numbers that are used once, so that no cache has seen a prompt before."""

    def __init__(self):
        self.last = 1000

    def next(self):
        self.last += 1
        return self.last


def measure(server, plan, seeds):
    """One round with one server: name of a figure to its value."""
    found = {}
    found["decode_tok_s"] = median(lambda: decode(server, plan, seeds), plan.repeats)
    found["prefill_tok_s"] = median(lambda: prefill(server, plan, seeds), plan.repeats)
    pairs = [prefix(server, seeds) for _ in range(plan.repeats)]
    found["ttft_cold_ms"] = statistics.median(cold for cold, _ in pairs)
    found["ttft_cached_ms"] = statistics.median(cached for _, cached in pairs)
    for count in STREAMS:
        found[f"streams_{count}_tok_s"] = mixed(server, count, plan, seeds)
    return found


def median(run, repeats):
    return statistics.median(run() for _ in range(repeats))


def decode(server, plan, seeds):
    return load.ask(server, servers.MODEL, ASK + load.words(8, seeds.next()), plan.decode_tokens).tokens_per_s()


def prefill(server, plan, seeds):
    content = load.words(plan.prefill_words, seeds.next())
    first_s = load.ask(server, servers.MODEL, content, 1).first_s
    return load.count_tokens(server, servers.MODEL, content) / first_s


def prefix(server, seeds):
    """Milliseconds to the first token with a prefix that is new, then with the same prefix and another question."""
    shared = load.words(PREFIX_WORDS, seeds.next())
    times = [load.ask(server, servers.MODEL, f"{shared} {question}", 1).first_s for question in ("Why is that?", "Who are you?")]
    return [1000 * seconds for seconds in times]


def mixed(server, count, plan, seeds):
    """Generated tokens a second over all of several streams with prompts and answers of different lengths."""
    requests = []
    for place in range(count):
        words = max(8, int(MIXED_WORDS[place % len(MIXED_WORDS)] * plan.share))
        tokens = max(16, int(MIXED_TOKENS[place % len(MIXED_TOKENS)] * plan.share))
        requests.append((ASK + load.words(words, seeds.next()), tokens))
    generated, seconds = load.together(server, servers.MODEL, requests)
    return generated / seconds


def run(plan, folder, python):
    """All rounds, by turns, each in the other order than the one before."""
    rounds = {"ours": [], "theirs": []}
    seeds = Seeds()
    with servers.ours(folder) as ours, servers.theirs(folder, python) as theirs:
        for number in range(plan.rounds):
            for server in (ours, theirs) if number % 2 == 0 else (theirs, ours):
                found = measure(server, plan, seeds)
                rounds[server.name].append(found)
                say(f"round {number + 1}, {server.name}: " + ", ".join(f"{name} {value:.1f}" for name, value in found.items()))
    return {name: {key: statistics.median(found[key] for found in all_found) for key in all_found[0]} for name, all_found in rounds.items()}


AIMS = {"decode_tok_s": 0.95, "streams_1_tok_s": 0.95, "streams_16_tok_s": 1.5}


def figures(medians):
    ours, theirs = medians["ours"], medians["theirs"]
    listed = [beside(name, ours[name], theirs[name]) for name in ours]
    for name, side, aim in (("cached_prefix_ttft_share", ours, 0.15), ("peer_cached_prefix_ttft_share", theirs, None)):
        listed.append(figure(name, "of cold", side["ttft_cached_ms"] / side["ttft_cold_ms"], aim, "lower"))
    return listed


def beside(name, ours, theirs):
    unit, better = ("ms", "lower") if name.endswith("_ms") else ("tok/s", "higher")
    return figure(name, unit, ours, AIMS.get(name), better, "llama-cpp-python", theirs)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="under three minutes once installed")
    plan = Plan(parser.parse_args().quick)
    python = servers.install_peer()
    product.build("--bin", "quarterdeck")
    on = {**machine(), "threads": servers.threads()}
    with tempfile.TemporaryDirectory() as folder:
        medians = run(plan, pathlib.Path(folder), python)
    finish("serve", figures(medians), on, servers.versions(python))


if __name__ == "__main__":
    main()
