"""The worker loop that all Python adapters share: docs/libraries.md says what goes over the pipes, and why.

An adapter calls serve() with what is particular to its library. A client is whatever `open_client` returns; a strategy is a
function that adds one to a counter with it and returns the value it was told (None if it was told none), or
Tried(value, tries). A strategy that takes several updates at once takes a list of keys and returns a list of values.
"""

import asyncio
import json
import platform
import sys
import threading
import time
from typing import NamedTuple

HEADER = "worker,begin_ns,end_ns,outcome,value,key,tries\n"
BLOCK = 64 * 1024  # rows are written in blocks of this size, so that writing is rare within the race
NO_OP = "no-op"  # the strategy of clients that send nothing: their rate shows what this loop and the pipes cost


class Tried(NamedTuple):
    """A value, and how many tries it took."""

    value: int
    tries: int


class Refused(Exception):
    """Raised by a strategy: this update certainly did not happen."""


def say(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def hear():
    """The next message, or None when there is no more."""
    line = sys.stdin.readline()
    return json.loads(line) if line else None


class Log:
    """The rows of one client: kept until they fill a block, or written at once if the job says so."""

    lock = threading.Lock()

    def __init__(self, client, sequence, go):
        self.client, self.sequence, self.place = client, sequence, 0
        self.by_row = go["flush"] == "row"
        self.rows, self.size = [], 0
        self.count, self.acked, self.error = 0, 0, None

    def next_keys(self, many):
        """The numbers of the next counters: the client's sequence, walked round and round."""
        numbers = [self.sequence[(self.place + i) % len(self.sequence)] for i in range(many)]
        self.place += many
        return numbers

    def add(self, begin, end, outcome, value, key, tries=1):
        value = "" if value is None else value
        row = f"{self.client},{begin},{end},{outcome},{value},{key},{tries}\n"
        self.rows.append(row)
        self.size += len(row)
        self.count += 1
        self.acked += outcome == "ok"
        if self.by_row or self.size > BLOCK:
            self.flush()

    def acked_all(self, begin, end, keys, told):
        for key, value in zip(keys, told):
            value, tries = value if isinstance(value, Tried) else (value, 1)
            self.add(begin, end, "ok", value, key, tries)

    def failed_all(self, begin, end, keys, error):
        # Of a batch that failed, some may have been done.
        outcome = "fail" if isinstance(error, Refused) and len(keys) == 1 else "unknown"
        if self.error is None:
            self.error = f"{type(error).__name__}: {error}"[:300]
        for key in keys:
            self.add(begin, end, outcome, None, key)

    def flush(self):
        with Log.lock:
            sys.stdout.write("".join(self.rows))
            sys.stdout.flush()
        self.rows, self.size = [], 0


class Pace:
    """When updates begin and when a client stops."""

    def __init__(self, go):
        self.start, self.end, self.rate = go["start_ns"], go["start_ns"] + go["duration_ns"], go.get("rate")
        self.pause = go["pause_ns"] / 1e9

    def due(self, client, update):
        """When update number `update` of a client is due; the start, in a closed loop."""
        if not self.rate:
            return self.start
        return self.start + (update * self.rate["clients"] + client) * 1_000_000_000 // self.rate["per_s"]


def wait_until(instant):
    while (left := instant - time.monotonic_ns()) > 0:
        time.sleep(left / 1e9)


def run(client, update, keys, batch, log, updates, pace):
    """One client's race: the end of one update is the begin of the next, unless a schedule says when it is due."""
    wait_until(pace.start)
    now, done = time.monotonic_ns(), 0
    while done < updates and now < pace.end:
        numbers = log.next_keys(min(batch, updates - done))
        if pace.rate:
            wait_until(pace.due(log.client, done + len(numbers) - 1))
            now = time.monotonic_ns()
        begin = now
        try:
            if batch > 1:
                told = update(client, [keys[n] for n in numbers])
            else:
                told = [update(client, keys[numbers[0]])]
            now = time.monotonic_ns()
            log.acked_all(begin, now, numbers, told)
        except Exception as error:  # every library has exceptions of its own
            log.failed_all(begin, time.monotonic_ns(), numbers, error)
            time.sleep(pace.pause)
            now = time.monotonic_ns()
        done += len(numbers)
    log.flush()


async def run_async(client, update, keys, batch, log, updates, pace):
    """The same for a coroutine."""
    await asyncio.sleep(max(0, pace.start - time.monotonic_ns()) / 1e9)
    now, done = time.monotonic_ns(), 0
    while done < updates and now < pace.end:
        numbers = log.next_keys(min(batch, updates - done))
        if pace.rate:
            due = pace.due(log.client, done + len(numbers) - 1)
            await asyncio.sleep(max(0, due - time.monotonic_ns()) / 1e9)
            now = time.monotonic_ns()
        begin = now
        try:
            if batch > 1:
                told = await update(client, [keys[n] for n in numbers])
            else:
                told = [await update(client, keys[numbers[0]])]
            now = time.monotonic_ns()
            log.acked_all(begin, now, numbers, told)
        except Exception as error:
            log.failed_all(begin, time.monotonic_ns(), numbers, error)
            await asyncio.sleep(pace.pause)
            now = time.monotonic_ns()
        done += len(numbers)
    log.flush()


def finish(logs):
    errors = [log.error for log in logs if log.error]
    done = {"rows": sum(log.count for log in logs), "acked": sum(log.acked for log in logs)}
    say({"done": done | ({"error": errors[0]} if errors else {})})


def start_logs(job, go):
    sys.stdout.write(HEADER)
    sequences = job.get("sequences") or [[0]] * len(job["clients"])
    return [Log(client, sequence, go) for client, sequence in zip(job["clients"], sequences)]


def ready(library, version, effective, batch):
    runtime = f"{platform.python_implementation()} {platform.python_version()}"
    say({"ready": {"library": library, "version": version, "runtime": runtime, "batch": batch, "settings": effective}})


def batch_of(job, batched):
    return job["batch"] if job["strategy"] in batched else 1


def serve(library, version, open_client, strategies, effective, batched=()):
    """Does one job: a thread for every client."""
    job = hear()["job"]
    if job["strategy"] == NO_OP:
        open_client, strategies, effective = (lambda job: None), {NO_OP: lambda client, key: 1}, (lambda client: {})
    update, batch = strategies[job["strategy"]], batch_of(job, batched)
    clients = [open_client(job) for _ in job["clients"]]
    ready(library, version, effective(clients[0]), batch)
    while message := hear():
        if "ping" in message:
            say({"pong": message["ping"], "now_ns": time.monotonic_ns()})
            continue
        go = message["go"]
        logs = start_logs(job, go)
        work = zip(clients, logs, go["updates"])
        threads = [
            threading.Thread(target=run, args=(client, update, job["keys"], batch, log, updates, Pace(go)))
            for client, log, updates in work
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        finish(logs)


def serve_async(library, version, open_client, strategies, effective, batched=()):
    """Does one job: a task for every client, all on one event loop."""
    asyncio.run(_serve_async(library, version, open_client, strategies, effective, batched))


async def nothing(*_):
    """A client that sends nothing, and its updates."""
    return 1


async def _serve_async(library, version, open_client, strategies, effective, batched):
    job = hear()["job"]
    if job["strategy"] == NO_OP:
        open_client, strategies, effective = nothing, {NO_OP: nothing}, (lambda client: {})
    update, batch = strategies[job["strategy"]], batch_of(job, batched)
    clients = [await open_client(job) for _ in job["clients"]]
    ready(library, version, effective(clients[0]), batch)
    while message := hear():
        if "ping" in message:
            say({"pong": message["ping"], "now_ns": time.monotonic_ns()})
            continue
        go = message["go"]
        logs = start_logs(job, go)
        work = zip(clients, logs, go["updates"])
        await asyncio.gather(
            *(run_async(client, update, job["keys"], batch, log, updates, Pace(go)) for client, log, updates in work)
        )
        finish(logs)
