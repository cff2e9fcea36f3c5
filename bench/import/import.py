#!/usr/bin/env python3
"""Imports a million rows of JSON lines with three bad ones, and says what that took.

First the bad rows must be named and nothing imported. Then the import is killed with SIGKILL while it writes: there must be no dataset
at the next start, which begins it again by itself. The server's memory is the highest that the kernel saw (VmHWM), of the process
that named the bad rows and of the one that imported. Prints Markdown on standard output, and ends with 1 when something is not as it
must be.

usage: import.py --binary target/release/quarterdeck [--rows 1000000] [--folder DIR]
"""

import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

BAD = {0.25: "{\"id\": x}", 0.5: "\"just a text\"", 1.0: "{\"id\": 7, \"question\": \"again\"}"}
MOST_MEMORY_MB = 500


class House:
    """A data folder, and the server on it."""

    def __init__(self, binary, folder):
        self.binary, self.folder, self.data = pathlib.Path(binary).resolve(), folder, folder / "data"
        settings = ["server.address=127.0.0.1:0", "otlp.grpc=false", "models.defaults=[]", "models.preload=[]"]
        self.settings = [part for setting in settings for part in ("--set", setting)]
        self.server = None

    def start(self):
        log = (self.folder / "server.log").open("ab")
        command = [self.binary, "serve", "--data", self.data, *self.settings]
        self.server = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder)
        while self.server.poll() is None and not (self.data / "server.json").exists():
            time.sleep(0.02)
        if self.server.poll() is not None:
            sys.exit(f"the server ended; see {self.folder / 'server.log'}")

    def kill(self):
        self.server.kill()
        self.server.wait()
        (self.data / "server.json").unlink(missing_ok=True)

    def stop(self):
        self.server.terminate()
        self.server.wait()

    def run(self, *words):
        command = [self.binary, "--data", self.data, "--output", "json", *words]
        return subprocess.run(command, capture_output=True, text=True, cwd=self.folder)

    def ask(self, *words):
        done = self.run(*words)
        if done.returncode != 0:
            sys.exit(f"{' '.join(map(str, words))}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def memory_mb(self):
        lines = pathlib.Path(f"/proc/{self.server.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1000 for line in lines if line.startswith("VmHWM"))


def write(path, rows):
    """Six columns, two of them nested, and the bad rows at their places."""
    bad = {round(rows * share): line for share, line in BAD.items()}
    with path.open("w", encoding="utf-8") as file:
        for n in range(1, rows + 1):
            row = {
                "id": n, "question": f"How much is {n} and {n}? Think of it as of {n % 97} baskets of apples.", "answer": str(2 * n),
                "difficulty": n % 1000 / 10, "tags": [f"t{n % 7}", None], "source": {"file": f"part-{n % 11}.txt", "line": n},
            }
            file.write((bad.get(n) or json.dumps(row)) + "\n")
    return list(bad)


def must(what, holds):
    if not holds:
        sys.exit(f"NOT SO: {what}")


def named(house, file, bad):
    begun = time.monotonic()
    refused = house.run("dataset", "import", "big", file, "--role", "id=id")
    took = time.monotonic() - begun
    said = " ".join(refused.stderr.replace("│", " ").split())
    must("it is refused", refused.returncode == 1)
    for line in bad:
        must(f"line {line} is named: {said}", f"line {line}: " in said)
    must("nothing is imported", house.ask("dataset", "list") == [])
    return took, said


def killed(house, file):
    """Kills the server while rows are written, and waits for the import that begins again by itself."""
    job = house.ask("dataset", "import", "big", file, "--role", "id=id", "--skip-bad", "--detach")["id"]
    half = house.data / "datasets" / "tmp"
    while not (half.is_dir() and any(half.iterdir())):
        time.sleep(0.01)
    house.kill()
    must("there is half a file", any(half.iterdir()))
    house.start()
    must("there is no dataset", house.ask("dataset", "list") == [] or house.ask("job", "show", job)["state"] == "succeeded")
    while (state := house.ask("job", "show", job)["state"]) in ("queued", "running"):
        time.sleep(0.2)
    must(f"the import that began again is done: {state}", state == "succeeded")
    must("nothing half-written is left", not any(half.iterdir()))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--folder", type=pathlib.Path)
    wanted = parser.parse_args()
    os.environ.pop("QUARTERDECK_URL", None)
    # Whoever ends this ends the server too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    folder = (wanted.folder or pathlib.Path(tempfile.mkdtemp(prefix="import-"))).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "big.jsonl"
    bad = write(file, wanted.rows)
    house = House(wanted.binary, folder)
    house.start()
    try:
        told(house, file, bad, wanted.rows)
    finally:
        house.stop()


def told(house, file, bad, rows):
    idle = house.memory_mb()
    took, said = named(house, file, bad)
    naming = house.memory_mb()
    killed(house, file)
    house.kill()
    house.start()
    begun = time.monotonic()
    made = house.ask("dataset", "import", "again", file, "--role", "id=id", "--skip-bad")
    importing, writing = time.monotonic() - begun, house.memory_mb()
    must("three rows are left out", (made["rows"], made["skipped"]) == (rows - 3, 3))
    must(f"memory stays below {MOST_MEMORY_MB} MB: {naming} and {writing}", max(naming, writing) < MOST_MEMORY_MB)
    print(f"{rows} rows, {file.stat().st_size / 1e6:.0f} MB of JSON lines.\n")
    print("| | seconds | most memory, MB |\n| --- | --- | --- |")
    print(f"| just started | | {idle:.0f} |")
    print(f"| three bad rows named | {took:.1f} | {naming:.0f} |")
    print(f"| imported without them | {importing:.1f} | {writing:.0f} |")
    print(f"\nIt said: {said}\n\nKilled while it wrote: no dataset, nothing half-written, and the next start imported it by itself.")


if __name__ == "__main__":
    main()
