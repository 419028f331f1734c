/* Tells the hosts of webhooks that jobs have ended: a thread that empties the outbox.
 * Messages are signed as the Standard Webhooks specification 1.0.0 has it: HMAC-SHA256
 * of "id.timestamp.body".  At least once: the id stays the same, for those who look. */

#include <nettle/base64.h>
#include <nettle/hmac.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base64.h"
#include "clock.h"
#include "fs.h"
#include "handlers.h"
#include "log.h"
#include "mem.h"
#include "str.h"

enum { KEY_MAX = 512, ATTEMPTS = 8, FIRST_S = 10, LONGEST_S = 3600 };
_Static_assert(DEN_WEBHOOK_SIZE == DEN_WEBHOOK_URL_SIZE,
               "a URL that was checked fits into its row, and back into a message");

struct den_webhooks {
    struct den_api *api;
    struct den_courier *courier;
    uint8_t key[KEY_MAX];
    size_t key_length;
    pthread_t thread;
    pthread_mutex_t lock; /* guards stopping */
    pthread_cond_t wake;  /* CLOCK_MONOTONIC */
    bool stopping;
};

/* A line of the file: "whsec_" and base64, or any text of at least 24 bytes. */
static bool read_key(const char *path, struct den_webhooks *w, struct den_err *err)
{
    static const char prefix[] = "whsec_";
    enum { LEAST = 24 };
    char *text = NULL;
    size_t length = 0;
    struct den_err why = DEN_ERR_INIT;
    if (!den_fs_read(path, KEY_MAX - 1, &text, &length, &why))
        return den_err_set(err, why.code, "webhook_key: %s", why.text);
    text[strcspn(text, "\r\n")] = '\0';
    if (den_str_starts(text, prefix)) {
        const char *code = text + strlen(prefix);
        if (!den_base64_decode(code, strlen(code), w->key, sizeof w->key, &w->key_length))
            w->key_length = 0;
    } else {
        w->key_length = strlen(text);
        memcpy(w->key, text, w->key_length);
    }
    den_free(text);
    return w->key_length >= LEAST ||
           den_err_set(err, DEN_E_INVALID,
                       "webhook_key: the file must hold a line of %d bytes or more, or "
                       "whsec_ and such a key in base64",
                       LEAST);
}

bool den_webhooks_key_check(const char *path, struct den_err *err)
{
    struct den_webhooks w = {.key_length = 0};
    bool good = read_key(path, &w, err);
    explicit_bzero(w.key, sizeof w.key);
    return good;
}

/* ---- a message ----------------------------------------------------------------------
 */

static void sign(const struct den_webhooks *w, struct den_message *m)
{
    struct hmac_sha256_ctx state;
    uint8_t hash[SHA256_DIGEST_SIZE];
    char text[BASE64_ENCODE_RAW_LENGTH(SHA256_DIGEST_SIZE) + 1];
    const char *const parts[] = {m->id, ".", m->timestamp, "."};
    hmac_sha256_set_key(&state, w->key_length, w->key);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        hmac_sha256_update(&state, strlen(parts[i]), (const uint8_t *)parts[i]);
    hmac_sha256_update(&state, m->length, (const uint8_t *)m->body);
    hmac_sha256_digest(&state, sizeof hash, hash);
    base64_encode_raw(text, sizeof hash, hash);
    text[sizeof text - 1] = '\0';
    den_str_format(m->signature, sizeof m->signature, "v1,%s", text);
}

/* {"type": "job.succeeded", "timestamp": ..., "data": the job} */
static bool compose(struct den_webhooks *w, const struct den_webhook_row *row,
                    struct den_message *m, struct den_err *err)
{
    struct den_job_row *job = den_new(1, sizeof *job, err);
    const struct den_outlook ended = {.eta_s = -1}; /* it waits for nothing */
    char type[40];
    bool done = job != NULL && w->api->store_kind->job_get(w->api->store, row->owner,
                                                           row->job, job, err);
    if (!done)
        goto out;
    den_str_format(type, sizeof type, "job.%s", den_job_state_name(job->state));
    json_t *body =
        json_pack("{ss so so}", "type", type, "timestamp",
                  den_json_time(row->finished_ms), "data", den_json_job(job, &ended));
    m->length =
        body != NULL ? json_dumpb(body, m->body, sizeof m->body, DEN_JSON_STYLE) : 0;
    json_decref(body);
    done = (m->length > 0 && m->length <= sizeof m->body) ||
           den_err_set(err, DEN_E_INTERNAL, "the message does not fit");
    den_str_copy(m->url, sizeof m->url, row->url);
    den_str_format(m->id, sizeof m->id, "%s.%lld", row->job, (long long)row->finished_ms);
    den_str_format(m->timestamp, sizeof m->timestamp, "%lld",
                   (long long)(den_wall_ms() / 1000));
    sign(w, m);
out:
    den_free(job);
    return done;
}

/* After which it is tried again: 10 s, 20 s, ... an hour. */
static int64_t pause_of(int64_t attempts)
{
    int64_t seconds = attempts < 9 ? (int64_t)FIRST_S << attempts : LONGEST_S;
    return seconds < LONGEST_S ? seconds : LONGEST_S;
}

/* last: it would be no better the next time. */
static bool settle(struct den_webhooks *w, const struct den_webhook_row *row, bool taken,
                   bool last, const char *why, struct den_err *err)
{
    const struct den_store_kind *kind = w->api->store_kind;
    char text[200];
    bool over = taken || last || row->attempts + 1 >= ATTEMPTS;
    den_log(taken ? DEN_INFO : DEN_WARN, taken ? "webhook_taken" : "webhook_not_taken",
            " job=%s attempt=%lld last=%s why=%s", row->job, (long long)row->attempts + 1,
            over ? "true" : "false", den_log_quote(why, text, sizeof text));
    if (over)
        return kind->webhook_told(w->api->store, row->job, row->finished_ms, err);
    return kind->webhook_later(w->api->store, row->job,
                               den_wall_ms() + 1000 * pause_of(row->attempts), err);
}

/* *ret_more: there may be another one. */
static bool send_one(struct den_webhooks *w, struct den_message *m, bool *ret_more,
                     struct den_err *err)
{
    struct den_webhook_row row;
    struct den_err inner = DEN_ERR_INIT;
    char why[160];
    if (!w->api->store_kind->webhook_due(w->api->store, den_wall_ms(), &row, ret_more,
                                         err))
        return false;
    if (!*ret_more)
        return true;
    /* The administrator may have thought otherwise since. */
    if (!den_webhook_check(row.url, w->api->webhook_hosts, &inner))
        return settle(w, &row, false, true, inner.text, err);
    if (!compose(w, &row, m, &inner))
        return settle(w, &row, false, false, inner.text, err);
    bool taken = den_courier_send(w->courier, m, why, sizeof why);
    if (!den_courier_stands(w->courier))
        return den_err_set(err, DEN_E_INTERNAL, "%s", why); /* no attempt was made */
    return settle(w, &row, taken, false, why, err);
}

/* ---- the thread ---------------------------------------------------------------------
 */

/* For a second, or until the end; false: the end. */
static bool wait_a_second(struct den_webhooks *w)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec++;
    pthread_mutex_lock(&w->lock);
    if (!w->stopping)
        pthread_cond_timedwait(&w->wake, &w->lock, &until);
    bool go_on = !w->stopping;
    pthread_mutex_unlock(&w->lock);
    return go_on;
}

static void *work(void *opaque)
{
    struct den_webhooks *w = opaque;
    struct den_message *m = den_new(1, sizeof *m, NULL);
    while (m != NULL && wait_a_second(w)) {
        struct den_err err = DEN_ERR_INIT;
        char text[sizeof err.text + 8];
        bool more = true, done = true;
        for (int i = 0; i < 16 && done && more; i++)
            done = send_one(w, m, &more, &err);
        if (!done)
            den_log(DEN_WARN, "webhooks_failed", " error=%s",
                    den_log_quote(err.text, text, sizeof text));
    }
    den_free(m);
    return NULL;
}

bool den_webhooks_start(struct den_api *api, struct den_courier *courier,
                        const char *hosts, const char *key_file, struct den_err *err)
{
    pthread_condattr_t monotonic;
    struct den_webhooks *w = den_new(1, sizeof *w, err);
    if (w == NULL)
        return false;
    w->api = api;
    w->courier = courier;
    if (!read_key(key_file, w, err) ||
        !den_str_copy(api->webhook_hosts, sizeof api->webhook_hosts, hosts)) {
        den_free(w);
        return false;
    }
    pthread_mutex_init(&w->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&w->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    if (pthread_create(&w->thread, NULL, work, w) != 0) {
        den_free(w);
        return den_err_set(err, DEN_E_NO_MEMORY, "no thread for webhooks can be started");
    }
    api->webhooks = w;
    return true;
}

void den_webhooks_stop(struct den_api *api)
{
    struct den_webhooks *w = api != NULL ? api->webhooks : NULL;
    if (w == NULL)
        return;
    pthread_mutex_lock(&w->lock);
    w->stopping = true;
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    pthread_join(w->thread, NULL);
    pthread_cond_destroy(&w->wake);
    pthread_mutex_destroy(&w->lock);
    den_free(w);
    api->webhooks = NULL;
}
