#!/usr/bin/env python3
"""Records INCRs of one counter by several threads as a history for `report check`; --racy does GET, then SET.

python3 examples/history_recorder.py 127.0.0.1:6379 > history.csv    (or the path of a unix socket)
A password is taken from the environment: REDISCLI_AUTH, as redis-cli does."""
import argparse, os, socket, threading, time

def connect(address):
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit():
        stream = socket.create_connection((host, int(port)))
    else:
        stream = socket.socket(socket.AF_UNIX)
        stream.connect(address)
    stream = stream.makefile("rwb")
    if password := os.environ.get("REDISCLI_AUTH"):
        call(stream, "AUTH", password)
    return stream

def call(stream, *words):
    stream.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in map(str.encode, words)))
    stream.flush()
    reply = stream.readline()
    if not reply.endswith(b"\n") or reply[:1] == b"-":
        raise OSError(reply)
    if reply[:1] == b"$":  # a bulk string, or none
        return 0 if reply.startswith(b"$-1") else int(stream.readline())
    return 0 if reply[:1] == b"+" else int(reply[1:])

def work(name, arguments, start, rows):
    stream = connect(arguments.address)
    start.wait()
    for _ in range(arguments.updates):
        begin, end, outcome, value = time.monotonic_ns() - zero, "", "unknown", ""  # without a reply, nobody knows
        try:
            value = call(stream, "GET", arguments.key) + 1 if arguments.racy else call(stream, "INCR", arguments.key)
            if arguments.racy:
                call(stream, "SET", arguments.key, str(value))
            end, outcome = time.monotonic_ns() - zero, "ok"
        except OSError:
            stream, value = connect(arguments.address), ""  # a late reply must not answer the next one
        rows.append((name, begin, end, outcome, value))

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("address")
parser.add_argument("--racy", action="store_true")
parser.add_argument("--key", default="history-recorder:%d" % time.time_ns())
parser.add_argument("--threads", type=int, default=4)
parser.add_argument("--updates", type=int, default=1000)
arguments, zero, rows = parser.parse_args(), time.monotonic_ns(), []
counter = connect(arguments.address)
initial, start = call(counter, "GET", arguments.key), threading.Barrier(arguments.threads)
threads = [threading.Thread(target=work, args=(n, arguments, start, rows)) for n in range(arguments.threads)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("# redis-lost-updates history v1\nworker,begin_ns,end_ns,outcome,value")
print("\n".join(",".join(map(str, row)) for row in rows))
print(f"# initial {initial}\n# final {call(counter, 'GET', arguments.key)}")
call(counter, "DEL", arguments.key)
