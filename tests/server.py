"""The real binary, started for a test and stopped after it."""

import json
import os
import re
import signal
import subprocess
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
BINARY = Path(os.environ.get("QUARTERDECK_BIN", ROOT / "target/release/quarterdeck"))
CHAT = "smollm2-135m-instruct"
EMBED = "all-minilm-l6-v2"


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
