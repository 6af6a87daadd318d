"""ridgewalk as a peer: bench_peer.py RIDGEWALK ARCH [OPTIONS of ridgewalk bench]

Says "ready", then answers every line on standard input with the milliseconds that `ridgewalk bench` measured in half a
second on one thread.
"""
import json
import subprocess
import sys

COMMAND = [sys.argv[1], "bench", *sys.argv[2:], "--threads", "1", "--repeats", "1", "--json"]


def milliseconds(seconds):
    done = subprocess.run([*COMMAND, "--seconds", str(seconds)], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)  # its own line stands on standard error
    return json.loads(done.stdout)["latency_ms"]


milliseconds(0.01)
print("ready", flush=True)
for _ in sys.stdin:
    print(milliseconds(0.5), flush=True)
