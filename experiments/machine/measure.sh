#!/bin/sh
# Fills in the latencies of measured.csv, one network after the other, by a benchmark program:
#
#   sh measure.sh onnxruntime|tflite|trtexec [RUNNER...]
#
# RUNNER runs a command line on the device, as `adb shell` or `ssh USER@HOST` do; without it this
# machine is the device.
#   onnxruntime  onnxruntime_perf_test of ONNX Runtime, on the .onnx files
#   tflite       benchmark_model of TensorFlow Lite, on .tflite files of the same names
#   trtexec      trtexec of TensorRT, on the .onnx files
# Set before it, as in DEVICE_DIR=/data/local/tmp/ridgewalk sh measure.sh ...:
#   DEVICE_DIR   where the files are on the device, and the program if it is not on the PATH (.)
#   PREFIX       what stands before the program: LD_LIBRARY_PATH=. or taskset f0
#   OPTIONS      of the program: -x 1, --num_threads=1 or --fp16
#   RUNS         how many times each network runs (100)
# Networks that have a latency are left alone: the same command again goes on.
set -eu
cd "$(dirname "$0")"

fail() {
  echo "measure.sh: $1" >&2
  exit 2
}

[ $# -gt 0 ] || { sed -n '2,/^set/s/^# \{0,1\}//p' measure.sh; exit 2; }
tool=$1
shift
case $tool in
  onnxruntime) set_program() { program="onnxruntime_perf_test ${OPTIONS:-} -I -m times -r ${RUNS:-100} $1.onnx"; } ;;
  tflite) set_program() { program="benchmark_model ${OPTIONS:-} --num_runs=${RUNS:-100} --graph=$1.tflite"; } ;;
  trtexec) set_program() { program="trtexec ${OPTIONS:-} --iterations=${RUNS:-100} --onnx=$1.onnx"; } ;;
  *) fail "no tool is named '$tool'; there are onnxruntime, tflite and trtexec" ;;
esac
[ -f measured.csv ] || fail "measured.csv is missing; ridgewalk bench --script writes it"

# Milliseconds from what a program prints: ONNX Runtime's median, or its mean where an older version
# prints no other; TensorFlow Lite's mean; TensorRT's median. Nothing where it prints none of these.
latency() {
  awk '
    /^Average inference time cost/ && !ms { ms = $(NF - 1) }
    /^P50 Latency:/ { ms = 1000 * $3 }
    /Inference \(avg\): / { sub(/.*Inference \(avg\): /, ""); ms = $1 / 1000 }
    /GPU Compute Time: .*median = / { sub(/.*median = /, ""); ms = $1 + 0 }
    END { if (ms > 0) printf "%.6g", ms }'
}

# The last cell of a line of the form; those before it are the number of images and the file.
set_latency() {
  awk -v line="$1" -v ms="$2" '
    { sub(/\r$/, "") }
    NR == line { sub(/[^,]*$/, ms) }
    { print }' measured.csv > measured.csv.new
  mv measured.csv.new measured.csv
}

failed=0
for line in $(awk -F, '{ sub(/\r$/, "") } NR > 1 && NF > 2 && ($NF == "" || $NF == "failed") { print NR }' measured.csv); do
  name=$(awk -F, -v line="$line" 'NR == line { sub(/\.onnx$/, "", $(NF - 2)); print $(NF - 2) }' measured.csv)
  set_program "$name"
  command="cd '${DEVICE_DIR:-.}' && PATH=\$PATH:. && ${PREFIX:-} $program"
  if [ $# -gt 0 ]; then
    output=$("$@" "$command" 2>&1 < /dev/null) || true
  else
    output=$(sh -c "$command" 2>&1 < /dev/null) || true
  fi
  ms=$(printf '%s\n' "$output" | latency)
  if [ -n "$ms" ]; then
    echo "$name: $ms ms"
  else
    failed=$((failed + 1))
    printf '%s\n' "$output" > "$name.log"
    echo "measure.sh: $name: no latency; $name.log has what $tool said, which ends with: $(printf '%s\n' "$output" | tail -n 1)" >&2
  fi
  set_latency "$line" "${ms:-failed}"
done
if [ "$failed" -gt 0 ]; then
  echo "measure.sh: $failed failed; the same command tries them again" >&2
  exit 1
fi
