#!/bin/bash
# Prints how much faster two workers are than one at a ranking, by the clock and by the CPU seconds of the
# one that computes longest; the latter is what counts on a machine that does other work. Each has one thread.
#
#   tests/bench/workers_bench.sh PROGRAM RUN [RANK'S OPTIONS...]   RUN: the folder of a search, for its supernet
set -eu
program=$1 run=$2
shift 2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
TIMEFORMAT='%U %S'

# measure COUNT: prints the seconds by the clock, then the CPU seconds of the longest.
measure() {
  local start end i pids=()
  rm -rf "$folder"/*
  start=$(date +%s.%N)
  for ((i = 0; i < $1; ++i)); do
    { time "$program" rank "$run" --out "$folder/out" --workers "$folder/workers" --jobs 1 --threads 1 --quiet \
      "${@:2}" >/dev/null 2>"$folder/errors.$i"; } 2>"$folder/times.$i" &
    pids+=("$!")
  done
  for pid in "${pids[@]}"; do wait "$pid" || { cat "$folder"/errors.* >&2; exit 1; }; done
  end=$(date +%s.%N)
  cat "$folder"/errors.* >&2
  awk -v start="$start" -v end="$end" '{ cpu = $1 + $2; if (cpu > most) most = cpu }
    END { print end - start, most }' "$folder"/times.*
}

one=$(measure 1 "$@")
two=$(measure 2 "$@")
read -r clock1 cpu1 <<<"$one"
read -r clock2 cpu2 <<<"$two"
awk -v a="$clock1" -v b="$clock2" -v c="$cpu1" -v d="$cpu2" 'BEGIN {
  printf "            one     two   ratio\n"
  printf "clock  %6.1f s %6.1f s %6.2f\n", a, b, a / b
  printf "CPU    %6.1f s %6.1f s %6.2f\n", c, d, c / d }'
