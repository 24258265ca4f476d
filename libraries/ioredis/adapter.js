"use strict";
// ioredis: a connection for every client.
const Redis = require("ioredis");
const { version } = require("ioredis/package.json");
const { serve } = require("../loops/worker.js");

const SETTINGS = {
  default: {},
  // What was in flight when the connection ended is an error, not sent again; a silent connection is given up.
  safe: { autoResendUnfulfilledCommands: false, maxRetriesPerRequest: 0, commandTimeout: 1000, socketTimeout: 1000 },
};
const SCRIPT = { numberOfKeys: 1, lua: "return redis.call('INCR', KEYS[1])" };

async function openClient(job) {
  const address = job.url.startsWith("unix:") ? new URL(job.url).pathname : job.url;
  const client = new Redis(address, SETTINGS[job.settings]);
  client.on("error", () => {}); // or every lost connection would be printed
  client.defineCommand("luaIncr", SCRIPT);
  await client.ping();
  return client;
}

async function getSet(client, key) {
  const value = Number((await client.get(key)) ?? 0) + 1;
  await client.set(key, value);
  return value;
}

async function watch(client, key) {
  for (let tries = 1; ; tries++) {
    await client.watch(key);
    const value = Number((await client.get(key)) ?? 0) + 1;
    const done = await client.multi().set(key, value).exec();
    if (done) return { value, tries };
  }
}

async function pipelinedIncr(client, keys) {
  const pipeline = client.pipeline();
  for (const key of keys) pipeline.incr(key);
  return (await pipeline.exec()).map(([error, value]) => {
    if (error) throw error;
    return value;
  });
}

serve({
  library: "ioredis",
  version,
  openClient,
  strategies: {
    incr: (client, key) => client.incr(key),
    "get-set": getSet,
    watch,
    "lua-incr": (client, key) => client.luaIncr(key),
    "pipelined-incr": pipelinedIncr,
  },
  batched: ["pipelined-incr"],
  refused: (error) => error.name === "ReplyError",
  effective: ({ options }) => ({
    retries: String(options.maxRetriesPerRequest),
    resends_unfulfilled: String(options.autoResendUnfulfilledCommands),
    command_timeout: String(options.commandTimeout ?? "none"),
    socket_timeout: String(options.socketTimeout ?? "none"),
  }),
});
