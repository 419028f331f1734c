/* Jobs as the API sees them. */

#include "run.h"

#include <string.h>

#include "clock.h"
#include "fault.h"
#include "log.h"
#include "mem.h"
#include "str.h"

const struct den_job_kind *den_job_kind_find(const char *name)
{
    for (size_t i = 0; den_job_kinds[i] != NULL; i++)
        if (strcmp(den_job_kinds[i]->name, name) == 0)
            return den_job_kinds[i];
    return NULL;
}

static bool no_selection(const struct den_job_request *request, const char *kind,
                         struct den_err *err)
{
    bool pages = request->pages[0] != '\0';
    if (!pages && request->channels[0] == '\0')
        return true;
    const char *field = pages ? "/pages" : "/channels";
    return den_err_field(err, DEN_E_INVALID, field, "a %s job has no use for %s", kind,
                         field + 1);
}

static bool choose_class(const struct den_job_request *request, struct den_job_row *row,
                         struct den_err *err)
{
    static const struct {
        const char *kind;
        enum den_job_class class;
    } usual[] = {{"denoise", DEN_CLASS_INTERACTIVE},
                 {"evaluate", DEN_CLASS_BATCH},
                 {"train", DEN_CLASS_TRAINING},
                 {"experiment", DEN_CLASS_EXPERIMENT}};
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
        if (strcmp(usual[i].kind, row->kind) == 0)
            row->class = usual[i].class;
    if (request->priority[0] == '\0')
        return true;
    if (row->class != DEN_CLASS_INTERACTIVE)
        return den_check_unused(request->priority, "/priority", row->kind, err);
    for (enum den_job_class c = DEN_CLASS_INTERACTIVE; c <= DEN_CLASS_BATCH; c++)
        if (strcmp(den_job_class_name(c), request->priority) == 0) {
            row->class = c;
            return true;
        }
    return den_err_field(err, DEN_E_INVALID, "/priority",
                         "priority is interactive or batch, not '%s'", request->priority);
}

/* All that a row says about what was asked, or the first thing that is wrong with it. */
static bool check(struct den_service *s, const struct den_job_request *request,
                  struct den_job_row *row, struct den_job_estimate *estimate,
                  struct den_err *err)
{
    enum { MIB = 1 << 20, USUAL_SEED = 1 };
    const struct den_job_kind *kind = den_job_kind_find(request->kind);
    if (kind == NULL)
        return den_err_field(err, DEN_E_INVALID, "/kind",
                             "kind '%s' is unknown; a job is of kind train, denoise, "
                             "evaluate or experiment",
                             request->kind);
    den_str_copy(row->kind, sizeof row->kind, kind->name);
    if (request->experiment != NULL && strcmp(kind->name, "experiment") != 0)
        return den_err_field(err, DEN_E_INVALID, "/grid", "a %s job has no use for grid",
                             kind->name);
    if (strcmp(kind->name, "denoise") != 0 && !no_selection(request, kind->name, err))
        return false;
    if (!choose_class(request, row, err))
        return false;
    row->seed = request->has_seed ? request->seed : USUAL_SEED;
    if (!kind->check(s, request, row, estimate, err))
        return false;
    row->steps = estimate->steps;
    den_str_copy(row->webhook, sizeof row->webhook, request->webhook);
    row->peak_bytes = estimate->bytes;
    if (estimate->rate[0] == '\0') {
        den_rates_key(row, estimate->rate);
        estimate->units = (double)estimate->steps;
    }
    memcpy(row->rate, estimate->rate, sizeof row->rate);
    row->units = estimate->units;
    size_t limit = s->config.memory_limit;
    if (limit > 0 && estimate->bytes > limit)
        return den_err_limit(err, DEN_E_UNPROCESSABLE, (int64_t)limit,
                             (int64_t)estimate->bytes,
                             "the job would need %zu MiB of memory and a job may have "
                             "%zu MiB",
                             estimate->bytes / MIB + 1, limit / MIB);
    return true;
}

/* An experiment comes with its grid, which the checks have completed. */
static bool add(struct den_service *s, const struct den_job_request *request,
                const struct den_job_row *row, struct den_err *err)
{
    const char *owner = row->owner;
    if (request->experiment == NULL)
        return s->kind->job_add(s->store, owner, row, s->config.queue_limit, err);
    struct den_buf grid;
    den_buf_init(&grid, DEN_EXPERIMENT_TEXT);
    den_experiment_write(request->experiment, &grid);
    bool done = den_buf_ok(&grid, err) &&
                s->kind->experiment_add(s->store, owner, row, grid.data,
                                        request->experiment->test_dataset,
                                        s->config.queue_limit, err);
    den_buf_release(&grid);
    return done;
}

bool den_service_submit(struct den_service *service, const char *owner,
                        const struct den_job_request *request, bool dry_run,
                        struct den_job_row *ret, struct den_job_estimate *ret_estimate,
                        struct den_err *err)
{
    struct den_job_row row = {.state = DEN_JOB_QUEUED, .created_ms = den_wall_ms()};
    struct den_job_estimate estimate = {0};
    if (atomic_load(&service->stopping))
        return den_err_set(err, DEN_E_DRAINING, "the server is going down; try later");
    den_str_copy(row.owner, sizeof row.owner, owner);
    if (!check(service, request, &row, &estimate, err))
        return false;
    if (dry_run) {
        if (!service->kind->job_last_position(service->store, owner, row.class,
                                              &estimate.queue_position, err))
            return false;
    } else {
        den_id_new("job_", row.id);
        if (!add(service, request, &row, err))
            return false;
        DEN_FAILPOINT("job_added");
        den_log(DEN_INFO, "job_queued", " job=%s kind=%s", row.id, row.kind);
        den_service_notify(service);
        den_workers_wake(service);
    }
    *ret = row;
    *ret_estimate = estimate;
    return true;
}

bool den_service_cancel(struct den_service *service, const char *owner, const char *id,
                        struct den_job_row *ret, struct den_err *err)
{
    struct den_job_row row;
    if (!service->kind->job_cancel(service->store, owner, id, &row, err))
        return false;
    if (row.state == DEN_JOB_CANCELLING)
        den_workers_cancel(service, id);
    den_service_notify(service);
    *ret = row;
    return true;
}

bool den_service_retry(struct den_service *service, const char *owner, const char *id,
                       struct den_job_row *ret, struct den_err *err)
{
    struct den_job_row row;
    if (!service->kind->job_retry(service->store, owner, id, &row, err))
        return false;
    den_service_notify(service);
    den_workers_wake(service);
    *ret = row;
    return true;
}

bool den_service_delete_job(struct den_service *service, const char *owner,
                            const char *id, struct den_err *err)
{
    struct den_job_row row;
    pthread_mutex_lock(&service->blob_lock);
    bool done = service->kind->job_get(service->store, owner, id, &row, err) &&
                service->kind->job_delete(service->store, owner, id, err);
    if (done)
        den_service_drop_blob(service, row.result_sha256);
    pthread_mutex_unlock(&service->blob_lock);
    return done;
}
