#include "service_private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "clock.h"
#include "fs.h"
#include "keeper.h"
#include "log.h"
#include "mem.h"
#include "outlook.h"
#include "service_accounts.h"
#include "str.h"
#include "upkeep.h"

/* ---- opening ---- */

/* Two processes on one folder would both think that they own the queue.  flock(2) goes
 * with the process, whatever way it ends, so there is no stale lock to clear away. */
static bool take_lock(struct den_service *s, struct den_err *err)
{
    char path[PATH_MAX];
    den_str_format(path, sizeof path, "%s/lock", s->state);
    s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (s->lock_fd < 0)
        return den_err_sys(err, errno, "the state folder cannot be written");
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) == 0)
        return true;
    if (errno == EWOULDBLOCK)
        return den_err_set(err, DEN_E_CONFLICT,
                           "another denoised is using this state folder");
    return den_err_sys(err, errno, "the state folder cannot be locked");
}

static void add_name(char *names, size_t size, const char *name)
{
    size_t used = strlen(names);
    den_str_format(names + used, size - used, "%s%s", used > 0 ? ", " : "", name);
}

static bool find_store(const char *name, const struct den_store_kind **ret,
                       struct den_err *err)
{
    char names[200] = "";
    for (size_t i = 0; den_stores[i] != NULL; i++) {
        add_name(names, sizeof names, den_stores[i]->name);
        if (name != NULL && strcmp(name, den_stores[i]->name) != 0)
            continue;
        *ret = den_stores[i];
        return true;
    }
    return den_err_field(err, DEN_E_INVALID, "store",
                         "store: there is no store '%.40s'; allowed: %s", name, names);
}

static bool find_backend(const char *name, const struct den_backend **ret,
                         struct den_err *err)
{
    char names[200] = "auto";
    const struct den_backend *found =
        name == NULL ? den_backend_default() : den_backend_find(name);
    for (size_t i = 0; den_backends[i] != NULL; i++)
        add_name(names, sizeof names, den_backends[i]->name);
    if (found == NULL)
        return den_err_field(err, DEN_E_INVALID, "backend",
                             "backend: there is no backend '%.40s'; allowed: %s", name,
                             names);
    *ret = found;
    return true;
}

bool den_service_has_store(const char *name, struct den_err *err)
{
    const struct den_store_kind *kind;
    return find_store(name, &kind, err);
}

bool den_service_has_backend(const char *name, struct den_err *err)
{
    const struct den_backend *backend;
    return find_backend(name, &backend, err);
}

static bool find_parts(struct den_service *s, const struct den_service_config *config,
                       struct den_err *err)
{
    return find_store(config->store, &s->kind, err) &&
           find_backend(config->backend, &s->backend, err);
}

static bool open_store(struct den_service *s, struct den_err *err)
{
    char path[PATH_MAX];
    den_str_format(path, sizeof path, "%s/denoised.db", s->state);
    if (!s->kind->open(path, &s->store, err))
        return false;
    s->kind->set_quotas(s->store, &s->config.quotas);
    return true;
}

struct den_backoff den_service_backoff(const struct den_service *service)
{
    return (struct den_backoff){.first_ms = (int64_t)(1000 * service->config.retry_s),
                                .max_attempts = service->config.max_attempts};
}

static bool recover(struct den_service *s, struct den_err *err)
{
    size_t requeued = 0;
    const struct den_recovery how = {
        .now = den_moment_now(), .all = true, .backoff = den_service_backoff(s)};
    if (!s->kind->job_recover(s->store, &how, &requeued, err))
        return false;
    if (requeued > 0)
        den_log(DEN_WARN, "jobs_recovered", " requeued=%zu", requeued);
    return true;
}

static bool init_locks(struct den_service *s, struct den_err *err)
{
    pthread_condattr_t attributes;
    bool done = pthread_condattr_init(&attributes) == 0 &&
                pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
                pthread_cond_init(&s->wake, &attributes) == 0 &&
                pthread_mutex_init(&s->lock, NULL) == 0 &&
                pthread_mutex_init(&s->blob_lock, NULL) == 0 &&
                pthread_mutex_init(&s->tokens_lock, NULL) == 0;
    pthread_condattr_destroy(&attributes);
    return done || den_err_set(err, DEN_E_NO_MEMORY, "a lock cannot be made");
}

static void set_defaults(struct den_service_config *config)
{
    enum { WORKERS = 2, LEASE_S = 60, COLLECT_S = 60 };
    if (config->workers < 1)
        config->workers = WORKERS;
    if (config->workers > DEN_WORKERS)
        config->workers = DEN_WORKERS;
    if (!(config->lease_s > 0))
        config->lease_s = LEASE_S;
    if (!(config->collect_s > 0))
        config->collect_s = COLLECT_S;
}

static bool make_state(const struct den_service *s, struct den_err *err)
{
    struct den_err cause = DEN_ERR_INIT;
    return den_fs_mkdirs(s->state, 0700, &cause) ||
           den_err_field(err, cause.code, "state", "the state folder: %s", cause.text);
}

/* Order matters: nothing is touched before the lock is held, and nothing is swept before
 * recovery has said which jobs go on. */
bool den_service_open(const struct den_service_config *config, struct den_service **ret,
                      struct den_err *err)
{
    struct den_service *s = den_new(1, sizeof *s, err);
    if (s == NULL)
        return false;
    s->lock_fd = -1;
    s->config = *config;
    s->config.state = s->config.store = s->config.backend = NULL;
    set_defaults(&s->config);
    s->worker_count = s->config.workers;
    if (!init_locks(s, err)) {
        den_free(s);
        return false;
    }
    den_rates_init(&s->rates);
    if (!den_str_copy(s->state, sizeof s->state, config->state)) {
        den_err_field(err, DEN_E_INVALID, "state",
                      "the name of the state folder is longer than %zu bytes",
                      sizeof s->state - 1);
        goto fail;
    }
    if (!den_outlooks_new(&s->outlooks, err) || !find_parts(s, config, err) ||
        !make_state(s, err) || !take_lock(s, err) ||
        !den_blobs_open(s->state, &s->blobs, err) || !open_store(s, err) ||
        !den_tokens_new(config->token_per_s, &s->tokens, err) ||
        !den_service_tokens_load(s, err) ||
        (!config->as_it_is && (!recover(s, err) || !den_service_sweep(s, err))))
        goto fail;
    *ret = s;
    return true;
fail:
    den_service_close(s);
    return false;
}

bool den_service_start(struct den_service *service, struct den_err *err)
{
    return !service->config.with_workers ||
           (den_upkeep_start(service, &service->upkeep, err) &&
            den_workers_start(service, err) &&
            den_keeper_start(service, &service->keeper, err));
}

void den_service_stop(struct den_service *service)
{
    den_workers_stop(service);
    den_keeper_stop(service->keeper);
    service->keeper = NULL;
    den_upkeep_stop(service->upkeep);
    service->upkeep = NULL;
}

void den_service_close(struct den_service *service)
{
    if (service == NULL)
        return;
    if (service->store != NULL)
        service->kind->close(service->store);
    den_blobs_close(service->blobs);
    if (service->lock_fd >= 0)
        close(service->lock_fd); /* and with it the lock */
    pthread_cond_destroy(&service->wake);
    pthread_mutex_destroy(&service->lock);
    pthread_mutex_destroy(&service->blob_lock);
    pthread_mutex_destroy(&service->tokens_lock);
    den_tokens_free(service->tokens);
    den_rates_release(&service->rates);
    den_outlooks_free(service->outlooks);
    den_free(service);
}

/* ---- parts ---- */

const struct den_store_kind *den_service_store(struct den_service *service,
                                               struct den_store **ret_store)
{
    *ret_store = service->store;
    return service->kind;
}

struct den_blobs *den_service_blobs(struct den_service *service)
{
    return service->blobs;
}

const struct den_image_limits *den_service_image_limits(const struct den_service *service)
{
    return &service->config.image_limits;
}

bool den_service_stats(struct den_service *service, struct den_service_stats *ret,
                       struct den_err *err)
{
    struct den_service_stats stats = {
        .images_added = atomic_load(&service->images_added),
        .tiles_done = atomic_load(&service->tiles_done),
        .iterations_done = atomic_load(&service->iterations_done),
    };
    if (!service->kind->job_counts(service->store, stats.jobs, err))
        return false;
    pthread_mutex_lock(&service->lock);
    for (int i = 0; i < service->worker_count; i++) {
        stats.workers += service->workers[i].started;
        stats.workers_busy += service->workers[i].task != NULL;
    }
    pthread_mutex_unlock(&service->lock);
    *ret = stats;
    return true;
}

/* ---- events ---- */

void den_service_on_event(struct den_service *service, void (*notify)(void *context),
                          void *context)
{
    pthread_mutex_lock(&service->lock);
    service->notify = notify;
    service->notify_context = context;
    pthread_mutex_unlock(&service->lock);
}

void den_service_notify(struct den_service *service)
{
    pthread_mutex_lock(&service->lock);
    void (*notify)(void *) = service->notify;
    void *context = service->notify_context;
    pthread_mutex_unlock(&service->lock);
    if (notify != NULL)
        notify(context);
}

bool den_service_event(struct den_service *service, const struct den_lease *lease,
                       struct den_event_row *rows, size_t count)
{
    struct den_err err = DEN_ERR_INIT;
    char text[sizeof err.text + 8];
    for (size_t i = 0; i < count; i++)
        rows[i].created_ms = den_wall_ms();
    if (!service->kind->event_add(service->store, lease, rows, count, &err)) {
        den_log(DEN_WARN, "event_lost", " job=%s type=%s error=%s", lease->job,
                rows[0].type, den_log_quote(err.text, text, sizeof text));
        return err.code != DEN_E_CONFLICT;
    }
    den_service_notify(service);
    return true;
}
