"""What the peers have in common: they say "ready", then answer each line on standard input."""
import statistics
import sys
import time


def answer(once):
    """Answers with the median of the milliseconds that once() took in half a second of calls."""
    for _ in range(3):
        once()
    print("ready", flush=True)
    for _ in sys.stdin:
        milliseconds = []
        while sum(milliseconds) < 500 or len(milliseconds) < 3:
            start = time.perf_counter()
            once()
            milliseconds.append(1e3 * (time.perf_counter() - start))
        print(statistics.median(milliseconds), flush=True)
