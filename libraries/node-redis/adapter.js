"use strict";
// node-redis: a connection for every client.
const { createClient, defineScript } = require("redis");
const { version } = require("redis/package.json");
const { serve } = require("../loops/worker.js");

const SETTINGS = {
  default: {},
  safe: { socket: { socketTimeout: 1000 }, commandOptions: { timeout: 1000 } },
};
const luaIncr = defineScript({
  SCRIPT: "return redis.call('INCR', KEYS[1])",
  NUMBER_OF_KEYS: 1,
  parseCommand: (parser, key) => parser.pushKey(key),
  transformReply: (reply) => reply,
});

async function openClient(job) {
  const { socket, ...settings } = SETTINGS[job.settings];
  const address = job.url.startsWith("unix:")
    ? { socket: { path: new URL(job.url).pathname, ...socket } }
    : { url: job.url, ...(socket ? { socket } : {}) };
  const client = createClient({ ...settings, ...address, scripts: { luaIncr } });
  client.settings = { ...settings, socket };
  client.on("error", () => {}); // or the first lost connection would end this process
  await client.connect();
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
    try {
      await client.multi().set(key, value).exec();
      return { value, tries };
    } catch (error) {
      if (error.constructor.name !== "WatchError") throw error;
    }
  }
}

function pipelinedIncr(client, keys) {
  return Promise.all(keys.map((key) => client.incr(key)));
}

serve({
  library: "node-redis",
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
  refused: (error) => ["SimpleError", "ErrorReply"].includes(error.constructor.name),
  effective: (client) => ({
    retries: "none for a command that was sent",
    command_timeout: String(client._commandOptions?.timeout ?? client.options?.commandOptions?.timeout ?? "none"),
    socket_timeout: String(client.options?.socket?.socketTimeout ?? "none"),
    command_queue: client.options?.disableOfflineQueue ? "refuses while disconnected" : "waits for the next connection",
  }),
});
