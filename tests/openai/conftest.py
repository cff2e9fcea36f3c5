"""The real binary, driven by the real `openai` package, with a stub upstream beside it."""

import json
import os
import re
import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import openai
import pytest

from stub import Stub

ROOT = Path(__file__).resolve().parents[2]
BINARY = Path(os.environ.get("QUARTERDECK_BIN", ROOT / "target/release/quarterdeck"))
CHAT = "smollm2-135m-instruct"
EMBED = "all-minilm-l6-v2"


@pytest.fixture(scope="session")
def test_models() -> Path:
    folder = Path(os.environ.get("QUARTERDECK_TEST_MODELS") or Path.home() / ".cache/quarterdeck/test-models")
    if not (folder / "smollm2-135m-instruct-q4_1.gguf").is_file():
        pytest.fail(f"the default models are not in {folder}; run `make models`")
    return folder


@pytest.fixture(scope="session")
def stub():
    with Stub() as running:
        yield running


class Server:
    """A running Quarterdeck and its first key."""

    def __init__(self, folder: Path, config: str):
        (folder / "quarterdeck.toml").write_text(config)
        self.folder, self.log = folder, folder / "server.log"
        outside = {name: value for name, value in os.environ.items() if not name.startswith("QUARTERDECK_")}
        # Threads that spin while they wait for each other starve when other programs need the cores too.
        self.environment = {**outside, "STUB_KEY": "sk-upstream", "OMP_WAIT_POLICY": "passive"}
        command = [BINARY, "serve", "--data", folder / "data", "--config", folder / "quarterdeck.toml"]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self.log.open("w"), text=True, env=self.environment
        )
        greeting = self._greeting()
        self.url = re.search(r"http://[\d.]+:\d+", greeting).group()
        self.key = re.search(r"qd-\S+", greeting).group()

    def _greeting(self) -> str:
        """Everything up to the line that works with `curl`, which is the last one."""
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if "curl " in line:
                return "".join(lines)
        pytest.fail("the server ended before it greeted:\n" + self.log.read_text())

    def command(self, *arguments: str) -> str:
        """Runs a command of the same binary against this server and returns what it prints."""
        done = subprocess.run(
            [BINARY, *arguments, "--data", self.folder / "data", "--config", self.folder / "quarterdeck.toml"],
            capture_output=True, text=True, env=self.environment, timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def raw(self, method: str, path: str, body: bytes | dict | None = None, headers: dict | None = None):
        """The status, headers and text of an answer, whatever its status; for what the package does not show."""
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json", **(headers or {})}
        request = urllib.request.Request(self.url + path, data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, answer.headers, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.headers, refused.read().decode()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60)


@pytest.fixture(scope="session")
def server(tmp_path_factory, test_models, stub):
    folder = tmp_path_factory.mktemp("quarterdeck")
    running = Server(folder, configuration(test_models, stub.url))
    yield running
    code = running.stop()
    assert code == 0, "SIGTERM drains and ends with 0:\n" + running.log.read_text()


def configuration(test_models: Path, upstream: str) -> str:
    return f"""
[server]
address = "127.0.0.1:0"

[models]
mirror = "{test_models}"

[net]
allow = ["127.0.0.1"]

[[providers]]
name = "stub"
base_url = "{upstream}/v1"
api_key_env = "STUB_KEY"

[[routes]]
name = "routed"
targets = [{{ provider = "stub", model = "stub-large" }}]
"""


@pytest.fixture(scope="session")
def client(server):
    # No retries: an error is to be seen as it was answered.
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.key, max_retries=0, timeout=120) as client:
        yield client
