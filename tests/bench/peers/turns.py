"""What the peers have in common: they say "ready", then answer each line on standard input.

Milliseconds are those of the clock, or with PEERS_CLOCK=thread the CPU time of a peer that computes in one thread.
"""
import os
import statistics
import sys
import time


def answer(once):
    """Answers with the median of the milliseconds that once() took in half a second of calls."""
    for _ in range(3):
        once()
    clock = time.thread_time if os.environ.get("PEERS_CLOCK") == "thread" else time.perf_counter
    print("ready", flush=True)
    for _ in sys.stdin:
        milliseconds = []
        while sum(milliseconds) < 500 or len(milliseconds) < 3:
            start = clock()
            once()
            milliseconds.append(1e3 * (clock() - start))
        print(statistics.median(milliseconds), flush=True)
