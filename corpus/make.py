#!/usr/bin/env python3
"""Makes the corpus again, byte for byte: histories/*.csv, and labels.csv. No argument, no dependency, no clock.

A model server applies the commands of model clients one at a time, each at a time of its own between the begin and the
end of its operation. So a history without a fault is valid by construction: the order of the commands is the witness. A
fault is put into the server, the client or the network, and a history is kept only if the fault shows, by a rule that
needs no search (a value told twice, an end that the acknowledged updates cannot make, ...). Histories of at most seven
operations that change or read the counter are judged once more by trying every order. `report check` is never asked.

recorded/*.csv are left as record.py wrote them, and labelled here: by trying every order, or by rules that need no search.
"""

import csv
import itertools
import os

HERE = os.path.dirname(os.path.abspath(__file__))


class Random:
    """A small generator of our own: Python promises no equal sequences across versions."""

    def __init__(self, seed):
        self.state = (seed * 2654435761 + 88172645463325252) % 2**64 or 1

    def below(self, n):
        for shift in (13, -7, 17):
            moved = self.state << shift if shift > 0 else self.state >> -shift
            self.state = (self.state ^ moved) % 2**64
        return (self.state >> 11) % n

    def between(self, low, high):
        return low + self.below(high - low + 1)

    def chance(self, percent):
        return self.below(100) < percent


class Op:
    def __init__(self, worker, begin, end, at, op="add", amount=1, key=""):
        self.worker, self.begin, self.end, self.at = worker, begin, end, at
        self.op, self.amount, self.key = op, amount, key
        self.outcome, self.value = "ok", None


def plan(random, clients, each, pick=lambda random: ("add", 1), batch=1):
    """Closed-loop clients: what each asks, when, and when the server gets to it."""
    ops = []
    for client in range(clients):
        now = random.between(0, 30)
        for _ in range(each):
            begin = now + random.between(0, 9)
            end = begin + random.between(20, 90)
            for _ in range(batch):
                op, amount = pick(random)
                at = random.between(begin, end) * 1000 + random.below(1000)
                ops.append(Op("abcdefgh"[client], begin, end, at, op, amount))
            now = end + 1
    return ops


def serve(ops, start=0, low=None, high=None, hook=None):
    """Applies the operations in the order of their times; returns what the counter holds after."""
    value = start
    for op in sorted(ops, key=lambda op: op.at):
        if op.outcome == "fail":
            continue
        if hook:
            value = hook(op, value)
            if op.value is not None or op.outcome != "ok":
                continue
        if op.op == "read":
            op.value = value
        elif op.op == "take":
            op.value, value = value, 0
        elif op.op == "set":
            value = op.amount
        else:
            to = value + op.amount
            if (op.amount > 0 and high is not None and to > high) or (op.amount < 0 and low is not None and to < low):
                op.outcome = "denied"
            else:
                op.value = value = to
    return value


def get_set(ops, random, start=0, delay=0):
    """Every add as GET, then SET one more; both between begin and end. Returns what the counter holds after."""
    steps = []
    for op in ops:
        first, second = sorted([random.between(op.begin, op.end), random.between(op.begin, op.end)])
        steps += [(first, 0, id(op), op), (second, 1, id(op), op)]
    steps.sort(key=lambda step: (step[0], step[1], ops.index(step[3])))
    value, saw, past = start, {}, []
    for at, is_set, _, op in steps:
        if is_set:
            op.value = value = saw[id(op)] + op.amount
            past.append((at, value))
        else:
            seen = [v for t, v in past if t <= at - delay]
            saw[id(op)] = (seen[-1] if seen else start) if delay else value
    return value


class History:
    def __init__(self, kind, fault, ops, last, sentence, start=0, low=None, high=None, valid=None, figures=None):
        self.kind, self.fault, self.ops, self.last, self.sentence = kind, fault, ops, last, sentence
        self.start, self.low, self.high = start, low, high
        self.valid = (fault == "") if valid is None else valid
        self.figures = figures or {}

    def text(self, random):
        general = any(op.op != "add" or op.amount != 1 or op.outcome == "denied" for op in self.ops)
        general = general or self.low is not None or self.high is not None
        keyed = any(op.key for op in self.ops)
        head = ["worker", "begin_ns", "end_ns", "outcome", "value"]
        head += (["op", "amount"] if general else []) + (["key"] if keyed else [])
        lines = [f"# redis-lost-updates history v{2 if general else 1}", ",".join(head)]
        for op in sorted(self.ops, key=lambda op: (op.end, op.worker, op.at)):
            value = "" if op.value is None or op.outcome != "ok" else str(op.value)
            end = "" if op.outcome == "unknown" else op.end
            row = [op.worker, op.begin, end, op.outcome, value]
            row += ([op.op, op.amount if op.op in ("add", "set") else ""] if general else [])
            row += [op.key] if keyed else []
            lines.append(",".join(str(field) for field in row))
        for name, value in (("initial", self.start), ("final", self.last), ("min", self.low), ("max", self.high)):
            if isinstance(value, dict):
                lines += [f"# {name} {number} {key}" for key, number in sorted(value.items())]
            elif value is not None:
                lines.append(f"# {name} {value}")
        return "\n".join(lines) + "\n"


def accounts(history):
    """Figures of a counter that is only added 1 to, straight from their definitions; nothing for others."""
    ops = history.ops
    if any(op.op != "add" or op.amount != 1 or op.key or op.outcome == "denied" for op in ops) or history.last is None:
        return {}
    if history.low is not None or history.high is not None:
        return {}
    found = history.last - history.start
    acked = [op for op in ops if op.outcome == "ok"]
    told = [op.value - history.start for op in acked if op.value is not None]
    if len(told) != len(acked) or any(value < 1 for value in told):
        return {"acked": len(acked)}
    inside = {value for value in told if value <= found}
    open_values = max(found, 0) - len(inside)
    unknown = sum(op.outcome == "unknown" for op in ops)
    failed = sum(op.outcome == "fail" for op in ops)
    unexplained = max(0, open_values - unknown)
    return {
        "acked": len(acked),
        "lost": len(told) - len(inside),
        "overwritten": len(told) - len(set(told)),
        "doubled": unexplained - min(unexplained, failed),
    }


def before(a, b):
    """Whether `a` must come before `b`."""
    if a.outcome == "unknown":
        return False
    own = a.worker == b.worker and a.end <= b.begin and (a.begin, a.end) != (b.begin, b.end)
    return own or a.end < b.begin


def tries_every_order(history):
    """Whether some order explains a small history; None if it is too large to try."""
    ops = [op for op in history.ops if op.outcome != "fail"]
    if len(ops) > 7 or any(op.key for op in ops):
        return None

    def step(op, value):
        if op.op == "read":
            return value if op.value in (None, value) else None
        if op.op == "take":
            return 0 if op.value in (None, value) else None
        if op.op == "set":
            return op.amount
        to = value + op.amount
        passes = (op.amount > 0 and history.high is not None and to > history.high) or (
            op.amount < 0 and history.low is not None and to < history.low
        )
        if op.outcome == "denied":
            return value if passes else None
        return to if not passes and op.value in (None, to) else None

    for size in range(len(ops) + 1):
        for some in itertools.permutations(ops, size):
            left = [op for op in ops if op not in some]
            if any(op.outcome != "unknown" for op in left):
                continue
            if any(before(some[j], some[i]) for i in range(size) for j in range(i + 1, size)):
                continue
            value = history.start
            for op in some:
                value = step(op, value)
                if value is None:
                    break
            if value is not None and history.last in (None, value):
                return True
    return False


def read_recorded(path):
    """A history as record.py wrote it: what went wrong is in its comments."""
    said, rows = {}, []
    with open(path, newline="") as lines:
        for line in lines:
            if line.startswith("#"):
                name, _, value = line[1:].strip().partition(" ")
                said[name] = value
            else:
                rows.append(line)
    ops = []
    for row in csv.DictReader(rows):
        end = int(row["end_ns"] or row["begin_ns"])
        op = Op(row["worker"], int(row["begin_ns"]), end, 0, row.get("op", "add"))
        op.outcome, op.value = row["outcome"], int(row["value"]) if row["value"] else None
        ops.append(op)
    return History(said["kind"], said["fault"], ops, int(said["final"]), said["sentence"], int(said["initial"]))


def label_recorded(history):
    """Whether a recorded history is valid, and how that is known."""
    tried = tries_every_order(history)
    if tried is not None:
        return tried, "every-order"
    if any(op.op != "add" for op in history.ops):
        raise AssertionError(f"{history.kind}: too long to try every order, and no rule is for it")
    acked = [op for op in history.ops if op.outcome == "ok"]
    told = sorted((op for op in acked if op.value is not None), key=lambda op: op.value)
    values, found = [op.value for op in told], history.last - history.start
    unknown = sum(op.outcome == "unknown" for op in history.ops)
    if len(set(values)) < len(values) or (values and values[-1] > history.last):
        return False, "rule"
    if not len(acked) <= found <= len(acked) + unknown:
        return False, "rule"
    in_order = not any(before(b, a) for a, b in itertools.combinations(told, 2))
    if in_order and values == list(range(history.start + 1, history.last + 1)) and len(told) == len(acked):
        return True, "rule"
    raise AssertionError(f"{history.kind}: no rule decides it")


# Valid ones.


def incr(random, small):
    ops = plan(random, random.between(2, 3 if small else 8), random.between(1, 2) if small else random.between(4, 9))
    return History("incr", "", ops, serve(ops), "INCR: every update was told the value it made.")


def refused(random, small):
    ops = plan(random, 2, 3 if small else 9)
    for op in ops:
        if random.chance(30):
            op.outcome = "fail"
    return History("refused", "", ops, serve(ops), "Some updates failed, and none of these is in the counter.")


def blind(random, small):
    ops = plan(random, 2, 3 if small else 9)
    last = serve(ops)
    for op in ops:
        if random.chance(40):
            op.value = None
    return History("blind", "", ops, last, "Some acknowledgements carried no value; the values left over fit them.")


def unknown(random, small):
    ops = plan(random, 2, 3 if small else 9)
    for op in ops:
        if random.chance(30):
            op.outcome = "unknown"
    def hook(op, value):
        return value + (op.outcome == "unknown" and op.at % 2 == 0)
    return History("unknown", "", ops, serve(ops, hook=hook), "Some outcomes are unknown; half of these took effect.")


def pipeline(random, small):
    ops = plan(random, 2, 1 if small else 5, batch=3)
    return History("pipeline", "", ops, serve(ops), "Updates handed over together share their times and have no order.")


def stock(random, small):
    start = random.between(1, 3) if small else random.between(6, 20)
    ops = plan(random, 3, 2 if small else 8, lambda r: ("add", -1))
    last = serve(ops, start, low=0)
    return History("stock", "", ops, last, "A stock sold down to 0, and then every buyer was denied.", start, low=0)


def amounts(random, small):
    pick = lambda r: ("read", "") if r.chance(25) else ("add", r.between(1, 9))
    ops = plan(random, 3, 2 if small else 8, pick)
    return History("amounts", "", ops, serve(ops), "INCRBY of different amounts, and reads.")


def windows(random, small):
    pick = lambda r: ("take", "") if r.chance(15) else ("add", 1)
    ops = plan(random, 3, 2 if small else 9, pick)
    return History("windows", "", ops, serve(ops), "A window that GETDEL closes now and then: each starts again at 1.")


def balance(random, small):
    pick = lambda r: ("read", "") if r.chance(20) else ("add", r.between(-5, 5) or 3)
    ops = plan(random, 3, 2 if small else 8, pick)
    return History("balance", "", ops, serve(ops, 100), "A balance that goes up and down, told after each change.", 100)


def settings(random, small):
    pick = lambda r: ("set", r.between(0, 3)) if r.chance(15) else ("add", 1)
    ops = plan(random, 2, 3 if small else 9, pick)
    return History("settings", "", ops, serve(ops), "Increments, and now and then somebody sets the counter.")


def jepsen(random, small):
    pick = lambda r: ("read", "") if r.chance(40) else ("add", 1)
    ops = plan(random, 3, 2 if small else 8, pick)
    last = serve(ops)
    for op in ops:
        op.value = op.value if op.op == "read" else None
    return History("jepsen", "", ops, last, "Adds that are told nothing, and reads: what Jepsen's counter test records.")


def keys(random, small):
    ops = plan(random, 3, 2 if small else 9)
    last = {}
    for name in "xy":
        mine = [op for op in ops if random.chance(50) and not op.key] if name == "x" else [op for op in ops if not op.key]
        for op in mine:
            op.key = name
        last[name] = serve(mine)
    return History("keys", "", ops, last, "Two counters, each told its own values.")


# Faults. The second argument names the row of the README.


def race(random, small):
    ops = plan(random, random.between(2, 3) if small else random.between(3, 8), 1 if small else 6)
    last = get_set(ops, random)
    if len({op.value for op in ops}) == len(ops):
        return None
    return History("race", "1", ops, last, "GET, then SET one more: two read the same value, and one overwrote the other.")


def late_write(random, small):
    ops = plan(random, 2, 2 if small else 8)
    slow = ops[0]
    slow.end = max(op.end for op in ops) + 5
    ops = [slow] + [op for op in ops if op.worker != slow.worker]
    last = serve(ops[1:])
    slow.value, last = 1, 1
    if len(ops) < 3:
        return None
    return History("late-write", "1", ops, last, "One read 0, stalled, and wrote 1 at the end over all the others made.")


def lagging(random, small):
    ops = plan(random, 1, 4 if small else 12)
    last = get_set(ops, random, delay=random.between(40, 200))
    if len({op.value for op in ops}) == len(ops):
        return None
    return History("lagging-replica", "3", ops, last, "One client reads a replica that lags, and writes to the primary.")


def retried(random, small):
    ops = plan(random, 2, 2 if small else 8)
    chosen = ops[random.below(len(ops))]
    def hook(op, value):
        return value + (op is chosen)
    last = serve(ops, hook=hook)
    return History("blind-retry", "12", ops, last, "A lost reply was retried: one acknowledged update counts twice.")


def shifted(random, small):
    ops = plan(random, 1, 5 if small else 12)
    last = serve(ops)
    values = [op.value for op in ops]
    for op, value in zip(ops[1:], values):
        op.value = value
    return History("shifted-replies", "17", ops, last, "Each reply but the first is that of the command before it.")


def unread(random, small):
    ops = plan(random, 2, 2 if small else 8)
    dropped = {id(op) for op in ops if random.chance(40)}
    for op in ops:
        op.value = None
    last = sum(id(op) not in dropped for op in ops)
    if not dropped:
        return None
    return History("unread-pipeline", "18", ops, last, "Acknowledged when written, not when answered; some were never run.")


def expired(random, small):
    ops = plan(random, 1, 5 if small else 14)
    edge = sorted(ops, key=lambda op: op.at)[len(ops) // 2]
    def hook(op, value):
        return 0 if op is edge else value
    last = serve(ops, hook=hook)
    return History("expired", "21", ops, last, "The key expired in between: the counter starts again at 1, raced by nobody.")


def reset(random, small):
    ops = plan(random, 2, 2 if small else 9)
    middle = sorted(op.at for op in ops)[len(ops) // 2]
    taker = Op("t", middle // 1000 - 30, middle // 1000 + 30, middle, "take", "")
    before = [op for op in ops if op.at < middle - 20_000]
    between = [op for op in ops if middle - 20_000 <= op.at <= middle]
    after = [op for op in ops if op.at > middle]
    if not between or taker.begin < 0:
        return None
    taker.value = serve(before)
    serve(between, taker.value)
    return History("get-then-reset", "23", ops + [taker], serve(after),
                   "Read and reset as GET, then SET 0: what was added between the two is gone.")


def failover(random, small):
    ops = plan(random, 3, 2 if small else 9)
    order = sorted(ops, key=lambda op: op.at)
    edge, back = order[len(order) // 2], random.between(1, 3)
    def hook(op, value):
        return max(0, value - back) if op is edge else value
    last = serve(ops, hook=hook)
    if len({op.value for op in ops}) == len(ops):
        return None
    return History("failover", "24", ops, last, "A replica that lacked the last updates was promoted: the counter went back.")


def crashed(random, small):
    ops = plan(random, 3, 2 if small else 9)
    last = max(0, serve(ops) - random.between(1, 4))
    return History("crash", "30", ops, last, "Restarted from an old snapshot: the counter ended below what was told.")


def stuck(random, small):
    start = 2**53 - 3
    ops = plan(random, 2, 3 if small else 8)
    def hook(op, value):
        op.value = min(value + 1, 2**53)
        return op.value
    last = serve(ops, start, hook=hook)
    return History("stuck-at-2-to-the-53", "32", ops, last, "Lua adds in doubles: the counter sticks, but reports success.", start)


def saturated(random, small):
    start = 255 - random.between(1, 2)
    ops = plan(random, 2, 2 if small else 8)
    def hook(op, value):
        op.value = min(value + 1, 255)
        return op.value
    last = serve(ops, start, hook=hook)
    return History("saturated", "34", ops, last, "BITFIELD u8 OVERFLOW SAT: 255 and no further, and every update told so.", start)


def wrapped(random, small):
    start = 255 - random.between(1, 2)
    ops = plan(random, 2, 2 if small else 8)
    def hook(op, value):
        op.value = (value + 1) % 256
        return op.value
    last = serve(ops, start, hook=hook)
    return History("wrapped", "34", ops, last, "BITFIELD u8 OVERFLOW WRAP: after 255 comes 0.", start)


def phantom(random, small):
    ops = plan(random, 2, 3 if small else 8)
    chosen = ops[random.below(len(ops))]
    last = serve(ops)
    chosen.outcome, chosen.value = "fail", None
    return History("failed-but-applied", "15", ops, last, "An update that was reported failed is in the counter.")


def ignored(random, small):
    ops = plan(random, 2, 2 if small else 8)
    lost = [op for op in ops if random.chance(30)]
    if not lost:
        return None
    done = [op for op in ops if op not in lost]
    last = serve(done)
    for op in ops:
        op.value = None
    return History("errors-ignored", "19", ops, last, "The server refused some updates, and the client took no notice.")


def swapped(random, small):
    ops = plan(random, 2, 3 if small else 8)
    last = serve(ops)
    pairs = [(a, b) for a in ops for b in ops if a.end < b.begin and a.value < b.value]
    if not pairs:
        return None
    one, two = pairs[random.below(len(pairs))]
    one.value, two.value = two.value, one.value
    return History("swapped-replies", "17", ops, last, "Two replies went to each other's caller, one after the other.")


def oversold(random, small):
    start = 2 if small else random.between(3, 9)
    ops = plan(random, 3, 2 if small else 6, lambda r: ("add", -1))
    last = serve(ops, start)
    if last >= 0:
        return None
    return History("oversold", "limit", ops, last, "Nobody looked whether there was any stock left.", start, low=0,
                   figures={"oversold": -last})


def both_bought(random, small):
    ops = plan(random, 3, 1 if small else 3, lambda r: ("add", -1))
    start = len(ops)
    last = get_set(ops, random, start)
    if len({op.value for op in ops}) == len(ops):
        return None
    sold = History("bought-twice", "1", ops, last, "Two read one stock and wrote it back: two bought the same piece.", start, low=0)
    return sold


def undersold(random, small):
    start = 5 if small else 30
    ops = plan(random, 2, 2 if small else 7, lambda r: ("add", -1))
    chosen = ops[random.below(len(ops))]
    chosen.outcome = "denied"
    rest = [op for op in ops if op is not chosen]
    return History("undersold", "limit", ops, serve(rest, start, low=0), "A buyer was denied while there was stock left.", start,
                   low=0, figures={"undersold": 1})


def stale_read(random, small):
    pick = lambda r: ("read", "") if r.chance(40) else ("add", 1)
    ops = plan(random, 3, 2 if small else 8, pick)
    last = serve(ops)
    done = [(a, r) for r in ops if r.op == "read" for a in ops if a.op == "add" and a.end < r.begin]
    if not done:
        return None
    add, read = done[random.below(len(done))]
    read.value = add.value - 1
    return History("stale-read", "3", ops, last, "A read was told less than had been acknowledged before it began.")


def dirty_read(random, small):
    pick = lambda r: ("read", "") if r.chance(40) else ("add", 4)
    ops = plan(random, 3, 2 if small else 8, pick)
    last = serve(ops)
    reads = [op for op in ops if op.op == "read"]
    if not reads:
        return None
    reads[random.below(len(reads))].value += 2
    return History("never-held", "other", ops, last, "A read was told a value that the counter never held.")


def taken_twice(random, small):
    ops = plan(random, 2, 1 if small else 5)
    last = serve(ops)
    end = max(op.end for op in ops) + 10
    takes = [Op(name, end, end + 9, 0, "take", "") for name in "tu"]
    for take in takes:
        take.value = last
    return History("taken-twice", "23", ops + takes, 0, "Two read the whole, and both reset it: it was handed out twice.",
                   figures={"taken_twice": last})


def cancelled(random, small):
    size = random.between(2, 9)
    ops = plan(random, 2, 2 if small else 5, lambda r: ("add", size))
    for op in ops:
        op.amount = size if op.worker == "a" else -size
        op.value = 50 + op.amount
    return History("cancelled-out", "1", ops, 50, "As many gains as losses were overwritten: the final value looks right.", 50)


VALID = [incr, refused, blind, unknown, pipeline, stock, amounts, windows, balance, settings, jepsen, keys]
FAULTY = [race, late_write, lagging, retried, shifted, unread, expired, reset, failover, crashed, stuck, saturated, wrapped,
          phantom, ignored, swapped, oversold, both_bought, undersold, stale_read, dirty_read, taken_twice, cancelled]


def main():
    folder = os.path.join(HERE, "histories")
    os.makedirs(folder, exist_ok=True)
    for name in os.listdir(folder):
        os.remove(os.path.join(folder, name))
    columns = ["file", "valid", "kind", "fault", "label", "acked", "lost", "overwritten", "doubled", "oversold", "undersold",
               "taken_twice", "sentence"]
    rows = []
    for makers, count in ((VALID, 10), (FAULTY, 6)):
        for maker in makers:
            seed, made = 0, 0
            while made < count:
                seed += 1
                small = made % 2 == 0
                random = Random(seed * 1000 + (VALID + FAULTY).index(maker))
                history = maker(random, small)
                if history is None:
                    continue
                tried = tries_every_order(history) if small else None
                if tried is not None and tried != history.valid:
                    if history.valid:
                        raise AssertionError(f"{history.kind}, seed {seed}: made valid, and no order explains it")
                    continue  # The fault left no trace that the history shows.
                made += 1
                figures = {**accounts(history), **history.figures}
                name = f"{history.kind}-{made}.csv"
                with open(os.path.join(folder, name), "w", newline="\n") as out:
                    out.write(history.text(random))
                label = "every-order" if tried is not None else "construction"
                rows.append([f"histories/{name}", "yes" if history.valid else "no", history.kind, history.fault, label]
                            + [figures.get(column, "") for column in columns[5:-1]] + [history.sentence])
    recorded = os.path.join(HERE, "recorded")
    for name in sorted(os.listdir(recorded)):
        history = read_recorded(os.path.join(recorded, name))
        valid, label = label_recorded(history)
        figures = accounts(history)
        rows.append([f"recorded/{name}", "yes" if valid else "no", history.kind, history.fault, label]
                    + [figures.get(column, "") for column in columns[5:-1]] + [history.sentence])
    with open(os.path.join(HERE, "labels.csv"), "w", newline="\n") as out:
        for row in [columns] + rows:
            out.write(",".join(f'"{field}"' if "," in str(field) else str(field) for field in row) + "\n")


if __name__ == "__main__":
    main()
