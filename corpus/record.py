#!/usr/bin/env python3
"""Records recorded/*.csv again, with a real client against a real server. make.py adds the labels.

    python3 -m pip install redis==7.1.0
    python3 corpus/record.py [--server redis-server] [KIND...]

Every history has its own server on a free port. Times differ from run to run, but the faults are forced: by signals, by the
order of the commands, or by a proxy between client and server or between primary and replica.
"""

import argparse
import multiprocessing
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time

import redis

HERE = os.path.dirname(os.path.abspath(__file__))
KEY = "counter"
KINDS = {}


def kind(name, fault, sentence):
    def register(scenario):
        KINDS[name] = (fault, sentence, scenario)
        return scenario

    return register


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A private server, stopped when the history has been recorded."""

    def __init__(self, lab, *options):
        self.port, self.folder = free_port(), tempfile.mkdtemp(dir=lab.folder)
        self.command = [lab.binary, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.folder,
                        "--save", "", "--repl-diskless-sync-delay", "0", *options]
        lab.servers.append(self)
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL)
        for _ in range(200):
            try:
                return self.client().ping()
            except redis.ConnectionError:
                time.sleep(0.02)
        raise SystemExit("record.py: the server does not answer after 4 s")

    def client(self, port=None, **options):
        return redis.Redis(port=port or self.port, **options)

    def connection(self, **options):
        """A single connection that returns raw replies."""
        client = self.client(single_connection_client=True, **options)
        client.ping()
        client.connection.owner = client  # keeps the client alive, which would close the connection
        return client.connection

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        self.process.kill()
        self.process.wait()

    def replica(self, lab, link, *options):
        replica = Server(lab, "--replicaof", "127.0.0.1", str(link.port), *options)
        for _ in range(100):
            if self.client().wait(1, 100) == 1:
                return replica
        raise SystemExit("record.py: the replica does not follow after 10 s")


class Link:
    """A proxy to `port`. It can lose a request or a reply of an INCR, delay what comes back, or drop everything."""

    def __init__(self, port, lose_replies=(), lose_requests=(), delay=0.0):
        self.to, self.delay, self.incrs = port, delay, 0
        self.lose_replies, self.lose_requests = lose_replies, lose_requests
        self.drops_up = self.drops_down = False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listener.accept()
            try:
                pair = [client, socket.create_connection(("127.0.0.1", self.to))]
            except OSError:  # the server was killed
                client.close()
                continue
            threading.Thread(target=self.up, args=(pair,), daemon=True).start()
            threading.Thread(target=self.down, args=(pair,), daemon=True).start()

    def up(self, pair):
        client, server = pair
        for data in iter(lambda: received(client), b""):
            loses_reply = False
            if b"INCR" in data:
                self.incrs += 1
                loses_reply = self.incrs in self.lose_replies
                if self.incrs in self.lose_requests:
                    break
            if loses_reply:
                pair.append("deaf")
            if not self.drops_up:
                server.sendall(data)
        close(pair)

    def down(self, pair):
        client, server = pair[:2]
        for data in iter(lambda: received(server), b""):
            if "deaf" in pair:
                break
            time.sleep(self.delay)
            if not self.drops_down:
                client.sendall(data)
        close(pair)


def received(stream):
    try:
        return stream.recv(1 << 16)
    except OSError:
        return b""


def close(pair):
    for stream in pair[:2]:
        try:
            stream.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def call(connection, *words):
    connection.send_command(*words)
    return connection.read_response()


class Log:
    """The history: every operation with its begin, end and outcome."""

    def __init__(self):
        self.rows, self.zero, self.initial, self.last = [], time.monotonic_ns(), 0, None

    def begin(self, worker, op="add"):
        row = {"worker": worker, "begin": time.monotonic_ns() - self.zero, "op": op}
        self.rows.append(row)
        return row

    def end(self, row, outcome="ok", value=None):
        row.update(end=time.monotonic_ns() - self.zero, outcome=outcome, value=value)

    def add(self, worker, update, op="add"):
        row = self.begin(worker, op)
        try:
            self.end(row, "ok", update())
        except redis.ResponseError:
            self.end(row, "fail")
        except (redis.ConnectionError, redis.TimeoutError):
            self.end(row, "unknown")

    def incrs(self, worker, client, count, pause=0.0):
        for _ in range(count):
            self.add(worker, lambda: client.incr(KEY))
            time.sleep(pause)

    def together(self, update, workers="abc", each=8):
        """All workers call `update` repeatedly, at the same time."""
        start = threading.Barrier(len(workers))

        def work(worker):
            start.wait()
            for _ in range(each):
                self.add(worker, update)

        threads = [threading.Thread(target=work, args=worker) for worker in workers]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]

    def text(self, name, fault, sentence, product):
        general = any(row["op"] != "add" for row in self.rows)
        lines = [f"# redis-lost-updates history v{2 if general else 1}", f"# kind {name}", f"# fault {fault}",
                 f"# sentence {sentence}", f"# server {product}", f"# client redis-py {redis.__version__}",
                 "worker,begin_ns,end_ns,outcome,value" + (",op" if general else "")]
        for row in sorted(self.rows, key=lambda row: row["end"]):
            value = "" if row["value"] is None else int(row["value"])
            end = "" if row["outcome"] == "unknown" else row["end"]
            fields = [row["worker"], row["begin"], end, row["outcome"], value] + ([row["op"]] if general else [])
            lines.append(",".join(map(str, fields)))
        return "\n".join(lines) + f"\n# initial {self.initial}\n# final {self.last}\n"


def value_of(client):
    return int(client.get(KEY) or 0)


def get_set(client, reader=None, pause=0.0005):
    value = value_of(reader or client) + 1
    time.sleep(pause)
    client.set(KEY, value)
    return value


# Valid histories.


@kind("recorded-incr", "", "INCR by three threads.")
def incr(lab, log):
    client = Server(lab).client()
    log.together(lambda: client.incr(KEY))
    return client


@kind("recorded-watch", "", "WATCH, GET, MULTI, SET, EXEC, again until EXEC has run.")
def watch(lab, log):
    client = Server(lab).client()
    log.together(lambda: client.transaction(
        lambda pipe: (value := value_of(pipe) + 1, pipe.multi(), pipe.set(KEY, value))[0], KEY, value_from_callable=True))
    return client


@kind("retried-request", "13", "A request was lost before it arrived, and sent again: counted once.")
def retried_request(lab, log):
    server = Server(lab)
    client = server.client(Link(server.port, lose_requests={4, 9}).port)
    log.incrs("a", client, 12)
    return server.client()


@kind("crash-with-aof", "31", "Killed by SIGKILL with appendfsync no, and started again: the kernel kept what was written.")
def crash_with_aof(lab, log):
    server = Server(lab, "--appendonly", "yes", "--appendfsync", "no")
    log.incrs("a", server.client(), 12)
    server.kill()
    server.start()
    log.incrs("a", server.client(), 12)
    return server.client()


@kind("past-the-largest", "35", "INCR past 2^63-1 is refused, and the value is kept.")
def past_the_largest(lab, log):
    client = Server(lab).client()
    log.initial = 2**63 - 6
    client.set(KEY, log.initial)
    log.incrs("a", client, 9)
    return client


@kind("watch-leaked", "8", "A pooled connection still watched the counter, and an unrelated transaction on it was aborted.")
def watch_leaked(lab, log):
    server = Server(lab)
    client, pooled = server.client(), server.connection()
    for _ in range(4):
        log.incrs("a", client, 1)
        call(pooled, "WATCH", KEY)
        log.incrs("a", client, 1)
        row = log.begin("b")
        [call(pooled, *words) for words in (["MULTI"], ["INCR", KEY])]
        made = call(pooled, "EXEC")
        log.end(row, *(("fail",) if made is None else ("ok", made[0])))
    return client


@kind("never-expires", "22", "INCR, then EXPIRE: the client died between the two, and the window never ends. The history is valid.")
def never_expires(lab, log):
    client = Server(lab).client()
    log.incrs("a", client, 1)  # the client dies before EXPIRE
    for _ in range(8):
        log.add("b", lambda: client.incr(KEY))
        if value_of(client) == 1:
            client.pexpire(KEY, 10)
        time.sleep(0.005)
    return client


@kind("failover-with-wait", "24", "WAIT 1 after each: what no replica confirmed is unknown, and nothing acknowledged is lost.")
def failover_with_wait(lab, log):
    return fail_over(lab, log, wait=True)


# Invalid histories.


@kind("recorded-race", "1", "GET, then SET one more, by three threads.")
def race(lab, log):
    client = Server(lab).client()
    log.together(lambda: get_set(client))
    return client


def locked_process(port, zero, workers, rows):
    log, lock = Log(), threading.Lock()
    log.zero = zero
    client = redis.Redis(port=port)

    def update():
        with lock:
            return get_set(client)

    log.together(update, workers)
    rows.put(log.rows)


@kind("local-mutex", "2", "A mutex around GET and SET in each of two processes: each is exact alone.")
def local_mutex(lab, log):
    server, fork = Server(lab), multiprocessing.get_context("fork")
    rows = fork.Queue()
    processes = [fork.Process(target=locked_process, args=(server.port, log.zero, names, rows)) for names in ("ab", "cd")]
    [process.start() for process in processes]
    log.rows = rows.get(timeout=60) + rows.get(timeout=60)
    [process.join() for process in processes]
    return server.client()


@kind("recorded-lagging-replica", "3", "One client reads a replica that is 20 ms behind, and writes to the primary.")
def lagging_replica(lab, log):
    server = Server(lab)
    link = Link(server.port)
    replica = server.replica(lab, link)
    link.delay = 0.02
    for _ in range(12):
        log.add("a", lambda: get_set(server.client(), replica.client(), 0.004))
    return server.client()


@kind("watch-after-get", "4", "GET, WATCH, SET in a transaction: a change between GET and WATCH goes unnoticed.")
def watch_after_get(lab, log):
    server = Server(lab)
    client, connection = server.client(), server.connection()
    log.incrs("b", client, 2)
    for _ in range(3):
        row = log.begin("a")
        value = int(call(connection, "GET", KEY)) + 1
        log.incrs("b", client, 1)
        [call(connection, *words) for words in (["WATCH", KEY], ["MULTI"], ["SET", KEY, value])]
        assert call(connection, "EXEC")
        log.end(row, "ok", value)
    return client


@kind("watch-shared", "5", "Two callers share a connection: the EXEC of one ends the WATCH of the other.")
def watch_shared(lab, log):
    server = Server(lab)
    shared = server.connection()
    call(shared, "SET", KEY, 0)
    for _ in range(3):
        rows = [log.begin("a"), log.begin("b")]
        values = []
        for _ in rows:
            call(shared, "WATCH", KEY)
            values.append(int(call(shared, "GET", KEY)) + 1)
        for row, value in zip(rows, values):
            [call(shared, *words) for words in (["MULTI"], ["SET", KEY, value])]
            assert call(shared, "EXEC")
            log.end(row, "ok", value)
    return server.client()


@kind("exec-nil-ignored", "6", "EXEC answered nil, as another had changed the counter, and it was taken for success.")
def exec_nil_ignored(lab, log):
    server = Server(lab)
    client, connection = server.client(), server.connection()
    log.incrs("b", client, 2)
    for _ in range(3):
        row = log.begin("a")
        call(connection, "WATCH", KEY)
        value = int(call(connection, "GET", KEY)) + 1
        log.incrs("b", client, 1)
        [call(connection, *words) for words in (["MULTI"], ["SET", KEY, value])]
        assert call(connection, "EXEC") is None
        log.end(row, "ok", value)
    return client


@kind("multi-leaked", "7", "A pooled connection was still in MULTI: INCR was answered QUEUED, and nothing was ever run.")
def multi_leaked(lab, log):
    server = Server(lab)
    client, pooled = server.client(), server.connection()
    log.incrs("a", client, 3)
    call(pooled, "MULTI")
    for _ in range(3):
        row = log.begin("b")
        assert call(pooled, "INCR", KEY) == b"QUEUED"
        log.end(row)
    log.incrs("a", client, 3)
    return client


def lock(client, name):
    while not client.set("lock", name, nx=True, px=20):
        time.sleep(0.001)


@kind("lock-expired", "9", "A lock expired while its holder still wrote.")
def lock_expired(lab, log):
    client = Server(lab).client()
    for _ in range(3):
        slow = log.begin("a")
        lock(client, "a")
        value = value_of(client) + 1
        time.sleep(0.03)
        row = log.begin("b")
        lock(client, "b")
        made = get_set(client)
        client.delete("lock")
        log.end(row, "ok", made)
        client.set(KEY, value)
        log.end(slow, "ok", value)
    return client


@kind("unlocked-anothers", "10", "A lock expired, and its first holder deleted the second holder's: a third came in beside the second.")
def unlocked_anothers(lab, log):
    client = Server(lab).client()
    for _ in range(3):
        first = log.begin("a")
        lock(client, "a")
        made = get_set(client)
        time.sleep(0.03)
        second = log.begin("b")
        lock(client, "b")
        value = value_of(client) + 1
        client.delete("lock")
        log.end(first, "ok", made)
        third = log.begin("c")
        lock(client, "c")
        log.end(third, "ok", get_set(client))
        client.set(KEY, value)
        log.end(second, "ok", value)
        client.delete("lock")
    return client


@kind("retried-reply", "12", "Replies were lost, and redis-py sent the INCR again, as it does by default.")
def retried_reply(lab, log):
    server = Server(lab)
    client = server.client(Link(server.port, lose_replies={4, 9}).port)
    log.incrs("a", client, 12)
    return server.client()


@kind("retried-transaction", "15", "The reply to a transaction was lost, and redis-py ran all of it again.")
def retried_transaction(lab, log):
    server = Server(lab)
    client = server.client(Link(server.port, lose_replies={4, 9}).port)

    def update():
        pipe = client.pipeline(transaction=True)
        return pipe.incr(KEY).incr("other").execute()[0]

    for _ in range(12):
        log.add("a", update)
    return server.client()


@kind("recorded-shifted-replies", "17", "A connection was used again after a timeout: each reply is that of the command before.")
def shifted_replies(lab, log):
    server = Server(lab)
    connection = server.connection(socket_timeout=0.05)
    server.signal(signal.SIGSTOP)
    row = log.begin("a")
    connection.send_command("INCR", KEY)
    try:
        connection.read_response(disconnect_on_error=False)
    except redis.TimeoutError:
        log.end(row, "unknown")
    server.signal(signal.SIGCONT)
    log.add("b", lambda: value_of(server.client()), "read")
    for _ in range(3):
        log.add("a", lambda: call(connection, "INCR", KEY))
    return server.client()


@kind("recorded-unread-pipeline", "18", "Acknowledged when written; the connection was killed before the server ran any of it.")
def unread_pipeline(lab, log):
    server = Server(lab)
    client, pipe = server.client(), server.connection()
    number = call(pipe, "CLIENT", "ID")
    log.incrs("a", client, 3)
    client.client_pause(10_000, all=False)
    for _ in range(6):
        row = log.begin("b")
        pipe.send_command("INCR", KEY)
        log.end(row)
    client.client_kill_filter(_id=number)
    client.client_unpause()
    log.incrs("a", client, 3)
    return client


@kind("recorded-errors-ignored", "19", "The server was out of memory, and nobody looked at its errors.")
def errors_ignored(lab, log):
    client = Server(lab).client()

    def update():
        try:
            client.incr(KEY)
        except redis.ResponseError:
            pass

    for memory in (0, 1, 0):
        client.config_set("maxmemory", memory)
        for _ in range(4):
            log.add("a", update)
    return client


@kind("evicted", "20", "Memory was short, and allkeys-random evicted the counter: it starts again at 1.")
def evicted(lab, log):
    client = Server(lab, "--maxmemory-policy", "allkeys-random").client()
    client.config_set("maxmemory", client.info("memory")["used_memory"] + 300_000)
    log.incrs("a", client, 6)
    for number in range(100_000):
        client.set(f"filler-{number}", "x" * 10_000)
        if not client.exists(KEY):
            break
    log.incrs("a", client, 6)
    return client


@kind("recorded-expired", "21", "The key expired in between: the counter starts again at 1.")
def expired(lab, log):
    client = Server(lab).client()
    log.incrs("a", client, 4)
    client.pexpire(KEY, 30)
    log.incrs("a", client, 12, 0.005)
    return client


@kind("recorded-get-then-reset", "23", "Read and reset as GET, then SET 0: what was added between the two is gone.")
def get_then_reset(lab, log):
    client = Server(lab).client()
    log.incrs("a", client, 2)
    row = log.begin("t", "take")
    told = value_of(client)
    log.incrs("b", client, 1)
    client.set(KEY, 0)
    log.end(row, "ok", told)
    log.incrs("a", client, 2)
    return client


def fail_over(lab, log, wait=False, one_way=False, options=(), count=12, pause=0.0):
    """The replica falls behind, the primary is killed, and the replica is promoted."""
    server = Server(lab)
    link = Link(server.port)
    replica = server.replica(lab, link)
    for option in options:
        server.client().config_set(*option)
    client = server.client(single_connection_client=True)

    def update():
        value = client.incr(KEY)
        if wait and client.wait(1, 50) < 1:
            raise redis.TimeoutError("no replica has it")
        return value

    for _ in range(count):
        log.add("a", update)
    link.drops_down, link.drops_up = True, not one_way
    for _ in range(count):
        log.add("a", update)
        time.sleep(pause)
    server.kill()
    replica.client().replicaof("NO", "ONE")
    log.incrs("a", replica.client(), 3)
    return replica.client()


@kind("recorded-failover", "24", "The primary was killed, and a replica promoted that lacked the last updates.")
def failover(lab, log):
    return fail_over(lab, log)


@kind("replica-frozen", "25", "min-replicas-to-write 1: writes are refused only two seconds after the replica froze.")
def replica_frozen(lab, log):
    options = [("min-replicas-to-write", 1), ("min-replicas-max-lag", 1)]
    return fail_over(lab, log, options=options, count=20, pause=0.2)


@kind("one-way-cut", "26", "min-replicas-to-write 1: the replica still says that it is there, and receives nothing; none is refused.")
def one_way_cut(lab, log):
    options = [("min-replicas-to-write", 1), ("min-replicas-max-lag", 1)]
    return fail_over(lab, log, one_way=True, options=options, count=20, pause=0.2)


@kind("split-brain", "27", "Cut off, the old primary went on beside the new one, and was demoted: what it had acknowledged is gone.")
def split_brain(lab, log):
    old = Server(lab)
    link = Link(old.port)
    new = old.replica(lab, link)
    log.incrs("a", old.client(), 8)
    old.client().wait(1, 1000)
    link.drops_up = link.drops_down = True
    new.client().replicaof("NO", "ONE")
    for _ in range(6):
        log.incrs("a", old.client(), 1)
        log.incrs("b", new.client(), 1)
    old.client().replicaof("127.0.0.1", new.port)
    while old.client().info("replication")["master_link_status"] != "up":
        time.sleep(0.05)
    return old.client()


@kind("recorded-crash", "30", "Killed, and started again from a snapshot: the counter went back.")
def crash(lab, log):
    server = Server(lab)
    log.incrs("a", server.client(), 8)
    server.client().save()
    log.incrs("a", server.client(), 8)
    server.kill()
    server.start()
    log.incrs("a", server.client(), 4)
    return server.client()


@kind("recorded-stuck-at-2-to-the-53", "32", "Lua adds in doubles: the counter sticks, but reports success.")
def stuck(lab, log):
    client = Server(lab).client()
    log.initial = 2**53 - 5
    client.set(KEY, log.initial)
    script = client.register_script(
        "local v = string.format('%.0f', tonumber(redis.call('GET', KEYS[1])) + 1); redis.call('SET', KEYS[1], v); return v")
    for _ in range(12):
        log.add("a", lambda: script(keys=[KEY]))
    return client


@kind("float-too-coarse", "33", "INCRBYFLOAT 1 at 10^20 changes nothing, but reports success. Values are written less 10^20.")
def float_too_coarse(lab, log):
    client = Server(lab).client()
    large = 10**20
    client.set(KEY, large)
    for _ in range(8):
        log.add("a", lambda: int(client.execute_command("INCRBYFLOAT", KEY, 1)) - large)
    log.last = int(client.get(KEY)) - large
    return None


def bitfield(lab, log, overflow):
    client = Server(lab).client()
    log.initial = 250
    client.set(KEY, bytes([250]))
    for _ in range(12):
        log.add("a", lambda: client.bitfield(KEY, default_overflow=overflow).incrby("u8", 0, 1).execute()[-1])
    log.last = client.get(KEY)[0]


@kind("recorded-saturated", "34", "BITFIELD u8 OVERFLOW SAT: 255 and no further.")
def saturated(lab, log):
    bitfield(lab, log, "SAT")


@kind("recorded-wrapped", "34", "BITFIELD u8 OVERFLOW WRAP: after 255 comes 0.")
def wrapped(lab, log):
    bitfield(lab, log, "WRAP")


class Lab:
    """The servers of one history."""

    def __init__(self, binary, folder):
        self.binary, self.folder, self.servers = binary, folder, []


def record(name, binary):
    fault, sentence, scenario = KINDS[name]
    with tempfile.TemporaryDirectory() as folder:
        lab, log = Lab(binary, folder), Log()
        try:
            reader = scenario(lab, log)
            if reader is not None:
                log.last = value_of(reader)
            product = product_of(lab)
        finally:
            for server in lab.servers:
                server.kill()
    with open(os.path.join(HERE, "recorded", f"{name}.csv"), "w", newline="\n") as out:
        out.write(log.text(name, fault, sentence, product))


def product_of(lab):
    alive = [server for server in lab.servers if server.process.poll() is None]
    info = alive[0].client().info("server")
    return f"{info.get('server_name', 'redis')} {info.get('valkey_version', info['redis_version'])}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", metavar="KIND", help="all of them by default: " + ", ".join(KINDS))
    parser.add_argument("--server", default="redis-server")
    arguments = parser.parse_args()
    os.makedirs(os.path.join(HERE, "recorded"), exist_ok=True)
    for name in arguments.kinds or KINDS:
        print(name, flush=True)
        record(name, arguments.server)


if __name__ == "__main__":
    main()
