"""Our server as benches that fill and ask it use it: started in a folder, with a key, asked over HTTP."""

import contextlib
import dataclasses
import json
import subprocess
import time
import urllib.parse
import urllib.request

import process
import product

CONFIG = """\
[server]
address = "127.0.0.1:{port}"
[models]
defaults = []
preload = []
[otlp]
grpc = false
"""


@dataclasses.dataclass
class Server:
    """A running server, and how it is asked."""

    base: str
    key: str
    pid: int
    command: list

    def get(self, path, **parameters):
        """The answer to a GET, and how long it took, in milliseconds."""
        return self.ask("GET", path + ("?" + urllib.parse.urlencode(parameters) if parameters else ""))

    def ask(self, method, path, body=None):
        headers = {"authorization": f"Bearer {self.key}", "content-type": "application/json"}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, method=method, data=data, headers=headers)
        begin = time.perf_counter()
        with urllib.request.urlopen(request, timeout=600) as response:
            answer = response.read()
        took_ms = (time.perf_counter() - begin) * 1000
        return (json.loads(answer) if answer else None), took_ms

    def sql(self, statement):
        return command_json(self.command, "sql", statement)


@contextlib.contextmanager
def server(folder, extra=""):
    """Runs our server over the data in `folder` until the block ends."""
    data, config, port = folder / "data", folder / "quarterdeck.toml", process.free_port()
    config.write_text(CONFIG.format(port=port) + extra)
    command = [product.binary(), "--config", config, "--data", data]
    base = f"http://127.0.0.1:{port}"
    with process.server([*command, "serve"], folder / "quarterdeck.log", f"{base}/health") as running:
        scopes = [word for scope in ("infer", "write", "admin") for word in ("--scope", scope)]
        key = command_json(command, "key", "create", f"bench-{time.time_ns()}", *scopes)["key"]
        yield Server(base, key, running.pid, command)


def command_json(command, *words):
    done = subprocess.run([*command, "--output", "json", *words], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def export(url, headers, **options):
    """Sends traces with `qd-bench export`; its options by name. What became of them."""
    command = [product.binary("qd-bench"), "export", "--url", url]
    for header in headers:
        command += ["--header", header]
    for name, value in options.items():
        command += [f"--{name.replace('_', '-')}", str(value)]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
