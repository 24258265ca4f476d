"use strict";
// The worker loop that all JavaScript adapters share: docs/libraries.md says what goes over the pipes, and why.
//
// An adapter calls serve() with what is particular to its library. `openClient` makes a connected client; a strategy is an
// async function that adds one to a counter with it and gives the value it was told, or {value, tries}; a strategy in
// `batched` takes a list of keys and gives a list. `refused` tells errors after which nothing was done.

const fs = require("fs");
const readline = require("readline");

const HEADER = "worker,begin_ns,end_ns,outcome,value,key,tries\n";
const NO_OP = "no-op"; // the strategy of clients that send nothing: their rate shows what this loop and the pipes cost
const BLOCK = 64 * 1024; // rows are written in blocks of this size, so that writing is rare within the race

// Whole numbers up to 2^53 are exact: 104 days of nanoseconds since this process began.
const now = () => Math.round(performance.now() * 1e6);

function write(text) {
  let bytes = Buffer.from(text);
  while (bytes.length > 0) {
    try {
      bytes = bytes.subarray(fs.writeSync(1, bytes));
    } catch (error) {
      if (error.code !== "EAGAIN") throw error; // the pipe is full for now
    }
  }
}

const say = (message) => write(JSON.stringify(message) + "\n");

class Log {
  constructor(client, sequence, go) {
    Object.assign(this, { client, sequence, place: 0, byRow: go.flush === "row", rows: "", count: 0, acked: 0, error: null });
  }

  nextKeys(many) {
    const numbers = [];
    for (let i = 0; i < many; i++) numbers.push(this.sequence[this.place++ % this.sequence.length]);
    return numbers;
  }

  add(begin, end, outcome, value, key, tries = 1) {
    this.rows += `${this.client},${begin},${end},${outcome},${value ?? ""},${key},${tries}\n`;
    this.count++;
    if (outcome === "ok") this.acked++;
    if (this.byRow || this.rows.length > BLOCK) this.flush();
  }

  flush() {
    write(this.rows);
    this.rows = "";
  }
}

async function until(instant) {
  // A timer is late by up to a millisecond: the last two are spent looking at the clock between other clients' work.
  for (let left; (left = instant - now()) > 0; ) {
    await new Promise((go) => (left > 2e6 ? setTimeout(go, left / 1e6 - 1) : setImmediate(go)));
  }
}

async function run(client, update, job, batch, log, updates, go, refused) {
  const end = go.start_ns + go.duration_ns;
  const pause = go.pause_ns / 1e6;
  await until(go.start_ns);
  let done = 0;
  for (let begin = now(); done < updates && begin < end; ) {
    const numbers = log.nextKeys(Math.min(batch, updates - done));
    if (go.rate) {
      const place = (done + numbers.length - 1) * go.rate.clients + log.client;
      await until(go.start_ns + Math.floor((place * 1e9) / go.rate.per_s));
      begin = now();
    }
    let ended, failed = false;
    try {
      const keys = numbers.map((number) => job.keys[number]);
      const told = batch > 1 ? await update(client, keys) : [await update(client, keys[0])];
      ended = now();
      numbers.forEach((number, i) => {
        const { value, tries } = typeof told[i] === "object" ? told[i] : { value: told[i], tries: 1 };
        log.add(begin, ended, "ok", value, number, tries);
      });
    } catch (error) {
      ended = now();
      failed = true;
      log.error ??= `${error.name}: ${error.message}`.slice(0, 300);
      // Of a batch that failed, some may have been done.
      const outcome = numbers.length === 1 && refused(error) ? "fail" : "unknown";
      for (const number of numbers) log.add(begin, ended, outcome, null, number);
    }
    begin = ended;
    done += numbers.length;
    if (failed) {
      // At least a turn of the event loop: an error that is thrown at once must not keep the library's own timers waiting.
      await new Promise((go) => setTimeout(go, pause));
      begin = now();
    }
  }
  log.flush();
}

async function serve({ library, version, openClient, strategies, batched = [], effective, refused }) {
  const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  const hear = async () => {
    const line = await lines.next();
    return line.done ? null : JSON.parse(line.value);
  };
  const { job } = await hear();
  if (job.strategy === NO_OP) {
    openClient = async () => null;
    strategies = { [NO_OP]: async () => 1 };
    effective = () => ({});
  }
  const update = strategies[job.strategy];
  const batch = batched.includes(job.strategy) ? job.batch : 1;
  const clients = [];
  for (const _ of job.clients) clients.push(await openClient(job));
  const runtime = `Node.js ${process.versions.node}`;
  say({ ready: { library, version, runtime, batch, settings: effective(clients[0]) } });
  for (let message; (message = await hear()); ) {
    if (message.ping !== undefined) {
      say({ pong: message.ping, now_ns: now() });
      continue;
    }
    const go = message.go;
    write(HEADER);
    const logs = clients.map((_, i) => new Log(job.clients[i], job.sequences[i] ?? [0], go));
    await Promise.all(
      clients.map((client, i) => run(client, update, job, batch, logs[i], go.updates[i], go, refused)),
    );
    const sum = (name) => logs.reduce((sum, log) => sum + log[name], 0);
    const error = logs.find((log) => log.error)?.error;
    say({ done: { rows: sum("count"), acked: sum("acked"), ...(error ? { error } : {}) } });
  }
  process.exit(0);
}

module.exports = {
  serve: (adapter) =>
    serve(adapter).catch((error) => {
      say({ error: `${error.name}: ${error.message}` });
      process.exit(1);
    }),
};
