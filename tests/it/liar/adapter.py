"""A client over a bare socket, honest but for the one thing that its settings name."""

import os
import socket
import sys
import time
from urllib.parse import parse_qs, unquote, urlparse

import worker

LIE_AT = 50  # the update of client 0 that is lied about
lie = None
opened = []


class Client:
    def __init__(self, url):
        self.url = url
        self.updates, self.told = 0, 0
        self.lies = not opened
        opened.append(self)
        self.connect()

    def connect(self):
        parts = urlparse(self.url)
        if parts.scheme == "unix":
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(parts.path)
        else:
            self.socket = socket.create_connection((parts.hostname, parts.port))
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.replies = self.socket.makefile("rb")
        query = parse_qs(parts.query)  # where a unix socket's URL has its password
        password = unquote(parts.password or query.get("pass", [""])[0])
        if password:
            self.socket.sendall(f"*2\r\n$4\r\nAUTH\r\n${len(password)}\r\n{password}\r\n".encode())
            assert self.replies.readline() == b"+OK\r\n"

    def send(self, *keys):
        requests = (f"*2\r\n$4\r\nINCR\r\n${len(key)}\r\n{key}\r\n" for key in keys)
        if self.socket is None:
            self.connect()
        try:
            self.socket.sendall("".join(requests).encode())
            return [int(self.replies.readline()[1:]) for _ in keys]
        except (OSError, ValueError):
            self.socket = self.socket if lie == "gives-up" else None
            raise


def open_client(job):
    global lie
    lie = job["settings"]
    if lie == "refuses":
        worker.say({"error": "no licence\nfor this"})
        sys.exit(1)
    if lie == "hangs-at-once":
        time.sleep(600)
    return Client(job["url"])


def incr(client, key):
    client.updates += 1
    if client.updates == LIE_AT and client.lies:
        if lie == "one-too-many":
            return client.told
        if lie == "doubles":
            client.send(key)
        if lie == "dies":
            print("out of luck", file=sys.stderr, flush=True)
            os._exit(3)
        if lie == "hangs":
            time.sleep(600)
        if lie == "endless-line":
            while True:
                sys.stdout.write("x" * 4096)
    try:
        (client.told,) = client.send(key)
    except (OSError, ValueError):
        if lie != "retries":
            raise
        (client.told,) = client.send(key)  # what makes a client double
    return client.told


class LyingLog(worker.Log):
    """Rows that are not what happened."""

    def add(self, begin, end, outcome, value, key, tries=1):
        if self.client == 0 and self.count == LIE_AT and self.lie_in_a_row(begin, end, value, key):
            return
        super().add(begin, end, outcome, value, key, tries)

    def lie_in_a_row(self, begin, end, value, key):
        if lie == "garbage":
            self.rows.append("DEBUG: connection ok\n")
        elif lie == "time-travels":
            self.rows.append(f"0,{begin},{end + 10**12},ok,{value},0,1\n")
        elif lie == "before":
            self.rows.append(f"0,{begin - 10**10},{end},ok,{value},0,1\n")
        elif lie == "stranger":
            self.rows.append(f"77,{begin},{end},ok,{value},0,1\n")
        elif lie == "overlaps":
            super().add(begin - 1000, end, "ok", value, key)
            return True
        elif lie == "too-many-rows":
            self.rows.extend(f"0,{end},{end},ok,{value},0,1\n" for _ in range(1000))
        elif lie == "one-too-few":
            lied.append(self.client)
            self.count += 1
            return True
        return False


lied = []
worker.Log = LyingLog
honest_finish = worker.finish


def finish(logs):
    for log in logs:
        if lie == "one-too-few" and log.client in lied:
            log.count -= 1
        if lie == "miscounts" and log.client == 0:
            log.acked += 1
    lied.clear()
    honest_finish(logs)


worker.finish = finish
version = "2" if "wrong-version" in sys.argv else "1"
worker.serve(
    "liar",
    version,
    open_client,
    {"incr": incr, "pipelined-incr": lambda client, keys: client.send(*keys)},
    lambda client: {"retries": "0"},
    batched={"pipelined-incr"},
)
