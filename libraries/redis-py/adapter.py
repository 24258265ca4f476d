"""redis-py's synchronous client: a connection pool of one connection for every client."""

import redis
import worker
from redis.backoff import NoBackoff
from redis.retry import Retry

SETTINGS = {
    "default": lambda: {},
    "from-url": lambda: {},
    # A command is sent once. Without a timeout, a reply that never comes is waited for as long as the connection lives.
    "safe": lambda: {"retry": Retry(NoBackoff(), 0), "socket_timeout": 1, "socket_connect_timeout": 1},
}
SCRIPT = "return redis.call('INCR', KEYS[1])"


def open_client(job):
    settings = SETTINGS[job["settings"]]()
    if job["settings"] == "from-url":
        client = redis.Redis.from_url(job["url"])
    else:
        where = redis.connection.parse_url(job["url"])
        if "path" in where:
            where["unix_socket_path"] = where.pop("path")
        where.pop("connection_class", None)
        client = redis.Redis(**where, **settings)
    client.ping()
    client.script = client.register_script(SCRIPT)
    return client


def effective(client):
    connection = client.connection_pool.get_connection()
    client.connection_pool.release(connection)
    retry = client.get_retry() or connection.retry
    return {
        "retries": str(retry.get_retries()),
        "backoff": type(retry._backoff).__name__,
        "socket_timeout": str(connection.socket_timeout or "none"),
    }


def refusing(update):
    """An error that the server answers with says that this try did nothing."""

    def wrapped(client, key):
        try:
            return update(client, key)
        except redis.ResponseError as error:
            raise worker.Refused(str(error)) from error

    return wrapped


def get_set(client, key):
    value = int(client.get(key) or 0) + 1
    client.set(key, value)
    return value


def watch(client, key):
    tries = 0
    with client.pipeline() as pipe:
        while True:
            tries += 1
            try:
                pipe.watch(key)
                value = int(pipe.get(key) or 0) + 1
                pipe.multi()
                pipe.set(key, value)
                pipe.execute()
                return worker.Tried(value, tries)
            except redis.WatchError:
                continue


def pipelined_incr(client, keys):
    pipe = client.pipeline(transaction=False)
    for key in keys:
        pipe.incr(key)
    return pipe.execute()


STRATEGIES = {
    "incr": refusing(lambda client, key: client.incr(key)),
    "get-set": refusing(get_set),
    "watch": refusing(watch),
    "lua-incr": refusing(lambda client, key: client.script(keys=[key])),
    "pipelined-incr": pipelined_incr,
}

worker.serve("redis-py", redis.__version__, open_client, STRATEGIES, effective, batched={"pipelined-incr"})
