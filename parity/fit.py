"""Reference lines by least squares: python fit.py > fit.json

The line and R² are numpy.polyfit's and the standard errors scipy.stats.linregress's, over calls that look like real ones.
The points go to the output, so that the test needs no generator.
"""

import json
import platform

import numpy
import scipy
import scipy.stats

SEED = 20260131


def cases(random: numpy.random.Generator):
    tokens = random.integers(1, 2_000, 200)
    yield "a steady model", tokens, 320 + 14.2 * tokens + random.normal(0, 60, 200)
    tokens = random.integers(1, 500, 120)
    yield "a noisy model", tokens, 150 + 7.5 * tokens + random.lognormal(4, 1.2, 120)
    tokens = random.integers(1_000_000, 1_000_500, 50)
    yield "long answers that differ little", tokens, 5_000 + 3.25 * tokens + random.normal(0, 10, 50)
    tokens = numpy.array([3, 7, 11])
    yield "three calls", tokens, numpy.array([41.5, 77.25, 130.125])
    tokens = random.integers(1, 300, 80)
    yield "no relation", tokens, random.uniform(100, 200, 80)


def main() -> None:
    random = numpy.random.default_rng(SEED)
    told = []
    for name, tokens, latency in cases(random):
        x, y = tokens.astype(float), numpy.round(latency.astype(float), 6)
        slope, intercept = numpy.polyfit(x - x.mean(), y, 1)
        found = scipy.stats.linregress(x, y)
        residuals = y - (intercept + slope * (x - x.mean()))
        assert numpy.isclose(slope, found.slope, rtol=1e-9)
        told.append({
            "name": name,
            "x": x.tolist(),
            "y": y.tolist(),
            "slope": float(slope),
            "intercept": float(intercept - slope * x.mean()),
            "slope_se": float(found.stderr),
            "intercept_se": float(found.intercept_stderr),
            "r2": float(found.rvalue**2),
            "residual_sd": float(numpy.sqrt((residuals**2).sum() / (len(x) - 2))),
        })
    versions = {"python": platform.python_version(), "numpy": numpy.__version__, "scipy": scipy.__version__}
    lines = ",\n".join(json.dumps(case) for case in told)
    print(f'{{"versions": {json.dumps(versions)}, "seed": {SEED}, "cases": [\n{lines}\n]}}')


main()
