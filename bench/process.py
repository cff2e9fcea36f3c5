"""Servers that a bench starts: wait until they answer, weigh them, end them."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

START_LIMIT_S = 120
STOP_LIMIT_S = 20


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(url):
    """Whether anything at all answers HTTP there."""
    try:
        urllib.request.urlopen(url, timeout=2).close()
        return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def halves():
    """The machine's cores in two halves: one for what is measured, one for what measures it. One core serves as both."""
    cores = sorted(os.sched_getaffinity(0))
    half = len(cores) // 2
    return (set(cores[:half]) or set(cores), set(cores[half:]))


def on(cores):
    """For `preexec_fn`: the process, and all that it starts, runs on these cores only."""
    return (lambda: os.sched_setaffinity(0, cores)) if cores else None


@contextlib.contextmanager
def server(command, log, ready_url, env=None, cwd=None, cores=None):
    """Runs a server until the block ends, on `cores` only if some are named. `log` is the path of its output."""
    log = pathlib.Path(log)
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, env=env, cwd=cwd, preexec_fn=on(cores))
    try:
        wait_until_ready(process, ready_url, log)
        yield process
    finally:
        stop(process)


def wait_until_ready(process, url, log):
    give_up = time.monotonic() + START_LIMIT_S
    while not answers(url() if callable(url) else url):
        if process.poll() is not None or time.monotonic() > give_up:
            tail = log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{process.args[0]} did not start:\n{tail}")
        time.sleep(0.1)


def stop(process):
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def family(pid):
    """A process and its descendants."""
    children = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            children += [int(child) for child in task.read_text().split()]
    return [pid, *(member for child in children for member in family(child))]


def resident_mib(pid):
    """Resident memory of a process and its descendants."""
    return sum(status_kib(member, "VmRSS") for member in family(pid)) / 1024


def peak_mib(pid):
    """The most memory that a process and its descendants have had since `forget_peak`, each at its own time."""
    return sum(status_kib(member, "VmHWM") for member in family(pid)) / 1024


def forget_peak(pid):
    for member in family(pid):
        with contextlib.suppress(OSError):
            pathlib.Path(f"/proc/{member}/clear_refs").write_text("5")


def cpu_seconds(pid):
    """Processor time of a process and its descendants so far."""
    ticks = 0
    for member in family(pid):
        with contextlib.suppress(OSError):
            # After the name, which may hold anything: state is field 3, user and system time are 14 and 15.
            fields = pathlib.Path(f"/proc/{member}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def wait_until_idle(pid, share=0.05, seconds=5, limit_s=900):
    """Until a process has used less than this share of a core for so many seconds."""
    give_up = time.monotonic() + limit_s
    while True:
        before = cpu_seconds(pid)
        time.sleep(seconds)
        if cpu_seconds(pid) - before < share * seconds:
            return
        if time.monotonic() > give_up:
            raise RuntimeError(f"process {pid} was still busy after {limit_s} s")


def status_kib(pid, field):
    with contextlib.suppress(OSError):
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1])
    return 0
