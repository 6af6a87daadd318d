"""Peers of ridgewalk from PyPI, each in a virtual environment of its own, that take turns."""
import pathlib
import statistics
import subprocess
import sys
import venv

HERE = pathlib.Path(__file__).resolve().parent
PEERS = HERE.parents[2] / "build" / "peers"
ONNX_RUNTIME = ["onnxruntime", "onnx", "sympy", "numpy"]


def words(command):
    return [str(word) for word in command]


def environment(name, packages):
    """The Python of a virtual environment with the packages, or None after saying why there is none."""
    folder = PEERS / name.replace(" ", "-").lower()
    python = folder / "bin" / "python"
    if (folder / "complete").exists():
        return python
    print(f"installing {name} into {folder}", file=sys.stderr)
    try:
        venv.create(folder, clear=True, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], capture_output=True, text=True,
                       check=True)
    except subprocess.CalledProcessError as error:
        reason = ((error.stderr or "").strip().splitlines() or [str(error)])[-1]
        print(f"{name} could not be installed and is left out: {reason}", file=sys.stderr)
        return None
    (folder / "complete").touch()
    return python


class Failed(RuntimeError):
    """A program that cannot go on, in one line."""


def run(command, stdout=subprocess.DEVNULL):
    try:
        subprocess.run(words(command), stdout=stdout, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise Failed(str(error)) from None


class Peer:
    """A process that answers a line with the milliseconds of a step."""

    def __init__(self, command):
        self.command = " ".join(words(command))
        try:
            self.process = subprocess.Popen(words(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        except OSError as error:
            raise Failed(str(error)) from None
        if self.process.stdout.readline().strip() != "ready":
            raise self.failure("before its first answer")

    def milliseconds(self):
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
            return float(self.process.stdout.readline())
        except (BrokenPipeError, ValueError):
            raise self.failure("instead of an answer") from None

    def failure(self, when):
        try:
            status = self.process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        return Failed(f"ended with status {status} {when}: {self.command}")

    def close(self):
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass  # it has ended
        self.process.wait()


def rounds(title, commands, turns):
    """The milliseconds of each peer in each turn; one that fails is said and left out, whenever it does."""
    peers, times = {}, {name: [] for name in commands}
    for name, command in commands.items():
        try:
            peers[name] = Peer(command)
        except Failed as error:
            print(f"{title}: {name} is left out: {error}", file=sys.stderr)
    for _ in range(turns):
        for name, peer in list(peers.items()):
            try:
                times[name].append(peer.milliseconds())
            except Failed as error:
                print(f"{title}: {name} is left out: {error}", file=sys.stderr)
                del peers[name]
    for peer in peers.values():
        peer.close()
    return {name: times[name] for name in peers}


def take_turns(title, commands, turns):
    """The median milliseconds of each peer."""
    return {name: statistics.median(times) for name, times in rounds(title, commands, turns).items()}


def beside(milliseconds, name, own="ridgewalk"):
    """A cell of a table: the time of a peer and how often ridgewalk's fits into it."""
    if name not in milliseconds:
        return ""
    if name == own or own not in milliseconds:
        return f"{milliseconds[name]:.2f} ms"
    return f"{milliseconds[name]:.2f} ms, {milliseconds[name] / milliseconds[own]:.2f}"


def table_row(cells):
    print("| " + " | ".join(cells) + " |", flush=True)
