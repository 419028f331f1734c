#include "watch_work.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "clock.h"
#include "follow.h"
#include "fs.h"
#include "http_client.h"
#include "image.h"
#include "image_files.h"
#include "json_get.h"
#include "problem.h"
#include "str.h"
#include "watch_result.h"

#define FIRST_PAUSE 0.5 /* s, between tries while the server is away; doubled */
#define LONGEST_PAUSE 30.0
#define FIRST_LOOK 0.05 /* s, between questions for a job */
#define LONGEST_LOOK 2.0
#define UNREADABLE 30.0 /* s of standing still after which it is told */
#define TROUBLES_MAX 5  /* faults of the server about one file */

/* What a server may be set to at most: these files are the user's own. */
static const struct den_image_limits limits = {.page_pixels = (uint64_t)1 << 32,
                                               .decoded_bytes = (uint64_t)1 << 44};

static void source_of(const struct den_watch *w, const struct den_watched *e, char *to)
{
    (void)den_str_format(to, DEN_PATH_SIZE, "%s/%s", w->folder, e->path);
}

/* ---- what is told -------------------------------------------------------------------
 */

static void tell(const struct den_watch *w, const struct den_watched *e, const char *word,
                 const char *result, const char *reason)
{
    if (w->cli->json) {
        json_t *line =
            json_pack("{ss ss ss* ss* ss* ss*}", "file", e->path, "state", word, "result",
                      result, "reason", reason, "job", e->job[0] != '\0' ? e->job : NULL,
                      "sha256", e->sha256[0] != '\0' ? e->sha256 : NULL);
        den_print_json(line);
        json_decref(line);
    } else {
        (void)printf("%s %s%s%s%s%s\n", word, e->path, result != NULL ? " -> " : "",
                     result != NULL ? result : "", reason != NULL ? ": " : "",
                     reason != NULL ? reason : "");
    }
    (void)fflush(stdout);
}

static bool finish(struct den_watch *w, struct den_watched *e,
                   enum den_watched_state state, const char *word, const char *result,
                   const char *reason, struct den_err *err)
{
    e->state = state;
    e->before = DEN_WATCHED_SEEN;
    e->troubles = 0;
    w->done += state == DEN_WATCHED_DONE;
    w->bad += state != DEN_WATCHED_DONE;
    if (!den_journal_note(&w->journal, e, err))
        return false;
    tell(w, e, word, result, reason);
    return true;
}

/* ---- faults -------------------------------------------------------------------------
 */

static bool put_off(struct den_watch *w, const struct den_err *cause)
{
    w->pause = w->pause > 0 ? fmin(2 * w->pause, LONGEST_PAUSE) : FIRST_PAUSE;
    w->away_until = den_monotonic_s() +
                    (cause->retry_s > 0 ? fmin(cause->retry_s, LONGEST_PAUSE) : w->pause);
    if (!w->away_said)
        (void)fprintf(stderr, "denoise: %s; waiting\n", cause->text);
    w->away_said = true;
    return true;
}

static void is_back(struct den_watch *w)
{
    if (w->away_said)
        (void)fprintf(stderr, "denoise: going on\n");
    w->away_said = false;
    w->pause = w->away_until = 0;
}

static bool is_about_this(const struct den_watch *w, const struct den_err *cause)
{
    static const long refusals[] = {400, 404, 411, 415, 422};
    if (w->cli->status == 413) /* a proxy may say it, too */
        return true;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        if (refusals[i] == w->cli->status)
            return cause->code != DEN_E_IO;
    return false;
}

/* A request about this file has failed: is it the file, is it the server, or is it us? */
static bool judge(struct den_watch *w, struct den_watched *e, const struct den_err *cause,
                  struct den_err *err)
{
    if (cause->code == DEN_E_CANCELLED)
        return true; /* the loop sees the signal */
    if (den_problem_for_all(w->cli, cause)) {
        *err = *cause;
        return false;
    }
    if (is_about_this(w, cause) ||
        (w->cli->status == 500 && ++e->troubles >= TROUBLES_MAX))
        return finish(w, e, DEN_WATCHED_REFUSED, "refused", NULL, cause->text, err);
    return put_off(w, cause);
}

/* ---- standing still -----------------------------------------------------------------
 */

static int64_t mtime_of(const struct stat *st)
{
    return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

static void settle(const struct den_watch *w, struct den_watched *e, double now)
{
    e->state = DEN_WATCHED_SEEN;
    e->still_since = now;
    e->next = now + w->settle;
    e->pause = w->settle;
    e->told = false;
}

void den_watch_saw(struct den_watch *w, struct den_watched *e, const struct stat *st,
                   double now)
{
    int64_t mtime = mtime_of(st);
    bool same = e->size == (uint64_t)st->st_size && e->mtime_ns == mtime;
    if (e->state == DEN_WATCHED_SENT) /* looked at again when its job has ended */
        return;
    if (same && e->state != DEN_WATCHED_GONE)
        return;
    if (e->state >= DEN_WATCHED_DONE)
        e->before = e->state == DEN_WATCHED_GONE ? DEN_WATCHED_SEEN : e->state;
    e->size = (uint64_t)st->st_size;
    e->mtime_ns = mtime;
    settle(w, e, now);
}

/* Whether its size and time are still those; a file that vanished is let go. */
static bool is_still(struct den_watch *w, struct den_watched *e, double now)
{
    char path[DEN_PATH_SIZE];
    struct stat st;
    source_of(w, e, path);
    if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode)) {
        e->state = e->before != DEN_WATCHED_SEEN ? e->before : DEN_WATCHED_GONE;
        return false;
    }
    if (e->size == (uint64_t)st.st_size && e->mtime_ns == mtime_of(&st))
        return true;
    e->size = (uint64_t)st.st_size;
    e->mtime_ns = mtime_of(&st);
    settle(w, e, now);
    return false;
}

/* A file whose directory does not parse is being written, or no image: it is told when
 * nobody has written to it for long. */
static bool wait_for_whole(struct den_watch *w, struct den_watched *e, double now,
                           const struct den_err *cause)
{
    if (!e->told && (w->once || now - e->still_since >= UNREADABLE)) {
        e->told = true;
        w->bad += w->once;
        tell(w, e, "incomplete", NULL, cause->text);
    }
    e->pause = fmin(2 * e->pause, 60);
    e->next = now + e->pause;
    return true;
}

static bool look_at(struct den_watch *w, struct den_watched *e, double now,
                    struct den_err *err)
{
    char path[DEN_PATH_SIZE], sha256[DEN_SHA256_SIZE];
    struct den_reader *reader = NULL;
    struct den_err cause = DEN_ERR_INIT;
    if (!is_still(w, e, now))
        return true;
    source_of(w, e, path);
    if (!den_reader_open(path, &limits, &reader, &cause))
        return wait_for_whole(w, e, now, &cause);
    den_reader_close(reader);
    if (!w->force && !e->written && den_watch_result_exists(w, e))
        return finish(w, e, DEN_WATCHED_DONE, "kept", NULL,
                      "there is a result already; --force replaces it", err);
    if (!den_file_sha256(path, sha256, &cause))
        return wait_for_whole(w, e, now, &cause);
    if (!is_still(w, e, now)) /* it was written to while it was read */
        return true;
    bool same = strcmp(sha256, e->sha256) == 0;
    if (same && e->before == DEN_WATCHED_DONE && den_watch_result_exists(w, e)) {
        e->state = DEN_WATCHED_DONE; /* only touched */
        return den_journal_note(&w->journal, e, err);
    }
    e->attempt = same ? e->attempt + (e->before != DEN_WATCHED_SEEN) : 0;
    (void)den_str_copy(e->sha256, sizeof e->sha256, sha256);
    e->state = DEN_WATCHED_READY;
    e->next = now;
    return true;
}

/* ---- sending ------------------------------------------------------------------------
 */

/* The same content with the same options is the same job, however often it is asked for:
 * after a cut connection, a restart, or by a second name of the file. */
static void make_key(const struct den_watch *w, const struct den_watched *e,
                     const char *image, char key[DEN_SHA256_SIZE])
{
    char text[256], options[DEN_SHA256_SIZE];
    den_text_sha256(w->request_text, options);
    (void)den_str_format(text, sizeof text, "%s %.64s %s %lld", e->sha256, image, options,
                         (long long)e->attempt);
    den_text_sha256(text, key);
}

static bool send(struct den_watch *w, struct den_watched *e, double now,
                 struct den_err *err)
{
    char path[DEN_PATH_SIZE], key[DEN_SHA256_SIZE];
    struct den_err cause = DEN_ERR_INIT;
    json_t *image = NULL, *request = NULL, *job = NULL;
    bool good = true;
    source_of(w, e, path);
    if (!is_still(w, e, now))
        return true;
    if (!den_client_upload(w->cli, path, &image, &cause)) {
        good = judge(w, e, &cause, err);
        goto out;
    }
    if (strcmp(den_get_text(image, "sha256"), e->sha256) != 0) {
        settle(w, e, now); /* it was written to while it was sent */
        goto out;
    }
    request = json_copy(w->request);
    (void)json_object_set(request, "image", json_object_get(image, "id"));
    make_key(w, e, den_get_text(image, "id"), key);
    if (!den_client_post_once(w->cli, "/v1/jobs", json_incref(request), key, &job,
                              &cause)) {
        good = judge(w, e, &cause, err);
        goto out;
    }
    const char *id = den_get_text(job, "id");
    if (id[0] == '\0' || !den_str_copy(e->job, sizeof e->job, id)) {
        e->job[0] = '\0';
        (void)den_err_set(&cause, DEN_E_IO, "what the server answers is no job");
        good = put_off(w, &cause);
        goto out;
    }
    is_back(w);
    e->state = DEN_WATCHED_SENT;
    e->pause = FIRST_LOOK;
    e->next = now + e->pause;
    w->in_flight++;
    good = den_journal_note(&w->journal, e, err);
out:
    json_decref(image);
    json_decref(request);
    json_decref(job);
    return good;
}

/* ---- fetching -----------------------------------------------------------------------
 */

/* The job is not there any more: the same once more, as a new job. */
static bool send_again(struct den_watch *w, struct den_watched *e, struct den_err *err)
{
    if (++e->troubles >= TROUBLES_MAX)
        return finish(w, e, DEN_WATCHED_FAILED, "failed", NULL,
                      "the server does not keep its job", err);
    e->attempt++;
    e->job[0] = '\0';
    e->state = DEN_WATCHED_SENT; /* a step without a job: see den_watch_step */
    return den_journal_note(&w->journal, e, err);
}

static bool fetch(struct den_watch *w, struct den_watched *e, const json_t *job,
                  struct den_err *err)
{
    struct den_err cause = DEN_ERR_INIT;
    char result[DEN_PATH_SIZE];
    if (den_watch_result_fetch(w, e, job, result, &cause)) {
        e->written = true;
        return finish(w, e, DEN_WATCHED_DONE, "done", result, NULL, err);
    }
    if (w->cli->status == 404)
        return send_again(w, e, err);
    bool lost = w->cli->status == 0 &&
                (cause.code == DEN_E_CONFLICT || cause.code == DEN_E_INVALID ||
                 cause.code == DEN_E_NOT_FOUND);
    if (lost)
        return finish(w, e, DEN_WATCHED_FAILED, "failed", NULL, cause.text, err);
    return judge(w, e, &cause, err);
}

static bool end_of_job(struct den_watch *w, struct den_watched *e, const json_t *job,
                       double now, struct den_err *err)
{
    const char *state = den_get_text(job, "state");
    const char *why = den_get_text(json_object_get(job, "error"), "detail");
    bool good = strcmp(state, "succeeded") == 0
                    ? fetch(w, e, job, err)
                    : finish(w, e, DEN_WATCHED_FAILED, "failed", NULL,
                             why[0] != '\0' ? why : state, err);
    if (good && e->state >= DEN_WATCHED_DONE) {
        char path[DEN_PATH_SIZE];
        struct stat st;
        source_of(w, e, path);
        if (lstat(path, &st) == 0 && S_ISREG(st.st_mode))
            den_watch_saw(w, e, &st, now); /* it may have changed meanwhile */
    }
    return good;
}

static bool ask(struct den_watch *w, struct den_watched *e, double now,
                struct den_err *err)
{
    struct den_err cause = DEN_ERR_INIT;
    char path[256];
    json_t *job = NULL;
    if (!den_client_path(path, sizeof path, "/v1/jobs", e->job, "", err))
        return false;
    e->pause = fmin(1.5 * e->pause, LONGEST_LOOK);
    e->next = now + e->pause;
    if (!den_client_get(w->cli, path, &job, &cause)) {
        if (cause.code == DEN_E_NOT_FOUND && w->cli->status == 404)
            return send_again(w, e, err);
        return judge(w, e, &cause, err);
    }
    is_back(w);
    bool ended = json_is_string(json_object_get(job, "finished_at"));
    bool good = !ended || end_of_job(w, e, job, now, err);
    json_decref(job);
    return good;
}

bool den_watch_step(struct den_watch *w, struct den_watched *e, double now,
                    struct den_err *err)
{
    if (e->state == DEN_WATCHED_SEEN)
        return now < e->next || look_at(w, e, now, err);
    if (now < w->away_until)
        return true;
    if (e->state == DEN_WATCHED_SENT && e->job[0] == '\0')
        e->state = DEN_WATCHED_READY;
    if (e->state == DEN_WATCHED_READY)
        return w->in_flight >= (size_t)w->most || send(w, e, now, err);
    if (e->state == DEN_WATCHED_SENT)
        return now < e->next || ask(w, e, now, err);
    return true;
}

/* ---- before the first file ----------------------------------------------------------
 */

static bool filter_is_known(const json_t *all, const char *name)
{
    size_t i;
    json_t *one;
    json_array_foreach(json_object_get(all, "filters"), i, one)
    {
        if (strcmp(den_get_text(one, "name"), name) == 0)
            return true;
    }
    return false;
}

bool den_watch_check(struct den_watch *w, bool *ret_known, struct den_err *err)
{
    const char *model = den_get_text(w->request, "model");
    const char *method = den_get_text(w->request, "method");
    struct den_err cause = DEN_ERR_INIT;
    char path[256], name[100];
    json_t *answer = NULL;
    (void)den_str_format(name, sizeof name, "%.*s", (int)strcspn(model, "@"), model);
    if (model[0] == '\0')
        (void)den_str_copy(path, sizeof path, "/v1/methods");
    else if (!den_client_path(path, sizeof path, "/v1/models", name, "", err))
        return false;
    if (!den_client_get(w->cli, path, &answer, &cause)) {
        if (cause.code == DEN_E_CANCELLED)
            return true;
        if (w->cli->failure == DEN_EXIT_USAGE || w->cli->failure == DEN_EXIT_AUTH ||
            is_about_this(w, &cause)) {
            *err = cause;
            return false;
        }
        return put_off(w, &cause);
    }
    is_back(w);
    *ret_known = true;
    bool known = model[0] != '\0' || filter_is_known(answer, method);
    json_decref(answer);
    return known || den_err_set(err, DEN_E_INVALID,
                                "the server has no filter '%.40s'; `denoise methods` "
                                "lists them",
                                method);
}
