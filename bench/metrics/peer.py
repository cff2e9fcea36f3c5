"""One round after the other of a peer's metric: peer.py FILE METRIC PROCESSES ROUNDS. Prints median seconds and the score."""

import json
import multiprocessing
import statistics
import sys
import time


def sacrebleu_statistics(metric):
    """What a corpus's score adds up, of a part of it, and the score of the sum."""
    from sacrebleu.metrics import BLEU, CHRF, TER

    made = {"bleu": lambda: BLEU(force=True), "chrf": CHRF, "chrf++": lambda: CHRF(word_order=2), "ter": TER}[metric]()

    def part(pairs):
        if hasattr(made, "tokenizer"):
            clear_caches(made.tokenizer)
        return made._extract_corpus_statistics([pair[0] for pair in pairs], [[pair[1] for pair in pairs]])

    return part, lambda parts: made._aggregate_and_compute([row for rows in parts for row in rows]).score


def clear_caches(tokenizer):
    for one in [tokenizer, getattr(tokenizer, "_post_tokenizer", None)]:
        if hasattr(type(one).__call__, "cache_clear"):
            type(one).__call__.cache_clear()


def rouge_statistics(metric):
    from rouge_score.rouge_scorer import RougeScorer

    names = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
    scorer = RougeScorer(names, use_stemmer=metric == "rouge-stem")

    def part(pairs):
        scores = [scorer.score(reference, answer) for answer, reference in pairs]
        return sum(score[name].fmeasure for score in scores for name in names), len(pairs)

    return part, lambda parts: sum(part[0] for part in parts) / sum(part[1] for part in parts) / len(names)


def main():
    file, metric, processes, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    with open(file, encoding="utf-8") as opened:
        pairs = json.load(opened)
    global part
    part, score = (rouge_statistics if metric.startswith("rouge") else sacrebleu_statistics)(metric)
    size = -(-len(pairs) // processes)
    parts = [pairs[begin : begin + size] for begin in range(0, len(pairs), size)]
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        pool.map(work, [parts[0][:1]] * processes)
        times = []
        for _ in range(rounds):
            start = time.perf_counter()
            found = pool.map(work, parts, chunksize=1)
            result = score(found)
            times.append(time.perf_counter() - start)
    print(json.dumps({"seconds": statistics.median(times), "score": result}))


def work(pairs):
    return part(pairs)


main()
