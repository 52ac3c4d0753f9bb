"""What learning costs here against the published algorithm in PyTorch, on the same pair, image and prompt, alternating.

usage: against_published.py [--pair FOLDER] [--image FILE] [--layers 6] [--fraction F] [--iterations 25] [--rounds 3] [--threads 2]

Needs PyTorch and transformers (tests/oracle/requirements.txt) and the `replay` binary (cargo seam build --bin replay). Without --pair it
makes the pair of the tables in docs/performance.md: Qwen2.5-VL, random, hidden 768, 12 layers, vocabulary 32768, one image of 448x448.

Three ways take turns in each round: the published algorithm (tests/oracle/published.py: written by us, doing the work that the
published code does), our reference solver with the same number of iterations, and our fast solver with as many passes as it needs for the
loss that the reference ends with. Times of learning alone; what comes before it (base pass, ranking, targets) is a column of its own.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ORACLE = HERE / "oracle"
PROMPT = "What is in the picture?"


def make_pair(folder):
    pair = ["tiny_pair.py", folder, "--family", "qwen2_5_vl", "--hidden", "768", "--layers", "12", "--vocab", "32768", "--drift", "0.05"]
    image = ["images.py", folder, "--unit", "28", "--seed", "0", "--shapes", "image=16x16"]
    for script, *arguments in (pair, image):
        subprocess.run([sys.executable, str(ORACLE / script), *map(str, arguments)], check=True, stdout=subprocess.DEVNULL)
    return Path(folder) / "image.png"


class Published:
    """The published algorithm as a co-process: models loaded once, one run per line."""

    def __init__(self, a):
        command = [sys.executable, str(ORACLE / "published.py"), str(a.pair), str(a.image), "--prompt", PROMPT, "--layers", str(a.layers),
                   "--fraction", str(a.fraction), "--iterations", str(a.iterations), "--threads", str(a.threads), "--serve"]
        # Threads that spin while they wait would take the cores from whoever's turn it is.
        quiet = os.environ | {"OMP_WAIT_POLICY": "PASSIVE"}
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=quiet)

    def run(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def ours(a, solver, iterations):
    """The report of one request, answered by the real binary in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "replay.toml"
        config.write_text(
            f'adapter = "mistralrs"\n[pair]\nrlvr = "{a.pair}/rlvr"\nbase = "{a.pair}/base"\n[mistralrs]\ndevice = "cpu"\n'
            f'[replay]\nstrategy = "learned"\nlayers = {a.layers}\n[replay.rank]\nfraction_of_max = {a.fraction}\n'
            f'[replay.learned]\niterations = {iterations}\nsolver = "{solver}"\n')
        command = [a.replay, "run", "--config", config, "--image", a.image, "--prompt", PROMPT, "--max-tokens", "1", "--json"]
        environment = os.environ | {"RAYON_NUM_THREADS": str(a.threads)}
        out = subprocess.run(list(map(str, command)), check=True, capture_output=True, text=True, env=environment).stdout
    return json.loads(out)["replay"]


def before(ms):
    return ms["capture_base"] + ms["capture_rlvr"] + ms["rank"] + ms["targets"]


def spread(values):
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--pair", type=Path)
    ap.add_argument("--image", type=Path)
    ap.add_argument("--layers", type=int, default=6)
    ap.add_argument("--fraction", type=float, default=0.998)
    ap.add_argument("--iterations", type=int, default=25)
    ap.add_argument("--rounds", type=int, default=3)
    ap.add_argument("--threads", type=int, default=2)
    ap.add_argument("--replay", type=Path, default=HERE.parent / "target/debug/replay")
    a = ap.parse_args()
    scratch = tempfile.TemporaryDirectory()
    if a.pair is None:
        a.pair = Path(scratch.name)
        made = make_pair(a.pair)
        a.image = a.image or made

    reference = ours(a, "gradient-descent", a.iterations)
    goal = reference["learned"]["final_loss"]
    fast = ours(a, "lbfgs", a.iterations)["learned"]["losses"]
    passes = next((n for n, loss in enumerate(fast, 1) if loss <= goal), None)
    if passes is None:
        raise SystemExit(f"the fast solver does not reach {goal} in {a.iterations} passes")
    published = Published(a)
    first = published.run()
    off = max(abs(p - o) / p for p, o in zip(first["losses"], reference["learned"]["losses"]))
    selected = [layer["selected"] for layer in reference["layers"]]
    print(f"{reference['rows']} rows, {reference['visual_rows']} visual, selected {selected}; losses differ by {off:.1e} of their value")
    print(f"loss {reference['learned']['losses'][0]:.4e}, after {a.iterations} iterations {goal:.4e}; lbfgs is there after {passes} passes")

    rows = []
    for turn in range(a.rounds):
        runs = {"published": published.run, "reference": lambda: ours(a, "gradient-descent", a.iterations)["milliseconds"],
                "fast": lambda: ours(a, "lbfgs", passes)["milliseconds"]}
        order = list(runs)[turn % 3:] + list(runs)[:turn % 3]
        row = {name: runs[name]() for name in order}
        rows.append(row)
        print(f"round {turn + 1}: published {row['published']['learn_ms']:.0f} ms (before it {row['published']['base_ms']:.0f}), "
              f"reference {row['reference']['learn']:.0f} ms (before it {before(row['reference']):.0f}), "
              f"lbfgs {row['fast']['learn']:.0f} ms", flush=True)
    per_pass = [row["published"]["learn_ms"] / row["reference"]["learn"] for row in rows]
    per_loss = [row["published"]["learn_ms"] / row["fast"]["learn"] for row in rows]
    whole = [(r["published"]["base_ms"] + r["published"]["learn_ms"]) / (before(r["fast"]) + r["fast"]["learn"]) for r in rows]
    print(f"published / ours at equal iterations: {spread(per_pass)}")
    print(f"published / ours at equal loss:       {spread(per_loss)}")
    print(f"the same with what comes before:      {spread(whole)}")


if __name__ == "__main__":
    main()
