#!/usr/bin/env bash
# One pair of the map: trains it, calibrates the gate and sweeps the residuals on prompts that are then not used again, and evaluates
# every arm on other prompts. Goes on where it was cut off. Needs the `replay` binary (cargo seam build --bin replay) and Python with
# examples/training/requirements.txt.
#     examples/map/run.sh NAME SEED OUT [TEST...]      NAME: a pair of examples/training/narrowings.py; TEST: inside, outside, ...
# OUT/NAME-SEED holds the pair, its logs, and results/*.json, which examples/map/collect.py puts together.
set -euo pipefail
name=$1 seed=$2 out=$(realpath -m "$3")
shift 3
here=$(cd "$(dirname "$0")" && pwd)
training=$here/../training
replay=${REPLAY:-$here/../../target/debug/replay} python=${PYTHON:-python3}
pair=$out/$name-$seed results=$out/$name-$seed/results configs=$out/$name-$seed/configs
mkdir -p "$results" "$configs"

(cd "$training" && "$python" narrow.py "$name" --seed "$seed" --out "$pair" --threads 1)

set_of() { # PROMPTS SEED TEST: makes the data set once, and prints its path
    local folder=$out/sets/$name/$3-$2
    [ -e "$folder/set.jsonl" ] || (cd "$training" && "$python" heldout.py "$folder.part" --prompts "$1" --seed "$2" --pair "$name" --test "$3" && mv "$folder.part" "$folder")
    echo "$folder/set.jsonl"
}
sampling=(--max-tokens 32 --concurrency 16)

# Prompts with seed 200 choose, those with seed 100 report.
for arm in "$here"/arms/*.toml; do
    sed "s|PAIR/|$pair/|" "$arm" > "$configs/$(basename "$arm")"
done
against=()
[ "$name" = whole ] || against=(--against "$(set_of 150 200 inside)")
"$replay" analyse --config "$configs/all.toml" --data "$(set_of 150 200 outside)" "${against[@]}" --json > "$results/analysis.json"
if [ "$name" = whole ]; then
    rm "$configs/gated.toml" # nothing to keep out
else
    read -r residual drift < <("$python" "$here/gate.py" "$results/analysis.json")
    sed -i "s|RESIDUAL|$residual|; s|DRIFT|$drift|" "$configs/gated.toml"
fi
"$replay" sweep --config "$configs/low.toml" --data "$(set_of 150 200 outside)" --samples 8 "${sampling[@]}" \
    --out "$results/sweep.jsonl" --json > "$results/sweep.json"

for test in "${@:-outside}"; do
    arms=() verifier=(--verifier boxed)
    case $name-$test in *-second | describe-inside) verifier=(--verifier exact) ;; esac # descriptions
    for arm in ${ARMS:-ceiling all low high random drifted gated learned learned-released lens-lbfgs states-lbfgs states-low}; do
        [ ! -e "$configs/$arm.toml" ] || arms+=(--config "$configs/$arm.toml")
    done
    "$replay" eval "${arms[@]}" --base --data "$(set_of 300 100 "$test")" --samples 16 "${sampling[@]}" "${verifier[@]}" \
        --out "$results/$test.jsonl" --json > "$results/$test.json"
    if [ -e "$configs/low.toml" ]; then # from the records: is the published selection better than its controls?
        mkdir -p "$results/against-low"
        "$replay" eval "${arms[@]}" --base --data "$(set_of 300 100 "$test")" --samples 16 "${sampling[@]}" "${verifier[@]}" \
            --against low --out "$results/$test.jsonl" --json > "$results/against-low/$test.json"
    fi
done
