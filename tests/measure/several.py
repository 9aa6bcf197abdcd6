"""Two uploads and a download while a run trains on one core: the time of a step before, meanwhile and afterwards.

    several.py [MEGABYTES] [SECONDS]

Starts target/release/kindling (or KINDLING) on a temporary folder with a stand-in for the Hugging Face hub, trains a model with one replica,
and then sends two uploads of MEGABYTES (1000 by default) and lets the server download as much, all three imported. Prints the median time of a
step in SECONDS (30 by default) before, until the last import is done, and in SECONDS afterwards, how long each took and its outcome. The exit
code is 1 where the median meanwhile is more than 10 % above that before and afterwards, or something failed.
"""

import http.server
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

MEGABYTES = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
SECONDS = int(sys.argv[2]) if len(sys.argv) > 2 else 30
PROGRAM = os.environ.get("KINDLING", str(pathlib.Path(__file__).parents[2] / "target/release/kindling"))
LINE = b"The fox saw the moon over the hill, and the moon saw the fox. <|endoftext|>\n"
ALLOWED = 0.10


class Hub(http.server.BaseHTTPRequestHandler):
    """A dataset of one file."""

    file = None

    def do_GET(self):
        size = self.file.stat().st_size
        if self.path.startswith("/api/"):
            listing = {"sha": "abc", "siblings": [{"rfilename": "fox.txt", "size": size}]}
            body = json.dumps(listing).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return
        self.send_response(200)
        self.send_header("content-length", str(size))
        self.end_headers()
        with self.file.open("rb") as content:
            self.connection.sendfile(content)

    def log_message(self, *_):
        pass


class Lab:
    def __init__(self, folder, hub):
        self.data = folder / "lab"
        corpora = self.data / "corpora"
        corpora.mkdir(parents=True)
        for name in ("tales", "modular-addition", "induction"):
            (corpora / f".made-{name}").touch()
        arguments = [PROGRAM, "serve", "--data", self.data, "--listen", "127.0.0.1:0", "--hub-url", hub]
        self.server = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=(folder / "log").open("w"), text=True)
        self.address = self.server.stdout.readline().split("Sign in: ")[1].split("/signin")[0]
        self.token = subprocess.check_output(
            [PROGRAM, "token", "--role", "admin", "--name", "several", "--data", self.data], text=True, stderr=subprocess.DEVNULL
        ).strip()

    def ask(self, path, body=None):
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/json"}
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"{self.address}/api/v1{path}", data, headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def upload(self, name, file):
        """The answer to an upload that curl sends from a file."""
        url = f"{self.address}/api/v1/corpora?name={name}"
        command = ["curl", "-sS", "-X", "POST", "-T", file, "-H", f"authorization: Bearer {self.token}", url]
        return json.loads(subprocess.check_output(command))

    def wait_for(self, is_reached, secs=600):
        until = time.monotonic() + secs
        while not is_reached():
            assert time.monotonic() < until, "timed out"
            time.sleep(0.2)

    def step(self, run):
        return self.ask(f"/runs/{run}")["summary"]["step"]

    def step_ms(self, run, first, last):
        """Median time of the steps from first to last, ms."""
        path = f"{self.address}/api/v1/runs/{run}/series.csv?names=step_ms"
        request = urllib.request.Request(path, headers={"authorization": f"Bearer {self.token}"})
        with urllib.request.urlopen(request, timeout=120) as answer:
            lines = answer.read().decode().splitlines()
        columns = lines[0].split(",")
        rows = [dict(zip(columns, line.split(","))) for line in lines[1:]]
        times = [float(row["value"]) for row in rows if first <= int(row["step"]) < last]
        return statistics.median(times), len(times)


def measure(lab, file, small):
    lab.upload("small", small)
    spec = {"preset": "nanogpt-cpu", "corpus": "small", "steps": 10_000_000, "device": "cpu"}
    spec["overrides"] = {"batch.replicas": 1, "intervals.eval_every": 0, "intervals.sample_every": 0, "intervals.checkpoint_every": 0}
    lab.wait_for(lambda: lab.ask("/devices"))
    run = lab.ask("/runs", spec)["summary"]["id"]
    lab.wait_for(lambda: lab.step(run) > 20)
    marks = [lab.step(run)]
    time.sleep(SECONDS)
    marks.append(lab.step(run))
    took, failed = {}, []

    def follow(name, begin):
        began = time.monotonic()
        try:
            answer = begin()
            job = answer.get("id") if "state" in answer else None
            while job is not None and next(found for found in lab.ask("/jobs") if found["id"] == job)["state"] == "running":
                time.sleep(0.2)
            ended = [found for found in lab.ask("/jobs") if found["id"] == job]
            if "code" in answer or any(found["state"] != "done" for found in ended):
                failed.append(f"{name}: {answer} {ended}")
        except Exception as error:
            failed.append(f"{name}: {error!r}")
        took[name] = time.monotonic() - began

    work = {name: lambda name=name: lab.upload(name, file) for name in ("first", "second")}
    work["download"] = lambda: lab.ask("/hub/datasets", {"repo": "fox/moon"})
    threads = [threading.Thread(target=follow, args=item) for item in work.items()]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    marks.append(lab.step(run))
    time.sleep(SECONDS)
    marks.append(lab.step(run))
    medians = [lab.step_ms(run, first, last) for first, last in zip(marks, marks[1:])]
    for name, (median, count) in zip(("before", "meanwhile", "afterwards"), medians):
        print(f"{name}: median step {median:.2f} ms of {count} steps")
    for name, secs in took.items():
        print(f"{name}: {MEGABYTES} MB in {secs:.1f} s")
    change = medians[1][0] / statistics.mean([medians[0][0], medians[2][0]]) - 1
    print(f"meanwhile against before and afterwards: {change:+.1%}")
    print("\n".join(failed) or "nothing failed")
    return change <= ALLOWED and not failed


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        file, small = folder / "fox.txt", folder / "small.txt"
        block = LINE * (1_000_000 // len(LINE))
        with file.open("wb") as out:
            for _ in range(MEGABYTES):
                out.write(block)
        small.write_bytes(block[:200_000])
        Hub.file = file
        hub = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
        threading.Thread(target=hub.serve_forever, daemon=True).start()
        lab = Lab(folder, f"http://127.0.0.1:{hub.server_port}")
        try:
            good = measure(lab, file, small)
        finally:
            # A run would train on without its server.
            for run in lab.ask("/runs"):
                lab.ask(f"/runs/{run['id']}/commands", {"kind": "stop"})
            lab.server.terminate()
            lab.server.wait()
    sys.exit(0 if good else 1)


main()
