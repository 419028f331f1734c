#include "job_load.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "image.h"
#include "mem.h"
#include "service.h"

static const char *const methods[] = {"gaussian", "median"};
enum { METHODS = 2, SIDE = 24 };

static void body_of(const struct job_load *load, size_t method, char *to, size_t size)
{
    (void)snprintf(to, size, "{\"kind\":\"denoise\",\"image\":\"%s\",\"method\":\"%s\"}",
                   load->image, methods[method]);
}

static void remember(struct job_load *load, const char *id)
{
    pthread_mutex_lock(&load->lock);
    if (load->count == load->capacity) {
        load->capacity = 2 * load->capacity + 64;
        load->ids = realloc(load->ids, load->capacity * sizeof *load->ids);
        if (load->ids == NULL)
            abort();
    }
    (void)snprintf(load->ids[load->count++], 32, "%s", id);
    pthread_mutex_unlock(&load->lock);
    atomic_fetch_add(&load->accepted, 1);
}

/* The first two are the control. */
void load_start(struct job_load *load, const char *const *args)
{
    char path[128], body[160], id[32];
    memset(load, 0, sizeof *load);
    pthread_mutex_init(&load->lock, NULL);
    atomic_store(&load->allowed, SIZE_MAX);
    story_start(&load->story, args);
    scene_write(load->story.files, 9, SIDE, 1);
    (void)snprintf(path, sizeof path, "%s/noisy9_0.tif", load->story.files);
    upload(load->story.daemon.url, path, load->image);
    for (size_t i = 0; i < METHODS; i++) {
        body_of(load, i, body, sizeof body);
        submit_job(load->story.daemon.url, body, id);
        json_decref(wait_job(load->story.daemon.url, id, 60));
        remember(load, id);
    }
    load_point(load, load->story.daemon.url);
}

void load_end(struct job_load *load)
{
    story_end(&load->story);
    pthread_mutex_destroy(&load->lock);
    free(load->ids);
}

static struct {
    struct job_load *load;
    const char *const *args;
} around;

static void setup(void)
{
    load_start(around.load, around.args);
}

static void teardown(void)
{
    load_end(around.load);
}

void load_around(TCase *tcase, struct job_load *load, const char *const *args)
{
    around.load = load;
    around.args = args;
    tcase_add_checked_fixture(tcase, setup, teardown);
}

void load_point(struct job_load *load, const char *url)
{
    pthread_mutex_lock(&load->lock);
    (void)snprintf(load->url, sizeof load->url, "%s", url != NULL ? url : "");
    pthread_mutex_unlock(&load->lock);
}

static void submit_one(struct job_load *load, size_t number)
{
    char url[64], body[160];
    const char *fault;
    pthread_mutex_lock(&load->lock);
    (void)snprintf(url, sizeof url, "%s", load->url);
    pthread_mutex_unlock(&load->lock);
    if (url[0] == '\0' || atomic_load(&load->accepted) >= atomic_load(&load->allowed)) {
        (void)usleep(2000);
        return;
    }
    body_of(load, number % METHODS, body, sizeof body);
    struct answer a = try_ask("POST", url, "/v1/jobs", "application/json", body,
                              strlen(body), NULL, &fault);
    if (a.status == 202)
        remember(load, text_at(a.json, "id"));
    else if (a.status == 0)
        atomic_fetch_add(&load->cut, 1);
    else if (a.status == 429 || a.status == 503)
        atomic_fetch_add(&load->refused, 1);
    else
        abort();
    if (a.status != 202)
        (void)usleep(5000);
    answer_free(&a);
}

/* The two methods in turn. */
static void *submit_many(void *context)
{
    struct job_load *load = context;
    for (size_t i = 0; !atomic_load(&load->stop); i++)
        submit_one(load, i);
    return NULL;
}

void load_begin(struct job_load *load, size_t threads)
{
    atomic_store(&load->stop, false);
    load->thread_count = threads;
    for (size_t i = 0; i < threads; i++)
        ck_assert_int_eq(pthread_create(&load->threads[i], NULL, submit_many, load), 0);
}

void load_rest(struct job_load *load)
{
    atomic_store(&load->stop, true);
    for (size_t i = 0; i < load->thread_count; i++)
        pthread_join(load->threads[i], NULL);
    load->thread_count = 0;
}

static size_t count_in(const struct job_load *load, const char *state)
{
    char path[80];
    (void)snprintf(path, sizeof path, "/v1/jobs?limit=100&state=%s", state);
    struct answer a = get(load->story.daemon.url, path);
    size_t count = json_array_size(at(a.json, "jobs"));
    answer_free(&a);
    return count;
}

void load_drain(struct job_load *load, double seconds)
{
    double until = den_monotonic_s() + seconds;
    while (count_in(load, "queued") + count_in(load, "running") > 0) {
        ck_assert_msg(den_monotonic_s() < until, "the queue does not drain");
        (void)usleep(50000);
    }
}

/* ---- trainings ---- */

static void submit_training(struct job_load *load, struct trainings *t)
{
    char body[512];
    (void)snprintf(
        body, sizeof body,
        "{\"kind\":\"train\",\"dataset\":\"%s\",\"model\":\"kills\",\"preset\":"
        "\"cpu\",\"seed\":3,\"config\":{" TINY
        ",\"iterations\":%u,\"checkpoint\":\"last\"}}",
        load->story.training, t->iterations);
    submit_job(load->story.daemon.url, body, t->id);
    t->submitted++;
}

static void weights_of(const struct job_load *load, size_t version, char *ret)
{
    char path[80];
    (void)snprintf(path, sizeof path, "/v1/models/kills/versions/%zu", version);
    struct answer a = get(load->story.daemon.url, path);
    ck_assert_msg(a.status == 200, "%ld %s", a.status, a.body);
    (void)snprintf(ret, 80, "%s", text_at(a.json, "sha256"));
    answer_free(&a);
}

static void has_ended(struct job_load *load, struct trainings *t, const json_t *job)
{
    char weights[80];
    ck_assert_msg(strcmp(text_at(job, "state"), "succeeded") == 0, "%s: %s",
                  text_at(job, "state"), text_at(job, "error.detail"));
    t->ended++;
    t->begun += number_at(job, "attempts");
    ck_assert_uint_eq((size_t)number_at(job, "result.version"), t->ended);
    weights_of(load, t->ended, weights);
    if (t->ended == 1)
        memcpy(t->weights, weights, sizeof weights);
    ck_assert_str_eq(weights, t->weights);
}

void trainings_start(struct job_load *load, struct trainings *t, unsigned iterations)
{
    *t = (struct trainings){.iterations = iterations};
    submit_training(load, t);
    json_t *job = wait_job(load->story.daemon.url, t->id, 240);
    has_ended(load, t, job);
    json_decref(job);
    submit_training(load, t);
}

void trainings_look(struct job_load *load, struct trainings *t)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/v1/jobs/%s", t->id);
    struct answer a = get(load->story.daemon.url, path);
    if (json_is_string(at(a.json, "finished_at"))) {
        has_ended(load, t, a.json);
        submit_training(load, t);
    }
    answer_free(&a);
}

void trainings_end(struct job_load *load, struct trainings *t)
{
    json_t *job = wait_job(load->story.daemon.url, t->id, 240);
    has_ended(load, t, job);
    json_decref(job);
}

/* ---- afterwards ---- */

struct judge {
    struct den_service *service;
    const struct den_store_kind *kind;
    struct den_store *store;
    struct den_image control[METHODS];
};

static struct den_image pixels_of(const struct judge *j, const struct den_job_row *row)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image image = {.pixels = NULL};
    char path[PATH_MAX];
    den_blobs_path(den_service_blobs(j->service), row->result_sha256, path, sizeof path);
    must(den_image_load(path, NULL, &image, &err));
    return image;
}

static void judge_events(const struct judge *j, const struct den_job_row *row)
{
    enum { MOST = 400 };
    static struct den_event_row events[MOST];
    struct den_err err = DEN_ERR_INIT;
    size_t count = 0, ends = 0, starts = 0, waits = 0;
    must(j->kind->event_list(j->store, row->owner, row->id, 0, MOST, events, &count,
                             &err));
    for (size_t i = 0; i < count; i++) {
        bool state = strcmp(events[i].type, "state") == 0;
        ends += strcmp(events[i].type, "done") == 0;
        starts += state && strcmp(events[i].name, "running") == 0;
        waits += state && strcmp(events[i].name, "queued") == 0;
    }
    ck_assert_msg(ends == 1, "%s ended %zu times", row->id, ends);
    ck_assert_uint_eq(starts, waits); /* each start took it from the queue once */
    ck_assert_int_ge((int64_t)starts, row->attempts);
    ck_assert_int_eq((int64_t)starts, row->gen);
}

static size_t method_of(const struct den_job_row *row)
{
    size_t i = 0;
    while (i < METHODS && strcmp(row->method, methods[i]) != 0)
        i++;
    ck_assert_uint_lt(i, METHODS);
    return i;
}

size_t load_verify(struct job_load *load)
{
    struct den_err err = DEN_ERR_INIT;
    struct judge j = {.service = NULL};
    size_t again = 0;
    const struct den_service_config config = {
        .state = load->story.daemon.state, .max_attempts = 3, .as_it_is = true};
    must(den_service_open(&config, &j.service, &err));
    j.kind = den_service_store(j.service, &j.store);
    for (size_t i = 0; i < load->count; i++) {
        struct den_job_row row;
        must(j.kind->job_get(j.store, DEN_OWNER_LOCAL, load->ids[i], &row, &err));
        ck_assert_msg(row.state == DEN_JOB_SUCCEEDED, "%s is %s: %s", row.id,
                      den_job_state_name(row.state), row.error_text);
        judge_events(&j, &row);
        struct den_image image = pixels_of(&j, &row);
        if (i < METHODS) {
            j.control[method_of(&row)] = image;
            continue;
        }
        ck_assert_mem_eq(image.pixels, j.control[method_of(&row)].pixels,
                         (size_t)SIDE * SIDE * sizeof(float));
        den_image_release(&image);
        again += row.gen > 1;
    }
    for (size_t i = 0; i < METHODS; i++)
        den_image_release(&j.control[i]);
    den_service_close(j.service);
    return again;
}
