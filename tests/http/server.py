"""A replay server of the sample pairs on a free port, and what the scripts share: images, messages, tables.

The working folder of a server has `root/` for --image-root, `outside/` beside it, and the two pairs under names of their own.
"""
import argparse
import base64
import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
IMAGES = sorted((REPOSITORY / "examples/images").glob("*.png"))
QUESTION = "How many red shapes?"

CONFIG = """\
adapter = "mistralrs"
[pair]
rlvr = "{name}"
base = "{base}"
[replay]
enabled = {enabled}
strategy = "learned"
layers = 6
rank.fraction_of_max = 0.92
learned = {{ solver = "lbfgs", iterations = 8, learning_rate = 100.0 }}
[profiles.swap]
strategy = "substitute"
[profiles.short]
learned.iterations = 2
[mistralrs]
device = "cpu"
"""


class Server:
    """A running server. `url`, `pid`, `folder`; `log()` is what it wrote."""

    def __init__(self, binary, *options, models=("counting",), environment=None, address_space=None):
        self.folder = Path(tempfile.mkdtemp(prefix="replay-http-"))
        for name in ("root", "outside"):
            (self.folder / name).mkdir()
        configs = []
        for name in models:
            pair = REPOSITORY / "examples/models" / name
            (self.folder / name).symlink_to(pair / "rlvr")
            text = CONFIG.format(name=name, base=pair / "base", enabled="true" if name == "counting" else "false")
            (self.folder / f"{name}.toml").write_text(text)
            configs += ["--config", self.folder / f"{name}.toml"]
        options = [self.folder / o if o in ("root",) else o for o in options]
        limit = lambda: address_space and resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))
        self.written = (self.folder / "log").open("w")
        self.process = subprocess.Popen(
            [binary, "serve", *configs, "--port", "0", *options], stdout=subprocess.PIPE, stderr=self.written, text=True,
            env={**os.environ, "RUST_BACKTRACE": "0", **(environment or {})}, preexec_fn=limit)
        self.pid, self.said, self.url = self.process.pid, [], None
        for line in self.process.stdout:
            self.said.append(line.strip())
            if line.startswith("listening on "):
                self.url = line.split()[-1]
                break
        if not self.url:
            raise SystemExit(f"the server did not start: {self.said} {self.log()[-2000:]}")

    @property
    def address(self):
        host, port = self.url.removeprefix("http://").split(":")
        return host, int(port)

    def log(self):
        return (self.folder / "log").read_text(errors="replace")

    def memory(self):
        """In MiB; 0 if the process is gone."""
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) // 1024
        return 0

    def alive(self):
        return self.process.poll() is None

    def configure(self, name, change):
        """Alters the configuration of a model on disk."""
        file = self.folder / f"{name}.toml"
        file.write_text(change(file.read_text()))

    def hang_up(self):
        self.process.send_signal(signal.SIGHUP)

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def wait(self, seconds):
        """Exit status, or None if it does not end in time."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.process.wait(seconds)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.alive():
            self.terminate()
            if self.wait(10) is None:
                self.process.kill()
                self.process.wait()
        self.written.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Peak:
    """The most memory of a server within a block, in MiB, also if it dies."""

    def __init__(self, running):
        self.running, self.most, self.over = running, 0, threading.Event()
        self.watch = threading.Thread(target=self.look, daemon=True)

    def look(self):
        while not self.over.wait(0.01):
            self.most = max(self.most, self.running.memory())

    def __enter__(self):
        self.watch.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.watch.join()


def data_url(data, kind="image/png"):
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def picture(index=0):
    """One of the sample images as a data URL."""
    return data_url(IMAGES[index].read_bytes())


def image_part(url):
    return {"type": "image_url", "image_url": {"url": url}}


def messages(*urls, text=QUESTION):
    """One user message: images, then text."""
    parts = [image_part(url) for url in urls] + [{"type": "text", "text": text}]
    return [{"role": "user", "content": parts if urls else text}]


def chat(*urls, text=QUESTION, **more):
    """The body of a greedy chat completion."""
    return {"model": "counting", "messages": messages(*urls, text=text), "max_tokens": 40, "temperature": 0, **more}


def arguments(description):
    ap = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--replay", required=True, metavar="PATH", help="the replay binary")
    return ap


def table(rows, head):
    """A Markdown table."""
    rows = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    lines = ["| " + " | ".join(cell.ljust(w) for cell, w in zip(row, widths)) + " |" for row in rows]
    lines.insert(1, "|" + "|".join("-" * (w + 2) for w in widths) + "|")
    print("\n".join(lines), flush=True)


def wait_until(done, seconds, step=0.05):
    """Whether `done()` became true in time."""
    end = time.monotonic() + seconds
    while not done():
        if time.monotonic() > end:
            return False
        time.sleep(step)
    return True


def finish(failures):
    """Exit status 1 if anything failed."""
    print(f"{len(failures)} failed" if failures else "all good")
    sys.exit(bool(failures))
