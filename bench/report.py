"""What a bench reports: figures with their aims, and the machine they were taken on."""

import json
import os
import pathlib
import platform
import sys


def figure(name, unit, ours, aim=None, better="higher", peer=None, theirs=None):
    """One figure. The aim is about the ratio to the peer, or about our own value where there is no peer."""
    ratio = None if theirs is None else ours / theirs
    compared = ours if ratio is None else ratio
    met = None if aim is None else (compared >= aim if better == "higher" else compared <= aim)
    values = {"ours": ours, "peer": peer, "theirs": theirs, "ratio": ratio}
    rounded = {key: round(value, 4) if isinstance(value, float) else value for key, value in values.items()}
    return {"name": name, "unit": unit, **rounded, "aim": aim, "better": better, "met": met}


def machine():
    """The machine, and how busy it was before the run: read a figure from a busy one as a bound."""
    info = pathlib.Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    load = round(os.getloadavg()[0], 1)
    return {"cpu": names[0] if names else platform.processor(), "cores": cores, "system": platform.platform(), "load_before": load}


def say(text):
    """Progress, for a person."""
    print(text, file=sys.stderr, flush=True)


def finish(bench, figures, on, versions):
    """Prints the result as the one line that bench/run reads."""
    print(json.dumps({"bench": bench, "figures": figures, "machine": on, "versions": versions}))
