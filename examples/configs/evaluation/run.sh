#!/usr/bin/env bash
# The table of docs/evaluation.md for one pair: makes the held-out set and evaluates every configuration on it.
#     examples/configs/evaluation/run.sh counting|seeing OUT [replay eval's further arguments]
#     PAIR=FOLDER examples/configs/evaluation/run.sh seeing OUT      the same of another pair for this task: FOLDER/base and FOLDER/rlvr
# Needs the `replay` binary (cargo seam build --bin replay) and Python with examples/training/requirements.txt for the images.
set -euo pipefail
pair=$1 out=$2
shift 2
here=$(cd "$(dirname "$0")" && pwd)
root=$here/../../..
[ -e "$out/set.jsonl" ] || (cd "$root/examples/training" && "${PYTHON:-python3}" heldout.py "$out" --prompts 300 --seed 100 --task "$pair")
configs=() folder=$here/$pair
if [ -n "${PAIR:-}" ]; then
    folder=$out/configs
    mkdir -p "$folder"
    for file in "$here/$pair"/*.toml; do
        sed "s|\.\./\.\./\.\./models/$pair|$(realpath "$PAIR")|" "$file" > "$folder/$(basename "$file")"
    done
fi
for name in substitute learned learned-released learned-lbfgs control-high control-random; do
    configs+=(--config "$folder/$name.toml")
done
exec "${REPLAY:-$root/target/debug/replay}" eval "${configs[@]}" --base --data "$out/set.jsonl" \
    --samples 16 --max-tokens 64 --concurrency 16 --html "$out/evaluation.html" "$@"
