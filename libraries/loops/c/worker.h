/* The worker loop that all C adapters share: docs/libraries.md says what goes over the pipes, and why. */
#ifndef LOST_UPDATES_WORKER_H
#define LOST_UPDATES_WORKER_H

#include <stdint.h>

struct job {
    char url[1024], strategy[64], settings[64];
    char **keys;
    int key_count, client_count;
};

enum outcome { OK, FAIL, UNKNOWN };

struct told {
    enum outcome outcome;
    int64_t value;
    int tries;
    char why[200]; /* what went wrong, if something did */
};

struct adapter {
    const char *library, *version;
    /* Connects one client, or says why not in `why` and gives NULL. */
    void *(*open)(const struct job *job, char why[200]);
    /* Adds one to the counter `key`. */
    struct told (*update)(void *client, const char *key);
    /* The settings in effect, as the inside of a JSON object. */
    void (*effective)(char *out, int size);
};

/* Does one job: a thread for every client. */
int serve(const struct adapter *adapter);

#endif
