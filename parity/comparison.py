"""Reference values for scorers and comparisons: python comparison.py > comparison.json

McNemar's exact p is statsmodels', its mid-p follows from scipy.stats.binom as Fagerland et al. (2013) define it. Sign flips
are scipy.stats.permutation_test, Holm and Wilson statsmodels', intervals scipy.stats.bootstrap's at the level that makes its
percentiles the expanded ones (Hesterberg 2015). Token F1 is computed by the functions of SQuAD's evaluation script
(compute_f1, compute_exact and normalize_answer of evaluate-v2.0.py, repeated below), JSON schemas by jsonschema.
"""

import collections
import json
import platform
import re
import string

import jsonschema
import numpy
import scipy
import scipy.stats
import statsmodels
import statsmodels.stats.contingency_tables as tables
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

SEED = 20260131


# As in evaluate-v2.0.py of SQuAD, https://rajpurkar.github.io/SQuAD-explorer/.
def normalize_answer(s):
    def remove_articles(text):
        regex = re.compile(r"\b(a|an|the)\b", re.UNICODE)
        return re.sub(regex, " ", text)

    def white_space_fix(text):
        return " ".join(text.split())

    def remove_punc(text):
        exclude = set(string.punctuation)
        return "".join(ch for ch in text if ch not in exclude)

    return white_space_fix(remove_articles(remove_punc(s.lower())))


def get_tokens(s):
    return normalize_answer(s).split() if s else []


def compute_f1(a_gold, a_pred):
    gold_toks, pred_toks = get_tokens(a_gold), get_tokens(a_pred)
    common = collections.Counter(gold_toks) & collections.Counter(pred_toks)
    num_same = sum(common.values())
    if len(gold_toks) == 0 or len(pred_toks) == 0:
        return int(gold_toks == pred_toks)
    if num_same == 0:
        return 0
    precision, recall = num_same / len(pred_toks), num_same / len(gold_toks)
    return (2 * precision * recall) / (precision + recall)


def token_f1():
    pairs = [
        ("the cat sat", "cat sat"), ("The Cat!", "cat"), ("", ""), ("", "x"), ("x", ""), ("the", "a"), ("The.", ""),
        ("a a a", "a"), ("dog dog cat", "dog cat cat"), ("Saint-Denis, France", "saint denis"), ("It's 5 o'clock", "its 5 oclock"),
        ("Normandy in the 10th century", "10th century"), ("an apple a day", "apple day"), ("theme of Anna", "theme anna"),
        ("one\ttwo\nthree", "one two three"), ("a\x1cb", "b"), ("STRASSE", "straße"), ("ΟΔΟΣ", "οδος"), ("naïve café", "naive cafe"),
        ("$5.00", "500"), ("a_b the_c", "ab"), ("“quoted”", "quoted"), ("1,234", "1234"), ("x-the-y", "x y"), ("中 文", "中 文 字"),
        ("the quick brown fox jumps over the lazy dog", "quick brown dog jumps"),
    ]
    return [
        {"answer": a, "reference": r, "f1": float(compute_f1(r, a)), "exact": normalize_answer(a) == normalize_answer(r)}
        for a, r in pairs
    ]


def mcnemar():
    told = []
    for a, b in [(0, 1), (0, 5), (1, 1), (2, 5), (5, 2), (10, 10), (10, 25), (40, 10), (0, 20), (100, 130), (3, 400), (1000, 1100)]:
        exact = tables.mcnemar([[0, a], [b, 0]], exact=True).pvalue
        n, x = a + b, min(a, b)
        at = scipy.stats.binom.pmf(x, n, 0.5)
        mid = 1 - at / 2 if a == b else 2 * scipy.stats.binom.cdf(x, n, 0.5) - at
        told.append({"only_a": a, "only_b": b, "exact": float(exact), "mid": float(mid)})
    return told


def sign_flip(random):
    cases = [
        ("five of one sign", [1.0, 2.0, 0.5, 3.0, 1.5]),
        ("ties and zeros", [1.0, -1.0, 0.0, 1.0, 1.0, 0.0, -0.5, 0.5]),
        ("thirds", [1 / 3, -1 / 3, 2 / 3, 1 / 3, 1.0, -1 / 3, 2 / 3, 1 / 3, 1 / 3, -2 / 3, 1.0, 1 / 3]),
        ("sixteen", random.normal(0.4, 1, 16).round(3).tolist()),
        ("forty that differ", random.normal(0.4, 1, 40).round(3).tolist()),
        ("a hundred with a little", random.normal(0.1, 1, 100).round(3).tolist()),
        ("two hundred heavy tails", random.standard_t(2, 200).round(3).tolist()),
        ("seventy thirds", (random.integers(-3, 4, 70) / 3).tolist()),
    ]
    told = []
    for name, values in cases:
        moved = sum(value != 0 for value in values)
        exact = moved <= 16
        # scipy's paired test flips the signs of differences; zeros change nothing.
        x = numpy.array([value for value in values if value != 0])
        found = scipy.stats.permutation_test(
            (x,), lambda x, axis: numpy.sum(x, axis=axis), permutation_type="samples", vectorized=True,
            n_resamples=numpy.inf if exact else 200_000, batch=2_000, rng=random,
        )
        told.append({"name": name, "differences": values, "exact": exact, "p": float(found.pvalue)})
    return told


def holm(random):
    lists = [[0.01, 0.04, 0.03], [0.5], [0.02, 0.02, 0.02, 0.9], random.beta(0.3, 2, 28).tolist()]
    return [{"p": p, "adjusted": multipletests(p, method="holm")[1].tolist()} for p in lists]


def wilson():
    told = []
    for right, n in [(0, 10), (10, 10), (1, 2), (5, 50), (25, 50), (48, 50), (81, 263), (950, 1000), (1, 100_000)]:
        low, high = proportion_confint(right, n, method="wilson")
        told.append({"right": right, "n": n, "low": float(low), "high": float(high)})
    return told


def expanded(n):
    t = scipy.stats.t.ppf(0.975, n - 1)
    return float(scipy.stats.norm.cdf(-numpy.sqrt(n / (n - 1)) * t))


def bootstrap(random):
    cases = [
        ("right and wrong", random.choice([-1, 0, 1], 120, p=[0.1, 0.7, 0.2]).astype(float)),
        ("few items", random.choice([-1, 0, 1], 20, p=[0.2, 0.5, 0.3]).astype(float)),
        ("F1", random.beta(0.4, 0.8, 80) - random.beta(0.4, 1.0, 80)),
        ("latency", random.lognormal(6, 1, 60)),
    ]
    told = []
    for name, values in cases:
        n = len(values)
        found = scipy.stats.bootstrap(
            (values,), numpy.mean, n_resamples=10_000, confidence_level=1 - 2 * expanded(n), method="percentile", rng=random
        )
        told.append({
            "name": name, "values": values.tolist(),
            "low": float(found.confidence_interval.low), "high": float(found.confidence_interval.high),
            "standard_error": float(values.std(ddof=1) / numpy.sqrt(n)),
            "step": 1 / n if set(values) <= {-1.0, 0.0, 1.0} else 0.0,
        })
    return told


def quantile(random):
    told = []
    for n in (2, 3, 10, 57):
        values = numpy.sort(random.normal(size=n))
        for share in (0.0, 0.025, 0.5, 0.9, 1.0):
            told.append({"sorted": values.tolist(), "share": share, "value": float(numpy.quantile(values, share))})
    return told


PERSON = {
    "type": "object",
    "properties": {"name": {"type": "string", "minLength": 1}, "age": {"type": "integer", "minimum": 0, "maximum": 150}},
    "required": ["name"],
    "additionalProperties": False,
}
SCHEMAS = [
    (True, [1, None]),
    (False, [1]),
    ({}, [1, "x", None]),
    (PERSON, [{"name": "x"}, {"name": ""}, {"age": 3}, {"name": "x", "age": 3.0}, {"name": "x", "age": 3.5}, {"name": "x", "b": 1}, []]),
    ({"type": ["string", "null"]}, ["x", None, 1]),
    ({"type": "number"}, [1, 1.5, True, "1"]),
    ({"type": "integer"}, [1, 1.0, 1.5, 1e20, True]),
    ({"enum": [1, "a", None, [1]]}, [1, 1.0, "a", None, [1], [2], False]),
    ({"const": {"a": 1}}, [{"a": 1}, {"a": 1.0}, {"a": 1, "b": 2}]),
    ({"allOf": [{"minimum": 1}, {"maximum": 3}]}, [0, 2, 4, "x"]),
    ({"anyOf": [{"type": "string"}, {"minimum": 5}]}, ["x", 6, 4]),
    ({"oneOf": [{"multipleOf": 2}, {"multipleOf": 3}]}, [2, 3, 6, 5]),
    ({"not": {"type": "string"}}, [1, "x"]),
    ({"if": {"properties": {"a": {"const": 1}}, "required": ["a"]}, "then": {"required": ["b"]}, "else": {"required": ["c"]}},
     [{"a": 1}, {"a": 1, "b": 1}, {"a": 2}, {"a": 2, "c": 1}, {"c": 1}]),
    ({"patternProperties": {"^x": {"type": "integer"}}, "additionalProperties": {"type": "string"}},
     [{"x1": 1}, {"x1": "a"}, {"y": "a"}, {"y": 1}]),
    ({"propertyNames": {"maxLength": 2}}, [{"ab": 1}, {"abc": 1}]),
    ({"minProperties": 1, "maxProperties": 2}, [{}, {"a": 1}, {"a": 1, "b": 2, "c": 3}]),
    ({"dependentRequired": {"a": ["b"]}}, [{"a": 1}, {"a": 1, "b": 1}, {"b": 1}]),
    ({"items": {"type": "integer"}}, [[], [1, 2], [1, "x"], "no array"]),
    ({"prefixItems": [{"type": "string"}], "items": False}, [["x"], ["x", 1], [], [1]]),
    ({"contains": {"const": 1}}, [[1, 2], [2], []]),
    ({"minItems": 1, "maxItems": 2, "uniqueItems": True}, [[], [1], [1, 2], [1, 1], [1, 1.0], [{"a": 1}, {"a": 1}]]),
    ({"minLength": 2, "maxLength": 3}, ["é", "éé", "abc", "abcd"]),
    ({"pattern": "b+$"}, ["ab", "abc", 1]),
    ({"exclusiveMinimum": 0, "exclusiveMaximum": 1}, [0, 0.5, 1]),
    ({"multipleOf": 0.25}, [0.75, 0.3, 1, -0.5]),
    ({"$defs": {"n": {"type": "object", "properties": {"next": {"$ref": "#/$defs/n"}}}}, "$ref": "#/$defs/n"},
     [{}, {"next": {"next": {}}}, {"next": 1}]),
    ({"properties": {"a": {"$ref": "#/properties/b"}, "b": {"type": "string"}}}, [{"a": "x"}, {"a": 1}]),
]


def json_schema():
    # format is an annotation unless somebody asks: no format checker.
    return [
        {"schema": schema, "value": value, "valid": jsonschema.Draft202012Validator(schema).is_valid(value)}
        for schema, values in SCHEMAS
        for value in values
    ]


def main() -> None:
    random = numpy.random.default_rng(SEED)
    told = {
        "versions": {
            "python": platform.python_version(), "numpy": numpy.__version__, "scipy": scipy.__version__,
            "statsmodels": statsmodels.__version__, "jsonschema": jsonschema.__version__,
        },
        "seed": SEED,
        "token_f1": token_f1(),
        "mcnemar": mcnemar(),
        "sign_flip": sign_flip(random),
        "holm": holm(random),
        "wilson": wilson(),
        "expanded_tail": [{"n": n, "tail": expanded(n)} for n in (2, 3, 10, 50, 200, 5000)],
        "bootstrap": bootstrap(random),
        "quantile": quantile(random),
        "json_schema": json_schema(),
    }
    lines = []
    for name, value in told.items():
        if isinstance(value, list):
            rows = ",\n".join(json.dumps(row) for row in value)
            lines.append(f'"{name}": [\n{rows}\n]')
        else:
            lines.append(f'"{name}": {json.dumps(value)}')
    print("{" + ",\n".join(lines) + "}")


main()
