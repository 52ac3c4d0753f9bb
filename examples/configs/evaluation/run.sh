#!/usr/bin/env bash
# The table of the README for one pair: makes the held-out set and evaluates every configuration on it.
#     examples/configs/evaluation/run.sh counting|seeing OUT [replay eval's further arguments]
# Needs the `replay` binary (cargo seam build --bin replay) and Python with examples/training/requirements.txt for the images.
set -euo pipefail
pair=$1 out=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../../..
[ -e "$out/set.jsonl" ] || (cd "$root/examples/training" && "${PYTHON:-python3}" heldout.py "$out" --prompts 300 --seed 100 --task "$pair")
configs=()
for name in substitute learned learned-released learned-lbfgs control-high control-random; do
    configs+=(--config "$here/$pair/$name.toml")
done
exec "${REPLAY:-$root/target/debug/replay}" eval "${configs[@]}" --base --data "$out/set.jsonl" \
    --samples 16 --max-tokens 64 --concurrency 16 --html "$out/evaluation.html" "$@"
