"""The two servers of this bench: ours and llama-cpp-python's, on the same file and threads."""

import contextlib
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.request
import venv

import process
import product

MODEL = "smollm2-135m-instruct"
# The release of July 2026 and later bundle a llama.cpp of the same months as llama-cpp-2 0.1.160.
PEER = "0.3.36"
# The processor features that our build script gives llama.cpp: AVX2, FMA, F16C and BMI2, whatever the machine.
PEER_CMAKE = "-DGGML_NATIVE=OFF -DLLAVA_BUILD=OFF -DLLAMA_BUILD_TOOLS=OFF"
CONTEXT_TOKENS = 8192

CONFIG = """
[server]
address = "127.0.0.1:{port}"

[engine]
threads = {threads}
context = {context}

[models]
defaults = ["{model}"]
preload = ["{model}"]
mirror = "{mirror}"
"""


@dataclasses.dataclass
class Server:
    """Where a server listens, and how it is asked."""

    name: str
    port: int
    headers: dict
    pid: int


def threads():
    return len(os.sched_getaffinity(0))


def models_folder():
    return pathlib.Path(os.environ.get("QUARTERDECK_TEST_MODELS") or pathlib.Path.home() / ".cache/quarterdeck/test-models")


def weights():
    path = models_folder() / "smollm2-135m-instruct-q4_1.gguf"
    if not path.exists():
        subprocess.run([product.ROOT / "scripts/fetch-test-models"], check=True, stdout=sys.stderr)
    return path


def install_peer():
    """The peer in its own virtual environment; built from source the first time, which takes some minutes."""
    folder = product.ROOT / "bench/.venv/serve"
    python = folder / "bin/python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    wanted = f"llama-cpp-python[server]=={PEER}"
    if version_of(python, "llama-cpp-python") != PEER:
        environment = {**os.environ, "CMAKE_ARGS": PEER_CMAKE}
        command = [python, "-m", "pip", "install", "--quiet", wanted]
        subprocess.run(command, env=environment, check=True, stdout=sys.stderr)
    return python


def version_of(python, package):
    program = f"import importlib.metadata as m; print(m.version({package!r}))"
    done = subprocess.run([python, "-c", program], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else None


@contextlib.contextmanager
def ours(folder):
    """`quarterdeck serve` as a user starts it: key check and tracing on."""
    port = process.free_port()
    config = folder / "quarterdeck.toml"
    mirror = weights().parent
    config.write_text(CONFIG.format(port=port, threads=threads(), context=CONTEXT_TOKENS, model=MODEL, mirror=mirror))
    common = [product.binary(), "--config", config, "--data", folder / "data"]
    with process.server([*common, "serve"], folder / "ours.log", f"http://127.0.0.1:{port}/health") as started:
        made = subprocess.run([*common, "--output", "json", "key", "create", "bench", "--scope", "infer"], check=True, capture_output=True, text=True)
        server = Server("ours", port, {"Authorization": f"Bearer {json.loads(made.stdout)['key']}"}, started.pid)
        wait_for_model(server)
        yield server


@contextlib.contextmanager
def theirs(folder, python):
    """llama-cpp-python's OpenAI server. Left to itself it would cut a stream off when another request comes."""
    port = process.free_port()
    options = {
        "--model": weights(), "--model_alias": MODEL, "--n_ctx": CONTEXT_TOKENS, "--n_threads": threads(),
        "--n_threads_batch": threads(), "--interrupt_requests": "False", "--host": "127.0.0.1", "--port": port,
    }
    words = [str(word) for option in options.items() for word in option]
    command = [python, "-m", "llama_cpp.server", *words]
    with process.server(command, folder / "theirs.log", f"http://127.0.0.1:{port}/v1/models") as started:
        server = Server("theirs", port, {}, started.pid)
        wait_for_model(server)
        yield server


def wait_for_model(server):
    """Until the model answers: ours takes its files in the first seconds."""
    body = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 1}).encode()
    headers = {"Content-Type": "application/json", **server.headers}
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}/v1/chat/completions", body, headers)
    give_up = time.monotonic() + process.START_LIMIT_S
    while not accepts(request):
        if time.monotonic() > give_up:
            raise RuntimeError(f"{server.name} does not answer for {MODEL}")
        time.sleep(0.1)


def accepts(request):
    try:
        urllib.request.urlopen(request, timeout=60).close()
        return True
    except OSError:
        return False


def versions(python):
    told = subprocess.run([product.binary(), "--version"], check=True, capture_output=True, text=True).stdout.split()
    return {"quarterdeck": told[-1], "llama-cpp-2": "0.1.160", "llama-cpp-python": PEER, "python": version_of_python(python)}


def version_of_python(python):
    return subprocess.run([python, "--version"], check=True, capture_output=True, text=True).stdout.split()[-1]
