"""Reference values for agreement, judge biases, PPI, annotators, confidence sequences and strengths: python estimates.py CONFSEQ_SRC > estimates.json

Kappa is scikit-learn's, alpha krippendorff's, Spearman's and Kendall's correlations scipy's; their intervals scipy.stats.bootstrap's at
the level that makes its percentiles the expanded ones (Hesterberg 2015), a resampling of items for alpha, and a jackknife for Kendall's.
Logistic regression is statsmodels'. λ and the corrected mean are ppi-python's; its variance is built here as `qd_eval::ppi` says, and
for many labels ppi-python's own interval stands beside it. Posteriors of Dawid and Skene's model are crowd-kit's. Confidence sequences
are solved here from their definition, with scipy.optimize; widths of the predictable plug-in empirical Bernstein one are confseq's, whose
pure Python is read from CONFSEQ_SRC. Bradley and Terry's strengths are choix'; with ties the likelihood of Davidson (1970) is maximised
by scipy, and covariances come from numerical Hessians.
"""

import json
import math
import platform
import sys
import types

import choix
import crowdkit.aggregation
import krippendorff
import numpy
import pandas
import ppi_py
import ppi_py.ppi
import scipy
import scipy.optimize
import scipy.special
import scipy.stats
import sklearn
import sklearn.metrics
import statsmodels
import statsmodels.api
import statsmodels.tools.numdiff

SEED = 20260612
RESAMPLES = 2000


def expanded(n):
    t = scipy.stats.t.ppf(0.975, n - 1)
    return float(scipy.stats.norm.cdf(-numpy.sqrt(n / (n - 1)) * t))


def bootstrapped(columns, statistic, random):
    """Interval and standard error of a statistic of paired columns."""
    n = len(columns[0])
    found = scipy.stats.bootstrap(
        columns, statistic, n_resamples=RESAMPLES, paired=True, vectorized=False, method="percentile",
        confidence_level=1 - 2 * expanded(n), rng=random,
    )
    return {
        "low": float(found.confidence_interval.low), "high": float(found.confidence_interval.high),
        "standard_error": float(found.standard_error),
    }


def classes(random, n, k, right):
    truth = random.choice(k, n, p=random.dirichlet(numpy.full(k, 5)))
    near = numpy.clip(truth + random.choice([-1, 1], n), 0, k - 1)
    return truth, numpy.where(random.random(n) < right, truth, near)


def kappa_of(a, b, k, power):
    table = numpy.zeros((k, k))
    numpy.add.at(table, (a, b), 1)
    apart = abs(numpy.subtract.outer(range(k), range(k)))
    weights = (apart > 0) if power is None else apart**power
    chance = numpy.outer(table.sum(1), table.sum(0)) / len(a)
    return 1 - (weights * table).sum() / (weights * chance).sum()


def kappa(random):
    told = []
    for n, k, right in [(40, 2, 0.8), (60, 3, 0.7), (150, 5, 0.6), (400, 2, 0.95), (40, 4, 0.0)]:
        a, b = classes(random, n, k, right)
        for weights, power in [(None, None), ("linear", 1), ("quadratic", 2)]:
            found = sklearn.metrics.cohen_kappa_score(a, b, labels=range(k), weights=weights)
            # scikit-learn's takes milliseconds, too long for thousands of resamples.
            quick = lambda a, b: kappa_of(a, b, k, power)
            assert abs(quick(a, b) - found) < 1e-12
            case = {"first": a.tolist(), "second": b.tolist(), "classes": k, "weights": weights or "nominal", "kappa": found}
            told.append(case | bootstrapped((a, b), quick, random) | {"accuracy": float((a == b).mean())})
    return told


def alpha(random):
    told = []
    for items, raters, values, missing in [(12, 4, [1, 2, 3, 4, 5], 0.2), (40, 2, [0, 1], 0.0), (60, 3, [1, 2.5, 4, 10], 0.3)]:
        truth = random.choice(numpy.array(values, dtype=float), items)
        ratings = numpy.where(random.random((raters, items)) < 0.7, truth, random.choice(values, (raters, items)))
        ratings[random.random((raters, items)) < missing] = numpy.nan
        kept = ratings[:, (~numpy.isnan(ratings)).sum(axis=0) > 1]
        for scale in ("nominal", "ordinal", "interval", "ratio"):
            of = lambda data: krippendorff.alpha(data, level_of_measurement=scale)
            n = kept.shape[1]
            drawn = [of(kept[:, random.integers(0, n, n)]) for _ in range(RESAMPLES)]
            low, high = numpy.quantile(drawn, [expanded(n), 1 - expanded(n)])
            rows = [[None if numpy.isnan(value) else value for value in row] for row in ratings.T.tolist()]
            told.append({
                "ratings": rows, "scale": scale, "alpha": float(of(ratings)), "low": float(low), "high": float(high),
                "standard_error": float(numpy.std(drawn)),
            })
    return told


def rank(random):
    told = []
    for name, n, ties in [("few", 10, 0), ("ties", 60, 5), ("many ties", 100, 2), ("none tied", 80, 0), ("opposite", 30, -4)]:
        a = random.normal(size=n)
        b = (-1 if ties < 0 else 1) * a + random.normal(size=n)
        if ties:
            a, b = (numpy.round(x * abs(ties) / 2) for x in (a, b))
        rho = lambda a, b: scipy.stats.spearmanr(a, b).statistic
        tau = lambda a, b: scipy.stats.kendalltau(a, b).statistic
        left = numpy.array([tau(numpy.delete(a, i), numpy.delete(b, i)) for i in range(n)])
        spread = math.sqrt((n - 1) / n * ((left - left.mean()) ** 2).sum())
        half = scipy.stats.t.ppf(0.975, n - 1) * spread / (1 - tau(a, b) ** 2)
        ends = numpy.tanh(numpy.arctanh(tau(a, b)) + numpy.array([-half, half]))
        told.append({
            "name": name, "first": a.tolist(), "second": b.tolist(), "spearman": float(rho(a, b)), "kendall": float(tau(a, b)),
            "kendall_low": float(ends[0]), "kendall_high": float(ends[1]),
        } | bootstrapped((a, b), rho, random))
    return told


def length(random):
    told = []
    for n, effect in [(80, 0.0), (300, 1.2), (1000, -0.4)]:
        lengths = random.integers(0, 900, (n, 2))
        human = random.choice([-1, 0, 1], n)
        ratio = numpy.log2((lengths[:, 0] + 1) / (lengths[:, 1] + 1))
        judge = random.random(n) < scipy.special.expit(0.3 + effect * ratio + 1.1 * human)
        fitted = statsmodels.api.Logit(judge, numpy.column_stack([numpy.ones(n), ratio, human])).fit(disp=0, tol=1e-12)
        low, high = fitted.conf_int()[1]
        told.append({
            "lengths": lengths.tolist(), "human": human.tolist(), "judge": judge.astype(int).tolist(),
            "value": float(fitted.params[1]), "low": float(low), "high": float(high),
        })
    return told


def graded():
    """Scores of single answers; with numbers of their own, so that what stands above stays as it is."""
    random = numpy.random.default_rng(SEED + 1)
    told = []
    for n, by_length, by_own in [(40, 0.0, 0.0), (200, 0.25, None), (600, -0.1, 0.6)]:
        lengths = random.integers(0, 900, n)
        human = random.integers(1, 6, n)
        own = random.integers(0, 2, n)
        doubled = numpy.log2(lengths + 1)
        judge = 1 + 0.5 * human + by_length * doubled + (by_own or 0) * own + random.normal(0, 0.2 + 0.1 * human)
        columns = [numpy.ones(n), doubled, human] + ([own] if by_own is not None else [])
        fitted = statsmodels.api.OLS(judge, numpy.column_stack(columns)).fit(cov_type="HC3", use_t=False)
        ends = fitted.conf_int()
        value = lambda place: {"value": float(fitted.params[place]), "low": float(ends[place][0]), "high": float(ends[place][1])}
        told.append({
            "lengths": lengths.tolist(), "human": human.tolist(), "judge": judge.tolist(), "own": own.tolist() if by_own is not None else None,
            "length": value(1), "preference": value(3) if by_own is not None else None,
        })
    return told


def ppi(random):
    told = []
    for name, n, rest, right in [("good", 60, 900, 0.95), ("fair", 200, 2000, 0.8), ("useless", 100, 500, 0.5), ("against", 80, 400, 0.1)]:
        truth = random.beta(2, 1, n + rest)
        wrong = random.beta(2, 1, n + rest) if right >= 0.5 else 1 - truth
        judge = numpy.where(random.random(n + rest) < right, truth, wrong)
        for binary in (False, True):
            y, f, u = truth[:n], judge[:n], judge[n:]
            if binary:
                y, f, u = ((x > 0.6).astype(float) for x in (y, f, u))
            start = ppi_py.ppi_mean_pointestimate(y, f, u, lam=1)
            lam = ppi_py.ppi._calc_lam_glm(y - start, f - start, u - start, numpy.eye(1), clip=True)
            mean = ppi_py.ppi_mean_pointestimate(y, f, u)
            residual = (y - lam * f).var(ddof=1)
            variance = ((n - 1) * residual + max(residual, y.var(ddof=1))) / n / n + lam**2 * u.var(ddof=1) / rest
            t = scipy.stats.t.ppf(0.975, n - 2 if lam > 0 else n - 1)
            if binary:
                z = t if lam > 0 else scipy.stats.norm.ppf(0.975)
                p, m = float(numpy.clip(mean[0], 0, 1)), y.var(ddof=1) / variance
                # Wilson's interval solves (p − x)² = z²·x(1 − x)/m.
                low, high = sorted(numpy.roots([1 + z * z / m, -2 * p - z * z / m, p * p]))
            else:
                half = t * math.sqrt(variance)
                low, high = max(mean[0] - half, 0), min(mean[0] + half, 1)
            theirs = ppi_py.ppi_mean_ci(y, f, u, alpha=0.05)
            told.append({
                "name": name, "binary": binary, "human": y.tolist(), "judge": f.tolist(), "unlabelled": u.tolist(),
                "lambda": float(lam), "mean": float(mean[0]), "low": float(low), "high": float(high),
                "effective": float(y.var(ddof=1) / variance), "their_width": float(theirs[1][0] - theirs[0][0]),
            })
    return told


def dawid_skene(random):
    told = []
    for items, annotators, k, given in [(60, 5, 2, 1.0), (120, 8, 3, 0.6), (40, 3, 4, 0.8)]:
        truth = random.integers(0, k, items)
        skill = random.uniform(0.5, 0.95, annotators)
        rows = [
            (i, a, int(truth[i] if random.random() < skill[a] else random.integers(0, k)))
            for i in range(items) for a in range(annotators) if a == i % annotators or random.random() < given
        ]
        data = pandas.DataFrame(rows, columns=["task", "worker", "label"])
        # No change of the bound ends it: all of the steps are taken.
        fitted = crowdkit.aggregation.DawidSkene(n_iter=400, tol=-1e9).fit(data)
        matrices = numpy.zeros((annotators, k, k))
        for (worker, label), row in fitted.errors_.iterrows():
            matrices[worker, :, label] = row[list(range(k))]
        told.append({
            "items": items, "annotators": annotators, "classes": k, "labels": rows,
            "posteriors": fitted.probas_.sort_index()[list(range(k))].to_numpy().tolist(),
            "prior": fitted.priors_[list(range(k))].tolist(), "confusion": matrices.tolist(),
        })
    return told


BETS = numpy.arange(16)
WEIGHTS = 1.0 / (BETS + 1) ** 2 / (1.0 / (BETS + 1) ** 2).sum()


def capital(scores):
    """The logarithm of the capital against a mean, from its definition score by score."""
    foreseen = numpy.array([(0.5 + scores[:i].sum()) / (i + 1) for i in range(len(scores))])
    spread = ((scores - foreseen) ** 2).sum()

    def of(m):
        terms = []
        for k, weight in zip(BETS, WEIGHTS):
            for sign in (1, -1):
                small, large = sign * 2.0 ** -(k + 1), sign * 2.0 ** (1 - k)
                psi = -math.log(1 - abs(small)) - abs(small)
                terms.append(math.log(weight / 4) + small * (scores - m).sum() - psi * spread)
                terms.append(math.log(weight / 4) + large * scores.sum() - len(scores) * math.log(1 - m + m * math.exp(large)))
        return float(scipy.special.logsumexp(terms))

    return of


def ends(of, middle, least, most):
    limit = math.log(20)
    solve = lambda bound: bound if of(bound) < limit else scipy.optimize.brentq(lambda x: of(x) - limit, middle, bound, xtol=1e-13)
    return solve(least), solve(most)


def smallest(of, low, high):
    if high - low < 1e-12:
        return of(low)
    found = scipy.optimize.minimize_scalar(of, bounds=(low, high), method="bounded", options={"xatol": 1e-12})
    return min(found.fun, of(low), of(high))


def anytime(random, source):
    # confseq was written for numpy before 2, and its parallel part is not used.
    numpy.float_ = numpy.float64
    sys.modules["multiprocess"] = types.ModuleType("multiprocess")
    sys.path.insert(0, source)
    from confseq.predmix import predmix_empbern_twosided_cs

    told = []
    for name, draw in [
        ("one", lambda n: numpy.ones(n)), ("coin", lambda n: (random.random(n) < 0.5).astype(float)),
        ("mostly right", lambda n: (random.random(n) < 0.93).astype(float)), ("beta", lambda n: random.beta(8, 2, n).round(4)),
        ("anything", lambda n: random.random(n).round(4)),
    ]:
        for n in (1, 10, 100, 1000):
            scores = draw(n)
            low, high = ends(capital(scores), scores.mean(), 0.0, 1.0)
            theirs = predmix_empbern_twosided_cs(scores, alpha=0.05)
            width = min(theirs[1][-1], 1.0) - max(theirs[0][-1], 0.0)
            told.append({"name": name, "scores": scores.tolist(), "low": low, "high": high, "plug_in_width": float(width)})
    return told


def arms(random):
    told = []
    for n, a, b, margin in [(30, 0.5, 0.5, 0.0), (200, 0.9, 0.7, 0.05), (400, 0.8, 0.85, 0.1), (300, 0.9, 0.6, 0.1)]:
        first, second = (random.random(n) < a).astype(float), (random.random(n // 2) < b).astype(float)
        of_first, of_second = capital(first), capital(second)
        pair = lambda d: smallest(lambda m: of_first(m) + of_second(min(max(m + d, 0.0), 1.0)), max(0.0, -d), min(1.0, 1.0 - d))
        low, high = ends(pair, second.mean() - first.mean(), -1.0, 1.0)
        best = [scipy.optimize.minimize_scalar(of, bounds=(0, 1), method="bounded", options={"xatol": 1e-12}) for of in (of_first, of_second)]
        allowed = best[1].x >= best[0].x - margin
        log_e = best[0].fun + best[1].fun if allowed else pair(-margin)
        told.append({
            "first": first.tolist(), "second": second.tolist(), "low": low, "high": high, "margin": margin, "log_e": float(log_e),
        })
    return told


def asymptotic(random):
    told = []
    for n in (100, 1000, 5000):
        scores = random.lognormal(0, 0.5, n).round(4)
        r = (-2 * math.log(0.05) + math.log(-2 * math.log(0.05) + 1)) / 1000
        half = scores.std(ddof=1) * math.sqrt(2 * (n * r + 1) / (n * n * r) * math.log(math.sqrt(n * r + 1) / 0.05))
        half *= scipy.stats.t.ppf(0.975, n - 1) / scipy.stats.norm.ppf(0.975)
        told.append({"scores": scores.tolist(), "low": float(scores.mean() - half), "high": float(scores.mean() + half)})
    return told


def davidson(models, matches, ridge):
    a, b, outcome = numpy.array(matches).T
    tied = bool((outcome == 0).any())

    def loss(x):
        theta, log_nu = x[:models], x[models] if tied else -math.inf
        logs = numpy.stack([theta[a], (theta[a] + theta[b]) / 2 + log_nu, theta[b]])
        told = logs[1 - outcome, range(len(a))]
        return ridge / 2 * (x**2).sum() + (scipy.special.logsumexp(logs, axis=0) - told).sum()

    start = numpy.zeros(models + tied)
    found = scipy.optimize.minimize(loss, start, method="BFGS", options={"gtol": 1e-7}).x
    found = scipy.optimize.minimize(loss, found, method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13, "maxiter": 20000}).x
    inverse = numpy.linalg.inv(statsmodels.tools.numdiff.approx_hess(found, loss))[:models, :models]
    centre = numpy.eye(models) - 1 / models
    covariance = centre @ inverse @ centre
    return found[:models], math.exp(found[models]) if tied else None, covariance


def strengths(random):
    told = []
    for models, n, ties in [(3, 60, 0.0), (5, 300, 0.3), (4, 40, 0.2)]:
        theta = random.normal(0, 1, models)
        matches = []
        for _ in range(n):
            a, b = (int(x) for x in random.choice(models, 2, replace=False))
            tie = random.random() < ties
            matches.append((a, b, 0 if tie else 1 if random.random() < scipy.special.expit(theta[a] - theta[b]) else -1))
        if models == 4:
            # One that never loses.
            matches = [(a, b, 1 if a == 0 else -1 if b == 0 else outcome) for a, b, outcome in matches]
        found, nu, covariance = davidson(models, matches, 0.01)
        case = {
            "models": models, "matches": matches, "theta": found.tolist(), "tie": nu,
            "errors": numpy.sqrt(numpy.diag(covariance)).tolist(),
            "apart_error": float(math.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])),
        }
        if nu is None:
            # choix takes ridge·Σθ², not half of it.
            won = [(a, b) if outcome == 1 else (b, a) for a, b, outcome in matches]
            case["choix"] = choix.opt_pairwise(models, won, alpha=0.005, tol=1e-12).tolist()
        ratings = [1000.0] * models
        for a, b, outcome in matches:
            expected = 1 / (1 + 10 ** ((ratings[b] - ratings[a]) / 400))
            gained = 4 * ((outcome + 1) / 2 - expected)
            ratings[a], ratings[b] = ratings[a] + gained, ratings[b] - gained
        told.append(case | {"elo": ratings})
    return told


def win_rates(random):
    told = []
    for models, metrics in [(2, 1), (5, 4), (6, 10)]:
        table = random.integers(0, 6, (metrics, models)).astype(float)
        table[random.random((metrics, models)) < 0.15] = numpy.nan
        lower = random.random(metrics) < 0.4
        rates = []
        for model in range(models):
            shares = []
            for row, less in zip(-table * (2 * lower[:, None] - 1), lower):
                others = [row[other] for other in range(models) if other != model and not numpy.isnan(row[other])]
                if not numpy.isnan(row[model]) and others:
                    # How likely it is better than another one drawn at random.
                    shares.append(float(numpy.mean([1.0 if row[model] > other else 0.5 if row[model] == other else 0.0 for other in others])))
            rates.append(float(numpy.mean(shares)) if shares else None)
        rows = [[None if numpy.isnan(value) else value for value in row] for row in table.tolist()]
        told.append({"values": rows, "lower": lower.tolist(), "rates": rates})
    return told


def main() -> None:
    random = numpy.random.default_rng(SEED)
    told = {
        "versions": {
            "python": platform.python_version(), "numpy": numpy.__version__, "scipy": scipy.__version__, "sklearn": sklearn.__version__,
            "statsmodels": statsmodels.__version__, "krippendorff": "0.9.0", "choix": "0.4.1", "ppi-python": "0.2.3",
            "crowd-kit": "1.4.2", "confseq": "0.0.11",
        },
        "seed": SEED,
        "kappa": kappa(random),
        "alpha": alpha(random),
        "rank": rank(random),
        "length": length(random),
        "graded": graded(),
        "ppi": ppi(random),
        "dawid_skene": dawid_skene(random),
        "anytime": anytime(random, sys.argv[1]),
        "arms": arms(random),
        "asymptotic": asymptotic(random),
        "strengths": strengths(random),
        "win_rates": win_rates(random),
    }
    lines = []
    for name, value in told.items():
        if isinstance(value, list):
            rows = ",\n".join(json.dumps(row, allow_nan=False) for row in value)
            lines.append(f'"{name}": [\n{rows}\n]')
        else:
            lines.append(f'"{name}": {json.dumps(value)}')
    print("{" + ",\n".join(lines) + "}")


main()
