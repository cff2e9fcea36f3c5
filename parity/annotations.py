"""Reference values for what three people say of the same pairs of answers: python annotations.py > annotations.json

Labels are those of annotations_labels.json. Alpha is krippendorff's, kappas are scikit-learn's, the share of equal pairs is counted here, and the
model of annotators is crowd-kit's. That one has no smoothing, which `qd_eval` has (a hundredth of a label).
"""

import itertools
import json
import platform

import crowdkit.aggregation
import krippendorff
import numpy
import pandas
import sklearn
import sklearn.metrics

CLASSES = [1, 2, 0]  # a, b and tie, as the product orders them


def main():
    labels = numpy.array(json.load(open("annotations_labels.json"))["labels"])
    pairs = list(itertools.combinations(range(labels.shape[1]), 2))
    same = numpy.mean([[row[a] == row[b] for a, b in pairs] for row in labels])
    rows = [(item, who, int(said)) for item, row in enumerate(labels) for who, said in enumerate(row)]
    # No change of the bound ends it: all of the steps are taken.
    fitted = crowdkit.aggregation.DawidSkene(n_iter=400, tol=-1e9).fit(pandas.DataFrame(rows, columns=["task", "worker", "label"]))
    priors = fitted.priors_[CLASSES].to_numpy()
    accuracy, leaning = [], []
    for who in range(labels.shape[1]):
        # Columns are true classes, rows what is said.
        matrix = fitted.errors_.loc[who].reindex(CLASSES)[CLASSES].fillna(0.0).to_numpy()
        accuracy.append(float((priors * numpy.diag(matrix)).sum()))
        leaning.append((matrix @ priors - priors).tolist())
    told = {
        "versions": {
            "python": platform.python_version(), "krippendorff": "0.9.0", "sklearn": sklearn.__version__, "crowdkit": "1.4.2",
        },
        "labels": labels.tolist(),
        "same": float(same),
        "alpha": float(krippendorff.alpha(labels.T.astype(float), level_of_measurement="nominal")),
        "kappas": [float(sklearn.metrics.cohen_kappa_score(labels[:, a], labels[:, b])) for a, b in pairs],
        "accuracy": accuracy,
        "leaning": leaning,
    }
    print("{" + ",\n".join(f'"{name}": {json.dumps(value)}' for name, value in told.items()) + "}")


main()
