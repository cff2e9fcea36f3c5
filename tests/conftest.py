"""The real binary, driven by the real `openai` package, with a stub upstream beside it."""

import os
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
