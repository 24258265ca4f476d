"""redis-py's asyncio client: a connection pool of one connection for every client, all on one event loop."""

import redis
import redis.asyncio
import worker
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

SETTINGS = {
    "default": lambda: {},
    # A command is sent once.
    "safe": lambda: {"retry": Retry(NoBackoff(), 0), "socket_timeout": 1, "socket_connect_timeout": 1},
}
SCRIPT = "return redis.call('INCR', KEYS[1])"


async def open_client(job):
    if job["settings"] == "from-url":
        client = redis.asyncio.Redis.from_url(job["url"])
    else:
        where = redis.asyncio.connection.parse_url(job["url"])
        if "path" in where:
            where["unix_socket_path"] = where.pop("path")
        where.pop("connection_class", None)
        client = redis.asyncio.Redis(**where, **SETTINGS[job["settings"]]())
    await client.ping()
    client.script = client.register_script(SCRIPT)
    connection = await client.connection_pool.get_connection()
    await client.connection_pool.release(connection)
    client.seen = connection
    return client


def effective(client):
    retry = client.get_retry() or client.seen.retry
    return {
        "retries": str(retry.get_retries()),
        "backoff": type(retry._backoff).__name__,
        "socket_timeout": str(client.seen.socket_timeout or "none"),
    }


def refusing(update):
    """An error that the server answers with says that this try did nothing."""

    async def wrapped(client, key):
        try:
            return await update(client, key)
        except redis.ResponseError as error:
            raise worker.Refused(str(error)) from error

    return wrapped


async def get_set(client, key):
    value = int(await client.get(key) or 0) + 1
    await client.set(key, value)
    return value


async def watch(client, key):
    tries = 0
    async with client.pipeline() as pipe:
        while True:
            tries += 1
            try:
                await pipe.watch(key)
                value = int(await pipe.get(key) or 0) + 1
                pipe.multi()
                pipe.set(key, value)
                await pipe.execute()
                return worker.Tried(value, tries)
            except redis.WatchError:
                continue


async def pipelined_incr(client, keys):
    pipe = client.pipeline(transaction=False)
    for key in keys:
        pipe.incr(key)
    return await pipe.execute()


async def incr(client, key):
    return await client.incr(key)


async def lua_incr(client, key):
    return await client.script(keys=[key])


STRATEGIES = {
    "incr": refusing(incr),
    "get-set": refusing(get_set),
    "watch": refusing(watch),
    "lua-incr": refusing(lua_incr),
    "pipelined-incr": pipelined_incr,
}

worker.serve_async(
    "redis-py-asyncio", redis.__version__, open_client, STRATEGIES, effective, batched={"pipelined-incr"}
)
