#!/bin/sh
# How much faster a search is in two processes of one core each than in one: the coarse stage of the quickstart's
# space (SAMPLES of 64 images per step), by turns, each process bound to a core of its own.
# Usage: tests/bench/group_bench.sh [TURNS] [STEPS] [SAMPLES]   PROGRAM=build/release/ridgewalk
set -eu
turns=${1:-5} steps=${2:-100} samples=${3:-4} program=${PROGRAM:-build/release/ridgewalk}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat >"$folder/search.yaml" <<YAML
space: fashion-mnist-small
data: fashion-mnist
search_validation: 5000
precision: fp32
targets: {profile: pixel6-cpu, relative_to: mnv4-conv-small, factor: 0.05}
weights: {batch_size: 64, validation_batch_size: 250, optimizer: adamw, learning_rate: 0.004, flip: true}
coarse: {steps: $steps, samples_per_step: $samples, candidates: 1}
train: {}
report_ridge_points: [0]
checkpoint_every: 1000000
YAML
# size: training images per second, as the first process says.
rate() {
  rm -rf "$folder/out"
  port=$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 10000))
  rank=$(($1 - 1))
  while [ "$rank" -ge 0 ]; do
    RANK=$rank WORLD_SIZE=$1 MASTER_ADDR=127.0.0.1 MASTER_PORT=$port taskset -c "$rank" "$program" \
      search coarse --config "$folder/search.yaml" --out "$folder/out" --threads 1 --jobs 1 \
      >/dev/null 2>"$folder/log$rank" &
    rank=$((rank - 1))
  done
  wait
  sed -n 's/^coarse: .*, \([0-9]*\) training images\/s.*/\1/p' "$folder/log0"
}
median() { sort -n "$1" | awk '{v[NR] = $1} END {print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2}'; }
i=0
while [ "$i" -lt "$turns" ]; do
  one=$(rate 1) two=$(rate 2)
  echo "$one" >>"$folder/one"
  echo "$two" >>"$folder/two"
  echo "1 process: $one images/s   2 processes: $two"
  i=$((i + 1))
done
one=$(median "$folder/one") two=$(median "$folder/two")
echo "medians: $one and $two images/s: $(echo "$one $two" | awk '{printf "%.2f", $2 / $1}') times as fast"
