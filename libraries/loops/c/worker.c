/* The worker loop for C: a thread for every client. Messages are searched for the few names that they have, in place of a
 * JSON library; they come from the harness alone. */
#define _GNU_SOURCE
#include "worker.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define HEADER "worker,begin_ns,end_ns,outcome,value,key,tries\n"
#define BLOCK (64 * 1024) /* rows are written in blocks of this size, so that writing is rare within the race */
#define ROW 160

struct race {
    int64_t start_ns, duration_ns, pause_ns, per_s, all_clients;
    int by_row;
};

struct client {
    pthread_t thread;
    void *handle;
    const struct adapter *adapter;
    const struct job *job;
    const struct race *race;
    int number, *sequence, sequence_length, place, used;
    int64_t updates, count, acked;
    char rows[BLOCK + ROW], why[200];
};

static pthread_mutex_t output = PTHREAD_MUTEX_INITIALIZER;

static int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void until(int64_t instant) {
    struct timespec t = {instant / 1000000000, instant % 1000000000};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {
    }
}

static void put(const char *text, size_t size) {
    pthread_mutex_lock(&output);
    while (size > 0) {
        ssize_t written = write(1, text, size);
        if (written < 0 && errno != EINTR)
            exit(1); /* nobody listens any more */
        if (written > 0)
            text += written, size -= (size_t)written;
    }
    pthread_mutex_unlock(&output);
}

static void say(const char *text) {
    put(text, strlen(text));
}

static void plain(char *text) {
    for (; *text; text++)
        if (*text == '"' || *text == '\\' || (unsigned char)*text < ' ')
            *text = ' ';
}

static void fail(const char *why) {
    char line[512], safe[200];
    snprintf(safe, sizeof safe, "%s", why);
    plain(safe);
    snprintf(line, sizeof line, "{\"error\":\"%s\"}\n", safe);
    say(line);
    exit(1);
}

/* Where the value of a name begins, or NULL. */
static char *find(char *text, const char *name) {
    char quoted[80];
    snprintf(quoted, sizeof quoted, "\"%s\":", name);
    char *at = strstr(text, quoted);
    return at ? at + strlen(quoted) : NULL;
}

static int64_t number(char *text, const char *name, int64_t otherwise) {
    char *at = find(text, name);
    return at && (*at == '-' || (*at >= '0' && *at <= '9')) ? strtoll(at, NULL, 10) : otherwise;
}

/* A string without its escapes' meaning but for the escaped character; gives where it ends. */
static char *string(char *at, char *out, size_t size) {
    size_t length = 0;
    for (at++; *at && *at != '"'; at++) {
        if (*at == '\\' && at[1])
            at++;
        if (length + 1 < size)
            out[length++] = *at;
    }
    out[length] = 0;
    return *at ? at + 1 : at;
}

static void *room(size_t count, size_t size) {
    void *got = calloc(count ? count : 1, size);
    if (!got)
        fail("no memory");
    return got;
}

/* Whole numbers between brackets; gives where they end. */
static char *numbers(char *at, int **list, int *length) {
    char *end = strchr(at, ']');
    if (!end)
        fail("a list without an end");
    *list = room((size_t)(end - at), sizeof **list);
    for (*length = 0, at++; at < end;) {
        char *after;
        long value = strtol(at, &after, 10);
        if (after == at)
            break;
        (*list)[(*length)++] = (int)value;
        at = *after == ',' ? after + 1 : after;
    }
    return end + 1;
}

static void add(struct client *c, int64_t begin, int64_t end, const struct told *told, int key) {
    static const char *const words[] = {"ok", "fail", "unknown"};
    char value[32] = "";
    if (told->outcome == OK) {
        snprintf(value, sizeof value, "%lld", (long long)told->value);
        c->acked++;
    }
    c->used += snprintf(c->rows + c->used, ROW, "%d,%lld,%lld,%s,%s,%d,%d\n", c->number, (long long)begin, (long long)end,
                        words[told->outcome], value, key, told->tries);
    c->count++;
    if (c->race->by_row || c->used > BLOCK) {
        put(c->rows, (size_t)c->used);
        c->used = 0;
    }
}

static void *run(void *data) {
    struct client *c = data;
    const struct race *race = c->race;
    until(race->start_ns);
    int64_t begin = now(), end = race->start_ns + race->duration_ns;
    for (int64_t done = 0; done < c->updates && begin < end; done++) {
        int key = c->sequence[c->place++ % c->sequence_length];
        if (race->per_s > 0) {
            __int128 place = (__int128)done * race->all_clients + c->number;
            until(race->start_ns + (int64_t)(place * 1000000000 / race->per_s));
            begin = now();
        }
        struct told told = c->adapter->update(c->handle, c->job->keys[key]);
        int64_t ended = now();
        add(c, begin, ended, &told, key);
        begin = ended;
        if (told.outcome != OK) {
            if (!c->why[0])
                snprintf(c->why, sizeof c->why, "%s", told.why);
            until(ended + race->pause_ns);
            begin = now();
        }
    }
    put(c->rows, (size_t)c->used);
    c->used = 0;
    return NULL;
}

static struct client *open_all(const struct adapter *adapter, char *line, struct job *job) {
    char *at, why[200] = "";
    if (!(at = find(line, "job")))
        fail("a job is to come first");
    if ((at = find(line, "url")))
        string(at, job->url, sizeof job->url);
    if ((at = find(line, "strategy")))
        string(at, job->strategy, sizeof job->strategy);
    if ((at = find(line, "settings")))
        string(at, job->settings, sizeof job->settings);
    int *clients = NULL;
    if (!(at = find(line, "clients")))
        fail("no clients");
    numbers(at, &clients, &job->client_count);
    if (!(at = find(line, "keys")))
        fail("no keys");
    job->keys = room(strlen(at), sizeof *job->keys);
    for (at++; *at == '"' || *at == ',';) {
        if (*at == ',') {
            at++;
            continue;
        }
        char name[1024];
        at = string(at, name, sizeof name);
        job->keys[job->key_count++] = strdup(name);
    }
    struct client *all = room((size_t)job->client_count, sizeof *all);
    char *sequences = find(line, "sequences");
    for (int i = 0; i < job->client_count; i++) {
        all[i].adapter = adapter;
        all[i].job = job;
        all[i].number = clients[i];
        char *next = sequences ? strchr(sequences + 1, '[') : NULL;
        if (next && sequences[1] != ']') {
            sequences = numbers(next, &all[i].sequence, &all[i].sequence_length) - 1;
        } else {
            all[i].sequence = room(1, sizeof(int));
            all[i].sequence_length = 1;
            sequences = NULL;
        }
        if (!(all[i].handle = adapter->open(job, why)))
            fail(why);
    }
    free(clients);
    return all;
}

static void race_all(struct client *all, int count, char *line) {
    struct race race = {number(line, "start_ns", 0), number(line, "duration_ns", 0), number(line, "pause_ns", 0),
                        number(line, "per_s", 0), number(line, "clients", 1), strstr(line, "\"flush\":\"row\"") != NULL};
    char *at = find(line, "updates");
    for (int i = 0; i < count; i++) {
        all[i].updates = at ? strtoll(at + 1, &at, 10) : 0;
        all[i].count = all[i].acked = all[i].place = 0;
        all[i].why[0] = 0;
        all[i].race = &race;
    }
    say(HEADER);
    for (int i = 0; i < count; i++)
        if (pthread_create(&all[i].thread, NULL, run, &all[i]))
            fail("no thread");
    int64_t rows = 0, acked = 0;
    char error[300] = "", done[512];
    for (int i = 0; i < count; i++) {
        pthread_join(all[i].thread, NULL);
        rows += all[i].count, acked += all[i].acked;
        if (all[i].why[0] && !error[0]) {
            plain(all[i].why);
            snprintf(error, sizeof error, ",\"error\":\"%s\"", all[i].why);
        }
    }
    snprintf(done, sizeof done, "{\"done\":{\"rows\":%lld,\"acked\":%lld%s}}\n", (long long)rows, (long long)acked, error);
    say(done);
}

/* A client that sends nothing: its rate shows what this loop and the pipes cost. */
static void *open_nothing(const struct job *job, char why[200]) {
    (void)why;
    return (void *)job;
}

static struct told update_nothing(void *client, const char *key) {
    (void)client, (void)key;
    return (struct told){OK, 1, 1, ""};
}

static void effective_nothing(char *out, int size) {
    snprintf(out, (size_t)size, "%s", "");
}

int serve(const struct adapter *adapter) {
    struct adapter nothing = {adapter->library, adapter->version, open_nothing, update_nothing, effective_nothing};
    char *line = NULL, text[1024], settings[512];
    size_t size = 0;
    struct job job = {0};
    if (getline(&line, &size, stdin) < 0)
        return 0;
    if (strstr(line, "\"strategy\":\"no-op\""))
        adapter = &nothing;
    struct client *all = open_all(adapter, line, &job);
    adapter->effective(settings, sizeof settings);
    snprintf(text, sizeof text, "{\"ready\":{\"library\":\"%s\",\"version\":\"%s\",\"runtime\":\"C, %s\",\"settings\":{%s}}}\n",
             adapter->library, adapter->version, "gcc " __VERSION__, settings);
    say(text);
    while (getline(&line, &size, stdin) >= 0) {
        if (find(line, "ping")) {
            snprintf(text, sizeof text, "{\"pong\":%lld,\"now_ns\":%lld}\n", (long long)number(line, "ping", 0), (long long)now());
            say(text);
        } else {
            race_all(all, job.client_count, line);
        }
    }
    return 0;
}
