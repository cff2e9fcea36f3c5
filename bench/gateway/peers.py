"""The gateways that are measured: how each is installed, started and asked."""

import contextlib
import dataclasses
import json
import os
import pathlib
import subprocess
import urllib.request

import packages
import process
import product

LITELLM = "1.102.4"
PORTKEY = "1.15.2"
TENSORZERO = "2026.6.0"

# A gateway has half of the cores; the stub and the load have the other half, so that they never take its time.
CORES, RIG_CORES = process.halves()

QUESTION = "What is the capital of France, and how many people live there?"


@dataclasses.dataclass
class Running:
    """A gateway that is up, and how to ask it."""

    url: str
    headers: list
    model: str
    pid: int

    def load_arguments(self):
        body = json.dumps({"model": self.model, "messages": [{"role": "user", "content": QUESTION}]}, separators=(",", ":"))
        arguments = ["--url", self.url, "--body", body]
        for header in self.headers:
            arguments += ["--header", header]
        return arguments


def npm_install():
    folder = packages.VENV / "portkey"
    mark = folder / "installed"
    if not mark.exists() or mark.read_text() != PORTKEY:
        print(f"installing @portkey-ai/gateway {PORTKEY}", flush=True)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "package.json").write_text("{}")
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund", f"@portkey-ai/gateway@{PORTKEY}"], cwd=folder, check=True)
        mark.write_text(PORTKEY)
    return folder


LITELLM_CONFIG = """\
model_list:
  - model_name: gpt-4o-mini
    litellm_params: {{model: openai/gpt-4o-mini, api_base: "{upstream}", api_key: sk-stub}}
litellm_settings: {{num_retries: 0, telemetry: false}}
general_settings: {{master_key: sk-1234}}
"""


@contextlib.contextmanager
def litellm(upstream, folder):
    """LiteLLM's proxy with one worker, its key check on, storing nothing."""
    programs = packages.pip_install("litellm", f"litellm[proxy]=={LITELLM}")
    config = folder / "litellm.yaml"
    config.write_text(LITELLM_CONFIG.format(upstream=upstream))
    port = process.free_port()
    quiet = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR", "LITELLM_MODE": "PRODUCTION"}
    path = f"{programs}:{os.environ['PATH']}"
    command = [programs / "litellm", "--config", config, "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    base = f"http://127.0.0.1:{port}"
    with process.server(command, folder / "litellm.log", f"{base}/health/liveliness", env=os.environ | quiet | {"PATH": path}, cores=CORES) as server:
        yield Running(f"{base}/v1/chat/completions", ["authorization: Bearer sk-1234"], "gpt-4o-mini", server.pid)


@contextlib.contextmanager
def portkey(upstream, folder):
    """Portkey's gateway: no key check, storing nothing."""
    home = npm_install()
    port = process.free_port()
    command = ["node", home / "node_modules/@portkey-ai/gateway/build/start-server.js", f"--port={port}", "--headless"]
    base = f"http://127.0.0.1:{port}"
    with process.server(command, folder / "portkey.log", base, cores=CORES) as server:
        headers = ["authorization: Bearer sk-1234", "x-portkey-provider: openai", f"x-portkey-custom-host: {upstream}"]
        yield Running(f"{base}/v1/chat/completions", headers, "gpt-4o-mini", server.pid)


TENSORZERO_CONFIG = """\
[gateway]
observability.enabled = false
[models.stub]
routing = ["stub"]
[models.stub.providers.stub]
type = "openai"
model_name = "gpt-4o-mini"
api_base = "{upstream}/"
api_key_location = "none"
[functions.chat]
type = "chat"
[functions.chat.variants.v]
type = "chat_completion"
model = "stub"
"""

# The embedded gateway takes a random port and tells it only in process.
TENSORZERO_SERVER = """\
import sys, time, pathlib
from tensorzero import _start_http_gateway
gateway = _start_http_gateway(config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False)
pathlib.Path(sys.argv[2]).write_text(gateway.base_url)
time.sleep(86400)
"""


@contextlib.contextmanager
def tensorzero(upstream, folder):
    """TensorZero's gateway: no key check, observability off, so it stores nothing."""
    programs = packages.pip_install("tensorzero", f"tensorzero=={TENSORZERO}")
    config, address = folder / "tensorzero.toml", folder / "tensorzero.url"
    config.write_text(TENSORZERO_CONFIG.format(upstream=upstream))
    address.unlink(missing_ok=True)
    command = [programs / "python", "-c", TENSORZERO_SERVER, config, address]
    ready = lambda: address.read_text() if address.exists() else "http://127.0.0.1:1"
    with process.server(command, folder / "tensorzero.log", ready, cores=CORES) as server:
        yield Running(f"{address.read_text().rstrip('/')}/chat/completions", [], "tensorzero::model_name::stub", server.pid)


# The provider is called `openai`, so that its calls have a price; the route's name differs from the model's, so that the
# gateway has to rewrite each request as it would in production.
QUARTERDECK_CONFIG = """\
[server]
address = "127.0.0.1:{port}"
[models]
defaults = []
preload = []
[net]
allow = ["127.0.0.0/8"]
[[providers]]
name = "openai"
base_url = "{upstream}"
[[routes]]
name = "fast"
targets = [{{ provider = "openai", model = "gpt-4o-mini" }}]
"""


@contextlib.contextmanager
def quarterdeck(upstream, folder):
    """Our gateway: key check, cost and durable tracing on."""
    data, config = folder / "quarterdeck", folder / "quarterdeck.toml"
    port = process.free_port()
    config.write_text(QUARTERDECK_CONFIG.format(port=port, upstream=upstream))
    common = [product.binary(), "--config", config, "--data", data]
    base = f"http://127.0.0.1:{port}"
    with process.server([*common, "serve"], folder / "quarterdeck.log", f"{base}/health", cores=CORES) as server:
        key = command_json(common, "key", "create", "bench", "--scope", "infer", "--scope", "read")["key"]
        yield Quarterdeck(f"{base}/v1/chat/completions", [f"authorization: Bearer {key}"], "fast", server.pid, common)


@dataclasses.dataclass
class Quarterdeck(Running):
    """Ours can also be asked what it has recorded."""

    common: list

    def recorded(self):
        """How many calls have a trace row, and what they cost in all."""
        return command_json(self.common, "sql", "SELECT count(*) AS n, sum(cost_picodollars) AS cost FROM spans")[0]

    def lost(self):
        """Calls that left no row, by its own count."""
        base, key = self.url.removesuffix("/v1/chat/completions"), self.headers[0].split(": ")[1]
        request = urllib.request.Request(f"{base}/api/v1/status", headers={"authorization": key})
        with urllib.request.urlopen(request, timeout=60) as response:
            status = json.load(response)
        return status["unrecorded_calls"] + status["recorder"]["dropped"] + status["recorder"]["failed"]


def command_json(common, *words):
    done = subprocess.run([*common, "--output", "json", *words], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def versions():
    ours = subprocess.run([product.binary(), "--version"], check=True, capture_output=True, text=True).stdout.strip()
    return {"quarterdeck": ours.split()[-1], "litellm": LITELLM, "portkey": PORTKEY, "tensorzero": TENSORZERO}
