"""Peers from package registries, each in an environment of its own below bench/.venv, never in the product."""

import subprocess
import sys

import product

VENV = product.ROOT / "bench/.venv"


def pip_install(name, requirement):
    """Makes the environment of a peer once, and again when the requirement has changed. Returns its programs."""
    venv = VENV / name
    mark = venv / "installed"
    if not mark.exists() or mark.read_text() != requirement:
        print(f"installing {requirement}", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([venv / "bin/pip", "install", "--quiet", requirement], check=True)
        mark.write_text(requirement)
    return venv / "bin"
