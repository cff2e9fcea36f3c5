"""The real binary, driven by the real `openai` package, with a stub upstream beside it."""

import os
import socket
from pathlib import Path

import openai
import pytest

from server import Server
from stub import Stub


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


@pytest.fixture(scope="session")
def server(tmp_path_factory, test_models, stub):
    folder = tmp_path_factory.mktemp("quarterdeck")
    grpc_port = free_port()
    running = Server(folder, configuration(test_models, stub.url, grpc_port))
    running.grpc_url = f"http://127.0.0.1:{grpc_port}"
    yield running
    code = running.stop()
    assert code == 0, "SIGTERM drains and ends with 0:\n" + running.log.read_text()


def free_port() -> int:
    """A port that nothing listens on; another program may take it before the server does, which then says so."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def configuration(test_models: Path, upstream: str, grpc_port: int) -> str:
    return f"""
[server]
address = "127.0.0.1:0"

[otlp]
address = "127.0.0.1:{grpc_port}"

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
