"""What takes traces: ours, Phoenix and MLflow, each as its makers say to start it, with SQLite."""

import contextlib
import dataclasses
import json
import os
import sqlite3
import time
import urllib.request

import ours
import packages
import process

PHOENIX = "20.26.1"
MLFLOW = "3.17.0"


@dataclasses.dataclass
class Taker:
    """Where traces go, and how many have arrived to stay."""

    name: str
    url: str
    headers: list
    pid: int
    stored: object
    server: object = None


# A route to the stub upstream, for calls through the gateway beside the exporters.
GATEWAY = """\
[net]
allow = ["127.0.0.0/8"]
[[providers]]
name = "stub"
base_url = "{upstream}"
[[routes]]
name = "fast"
targets = [{{ provider = "stub", model = "gpt-4o-mini" }}]
"""


@contextlib.contextmanager
def quarterdeck(folder, upstream):
    """An acknowledgement means durable."""
    with ours.server(folder, GATEWAY.format(upstream=upstream)) as server:
        count = lambda: server.sql("SELECT count(*) AS n FROM spans")[0]["n"]
        yield Taker("quarterdeck", f"{server.base}/v1/traces", [f"authorization: Bearer {server.key}"], server.pid, count, server)


@contextlib.contextmanager
def phoenix(folder):
    """An acknowledgement means queued: what counts is when the rows are there."""
    programs = packages.pip_install("phoenix", f"arize-phoenix=={PHOENIX}")
    data, port = folder / "phoenix", process.free_port()
    data.mkdir()
    settings = {
        "PHOENIX_WORKING_DIR": str(data),
        "PHOENIX_HOST": "127.0.0.1",
        "PHOENIX_PORT": str(port),
        "PHOENIX_GRPC_PORT": str(process.free_port()),
        "PHOENIX_TELEMETRY_ENABLED": "false",
    }
    base = f"http://127.0.0.1:{port}"
    with process.server([programs / "phoenix", "serve"], folder / "phoenix.log", f"{base}/healthz", env=os.environ | settings) as server:
        yield Taker("phoenix", f"{base}/v1/traces", [], server.pid, lambda: rows(data / "phoenix.db", "spans"))


@contextlib.contextmanager
def mlflow(folder):
    """An acknowledgement means inserted."""
    programs = packages.pip_install("mlflow", f"mlflow=={MLFLOW}")
    database, port = folder / "mlflow.db", process.free_port()
    command = [programs / "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{database}", "--workers", "1"]
    base = f"http://127.0.0.1:{port}"
    path = {"PATH": f"{programs}:{os.environ['PATH']}"}
    with process.server(command, folder / "mlflow.log", f"{base}/health", cwd=folder, env=os.environ | path) as server:
        experiment = create_experiment(base)
        yield Taker("mlflow", f"{base}/v1/traces", [f"x-mlflow-experiment-id: {experiment}"], server.pid, lambda: rows(database, "spans"))


def create_experiment(base):
    body = json.dumps({"name": "bench"}).encode()
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(f"{base}/api/2.0/mlflow/experiments/create", data=body, headers=headers)
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)["experiment_id"]


def rows(database, table):
    """Rows of a table that another process writes."""
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30)) as connection:
        return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]


def wait_until_stored(taker, spans, limit_s=900):
    """Until so many spans are there."""
    give_up = time.monotonic() + limit_s
    while (found := taker.stored()) < spans:
        if time.monotonic() > give_up:
            raise RuntimeError(f"{taker.name} had stored {found} of {spans} spans after {limit_s} s")
        time.sleep(0.1)


def versions():
    return {"phoenix": PHOENIX, "mlflow": MLFLOW}
