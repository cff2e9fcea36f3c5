"""The product that benches measure: built once, in release, with the features that tests and users have."""

import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]


def target():
    """Where cargo puts what it builds."""
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR") or ROOT / "target").resolve()


def build(*what):
    """Builds targets of the workspace, such as `--bin quarterdeck`.

    Always with `--workspace`: cargo unifies features over the packages it is told, so a package alone would compile
    the query engine and others a second time, with other features than the product has.
    """
    command = ["cargo", "build", "--release", "--quiet", "--workspace", *what]
    subprocess.run(command, cwd=ROOT, check=True, stdout=sys.stderr)


def binary(name="quarterdeck"):
    return target() / "release" / name
