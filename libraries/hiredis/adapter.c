/* hiredis: a context for every client. hiredis neither retries nor connects again; this adapter connects again before the
 * next update after an error, as every program that uses it must. */
#include <hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "worker.h"

struct client {
    redisContext *db;
    const struct job *job;
};

static int is_safe, timeout_ms;

static int said_ok(redisReply *reply) {
    int ok = reply && reply->type != REDIS_REPLY_ERROR;
    freeReplyObject(reply);
    return ok;
}

/* Takes percent codes back. */
static void decode(char *text) {
    char *to = text;
    for (; *text; text++) {
        unsigned code;
        if (*text == '%' && sscanf(text + 1, "%2x", &code) == 1)
            *to++ = (char)code, text += 2;
        else
            *to++ = *text;
    }
    *to = 0;
}

/* redis://[user:password@]host:port/db or unix:///path */
static redisContext *dial(const char *url) {
    struct timeval second = {1, 0};
    redisContext *db;
    if (!strncmp(url, "unix://", 7)) {
        char path[512];
        snprintf(path, sizeof path, "%.*s", (int)strcspn(url + 7, "?"), url + 7);
        db = redisConnectUnix(path);
    } else {
        char host[256] = "", login[512] = "";
        const char *at = url + strlen("redis://"), *end = strchr(at, '@');
        if (end) {
            snprintf(login, sizeof login, "%.*s", (int)(end - at), at);
            at = end + 1;
        }
        int port = 6379, number = 0;
        sscanf(at, "%255[^:/]:%d/%d", host, &port, &number);
        db = is_safe ? redisConnectWithTimeout(host, port, second) : redisConnect(host, port);
        char *password = strchr(login, ':');
        if (db && !db->err && password) {
            *password++ = 0;
            decode(login);
            decode(password);
            redisReply *reply = *login ? redisCommand(db, "AUTH %s %s", login, password) : redisCommand(db, "AUTH %s", password);
            if (!said_ok(reply))
                snprintf(db->errstr, sizeof db->errstr, "AUTH is refused"), db->err = REDIS_ERR_OTHER;
        }
        if (db && !db->err && number && !said_ok(redisCommand(db, "SELECT %d", number)))
            snprintf(db->errstr, sizeof db->errstr, "SELECT is refused"), db->err = REDIS_ERR_OTHER;
    }
    if (db && !db->err && is_safe)
        redisSetTimeout(db, second);
    return db;
}

static void *open_client(const struct job *job, char why[200]) {
    is_safe = !strcmp(job->settings, "safe");
    struct client *client = calloc(1, sizeof *client);
    if (!client)
        return NULL;
    client->job = job;
    client->db = dial(job->url);
    if (!client->db || client->db->err) {
        snprintf(why, 200, "%s", client->db ? client->db->errstr : "no memory");
        return NULL;
    }
    if (client->db->command_timeout)
        timeout_ms = (int)(client->db->command_timeout->tv_sec * 1000 + client->db->command_timeout->tv_usec / 1000);
    return client;
}

/* One command that answers with a number, nothing or OK; false if it failed, which `told` then says. */
static int ask(struct client *client, struct told *told, redisReply *reply) {
    if (!reply) {
        told->outcome = UNKNOWN;
        snprintf(told->why, sizeof told->why, "%s", client->db->errstr);
        return 0;
    }
    int ok = reply->type != REDIS_REPLY_ERROR;
    if (ok) {
        told->value = reply->type == REDIS_REPLY_INTEGER ? reply->integer : reply->str ? atoll(reply->str) : 0;
    } else {
        told->outcome = FAIL; /* the server answers with an error: nothing was done */
        snprintf(told->why, sizeof told->why, "%.190s", reply->str);
    }
    freeReplyObject(reply);
    return ok;
}

static struct told update(void *data, const char *key) {
    struct client *client = data;
    struct told told = {OK, 0, 1, ""};
    if (!client->db || client->db->err) {
        redisFree(client->db);
        client->db = dial(client->job->url);
        if (!client->db || client->db->err) {
            told.outcome = FAIL; /* not connected: nothing was sent */
            snprintf(told.why, sizeof told.why, "%s", client->db ? client->db->errstr : "no memory");
            return told;
        }
    }
    if (!strcmp(client->job->strategy, "incr")) {
        ask(client, &told, redisCommand(client->db, "INCR %s", key));
    } else if (ask(client, &told, redisCommand(client->db, "GET %s", key))) {
        struct told set = told;
        int64_t value = told.value + 1;
        if (ask(client, &set, redisCommand(client->db, "SET %s %lld", key, (long long)value)))
            told.value = value;
        else
            told = set;
    }
    return told;
}

static void effective(char *out, int size) {
    char timeout[32] = "none";
    if (timeout_ms)
        snprintf(timeout, sizeof timeout, "%d ms", timeout_ms);
    snprintf(out, (size_t)size, "\"retries\":\"0\",\"reconnects\":\"never by itself\",\"timeout\":\"%s\"", timeout);
}

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
#define VERSION TEXT(HIREDIS_MAJOR) "." TEXT(HIREDIS_MINOR) "." TEXT(HIREDIS_PATCH)

int main(void) {
    struct adapter adapter = {"hiredis", VERSION, open_client, update, effective};
    return serve(&adapter);
}
