"""Install the peers, each in a virtual environment of its own.

    python benchmarks/peers/setup.py [--peers build/peers]

torch goes in first, and its version holds for all that follows: otherwise some packages replace
the CPU build with one of several GB. Three things had to be mended before JoeyNMT 2.3.0 started on
Python 3.11 with torch 2.13: it imports ``importlib_metadata`` without asking for it, it needs a
method that sentencepiece lost after 0.2.1 (both are in joeynmt.txt), and its plateau schedule
passes an argument that torch has dropped (the benchmark's run file takes another schedule).
"""

import argparse
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
PEERS = ("joeynmt", "transformers")


def install(name: str, folder: Path) -> None:
    """Make ``folder/name`` and install the pinned packages there, unless that is done already."""
    wanted = (HERE / "torch.txt").read_text() + (HERE / f"{name}.txt").read_text()
    done = folder / name / "installed.txt"
    if done.exists() and done.read_text() == wanted:
        print(f"{name}: already installed in {folder / name}")
        return
    subprocess.run([sys.executable, "-m", "venv", str(folder / name)], check=True)
    pip = [str(folder / name / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    torch = str(HERE / "torch.txt")
    subprocess.run([*pip, "-r", torch], check=True)
    subprocess.run([*pip, "-c", torch, "-r", str(HERE / f"{name}.txt")], check=True)
    done.write_text(wanted)
    print(f"{name}: installed in {folder / name}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Install the peers of the benchmarks.")
    default = os.environ.get("KOCHI_PEERS", HERE.parents[1] / "build" / "peers")
    parser.add_argument("--peers", type=Path, default=Path(default), help="where (KOCHI_PEERS)")
    folder = parser.parse_args().peers.resolve()
    for name in PEERS:
        install(name, folder)


if __name__ == "__main__":
    main()
