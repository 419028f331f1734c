#include <limits.h>
#include <string.h>

#include "experiment_api.h"
#include "fs.h"
#include "mem.h"
#include "str.h"

/* A text member of the request, copied into a field of the same size or smaller. */
static bool copy_member(const json_t *body, const char *name, bool required, char *to,
                        size_t size, struct den_err *err)
{
    const char *text = NULL;
    if (!den_in_string(body, "", name, required, size - 1, &text, err))
        return false;
    if (text != NULL)
        (void)den_str_copy(to, size, text);
    return true;
}

static bool read_settings(const json_t *body, struct den_job_request *ask,
                          struct den_err *err)
{
    json_t *config = NULL;
    if (!den_in_object(body, "", "config", &config, err))
        return false;
    const char *key;
    json_t *value;
    json_object_foreach(config, key, value)
    {
        char at[96];
        (void)den_str_format(at, sizeof at, "/config/%.60s", key);
        if (ask->setting_count == sizeof ask->settings / sizeof ask->settings[0])
            return den_err_field(err, DEN_E_INVALID, "/config",
                                 "config has more than %zu members", ask->setting_count);
        struct den_setting *setting = &ask->settings[ask->setting_count];
        if (!den_str_copy(setting->key, sizeof setting->key, key))
            return den_err_field(err, DEN_E_INVALID, at, "unknown setting '%.60s'", key);
        if (!den_json_scalar_text(value, setting->value, sizeof setting->value))
            return den_err_field(
                err, DEN_E_MALFORMED, at,
                "setting '%s' must be a number, a boolean or a short text, "
                "not %s",
                key, den_json_kind(value));
        ask->setting_count++;
    }
    return true;
}

static bool read_grid(const json_t *body, struct den_job_request *ask,
                      struct den_err *err)
{
    json_t *grid = NULL;
    return den_in_object(body, "", "grid", &grid, err) &&
           (grid == NULL || den_in_experiment(grid, &ask->experiment, err));
}

/* [0, 2] as "0,2". */
static bool read_channels(const json_t *body, struct den_job_request *ask,
                          struct den_err *err)
{
    json_t *list = NULL;
    size_t i, used = 0;
    json_t *item;
    if (!den_in_array(body, "", "channels", false, DEN_CHANNELS_SIZE, &list, err))
        return false;
    json_array_foreach(list, i, item)
    {
        char at[32];
        (void)den_str_format(at, sizeof at, "/channels/%zu", i);
        if (!json_is_integer(item))
            return den_err_field(err, DEN_E_MALFORMED, at,
                                 "a channel must be a whole number, not %s",
                                 den_json_kind(item));
        if (json_integer_value(item) < 0 || json_integer_value(item) > UINT32_MAX)
            return den_err_field(err, DEN_E_INVALID, at,
                                 "channel %lld does not exist; channels count from 0",
                                 (long long)json_integer_value(item));
        if (!den_str_format(ask->channels + used, sizeof ask->channels - used, "%s%lld",
                            i > 0 ? "," : "", (long long)json_integer_value(item)))
            return den_err_field(err, DEN_E_INVALID, "/channels",
                                 "the numbers of the channels take more than %d "
                                 "characters",
                                 DEN_CHANNELS_SIZE - 1);
        used = strlen(ask->channels);
    }
    return true;
}

static bool read_request(const json_t *body, struct den_job_request *ask,
                         struct den_err *err)
{
    int64_t seed = 0;
    if (!den_in_only(body, "",
                     "kind dataset image model base_model method preset config seed "
                     "grid pages channels priority webhook",
                     err) ||
        !copy_member(body, "kind", true, ask->kind, sizeof ask->kind, err) ||
        !copy_member(body, "dataset", false, ask->dataset, sizeof ask->dataset, err) ||
        !copy_member(body, "image", false, ask->image, sizeof ask->image, err) ||
        !copy_member(body, "model", false, ask->model, sizeof ask->model, err) ||
        !copy_member(body, "base_model", false, ask->base_model, sizeof ask->base_model,
                     err) ||
        !copy_member(body, "method", false, ask->method, sizeof ask->method, err) ||
        !copy_member(body, "preset", false, ask->preset, sizeof ask->preset, err) ||
        !copy_member(body, "webhook", false, ask->webhook, sizeof ask->webhook, err) ||
        !copy_member(body, "pages", false, ask->pages, sizeof ask->pages, err) ||
        !copy_member(body, "priority", false, ask->priority, sizeof ask->priority, err) ||
        !read_channels(body, ask, err) || !read_settings(body, ask, err) ||
        !read_grid(body, ask, err) ||
        !den_in_integer(body, "", "seed", 0, (int64_t)1 << 53, &ask->has_seed, &seed,
                        err))
        return false;
    ask->seed = (uint64_t)seed;
    return true;
}

static bool reply_job(struct den_api *api, struct den_reply *reply, unsigned status,
                      const struct den_job_row *row, struct den_err *err)
{
    struct den_outlook outlook;
    return den_service_outlook(api->service, row, &outlook, err) &&
           den_reply_json(reply, status, den_json_job(row, &outlook), err);
}

static json_t *estimate_of(const struct den_job_row *row,
                           const struct den_job_estimate *estimate)
{
    json_t *out = json_pack(
        "{ss sI sI sI so so so so}", "kind", row->kind, "steps",
        (json_int_t)estimate->steps, "peak_bytes", (json_int_t)estimate->bytes,
        "queue_position", (json_int_t)estimate->queue_position, "config",
        den_json_config(row->config), "base_model", den_json_base(row->config), "pages",
        den_json_pages(row->config), "channels", den_json_channels(row->config));
    bool known = estimate->seconds > 0;
    (void)json_object_set_new(out, "seconds",
                              known ? json_real(estimate->seconds) : json_null());
    (void)json_object_set_new(
        out, "seconds_from",
        known ? json_string(estimate->measured ? "measured" : "default") : json_null());
    return out;
}

/* Denoising is everybody's; hours of training are not. */
static bool may_run(struct den_api *api, const struct den_request *request,
                    const char *job_kind, struct den_err *err)
{
    char what[32];
    bool trains = strcmp(job_kind, "train") == 0 || strcmp(job_kind, "experiment") == 0;
    (void)den_str_format(what, sizeof what, "a job of kind %s", job_kind);
    return !trains || den_api_need_scope(api, request, "train", what, err);
}

static bool may_call(struct den_api *api, const char *url, struct den_err *err)
{
    struct den_err inner = DEN_ERR_INIT;
    return url[0] == '\0' || den_webhook_check(url, api->webhook_hosts, &inner) ||
           den_err_field(err, inner.code, "/webhook", "%s", inner.text);
}

DEN_HANDLER(den_h_job_add)
{
    struct den_api *api = app;
    json_t *body = NULL;
    bool dry_run = false, done = false;
    const char *flag = den_request_query(request, "dry_run");
    if (flag != NULL && !den_parse_bool(flag, &dry_run, NULL))
        return den_err_field(err, DEN_E_MALFORMED, "dry_run",
                             "query key 'dry_run' must be true or false");
    struct den_job_request *ask = den_new(1, sizeof *ask, err);
    struct den_job_row *row = den_new(1, sizeof *row, err);
    struct den_job_estimate estimate = {0};
    if (ask == NULL || row == NULL || !den_in_body(request, &body, err) ||
        !read_request(body, ask, err) || !may_call(api, ask->webhook, err) ||
        !may_run(api, request, ask->kind, err) ||
        !den_service_submit(api->service, den_request_owner(request), ask, dry_run, row,
                            &estimate, err))
        goto out;
    if (dry_run) {
        json_t *out = estimate_of(row, &estimate);
        done = den_reply_json(reply, 200, out, err);
        goto out;
    }
    char location[80];
    (void)den_str_format(location, sizeof location, "/v1/jobs/%s", row->id);
    den_reply_header(reply, "Location", location);
    done = reply_job(api, reply, 202, row, err);
out:
    json_decref(body);
    if (ask != NULL)
        den_experiment_free(ask->experiment);
    den_free(ask);
    den_free(row);
    return done;
}

/* A list filter: absent, or one of the names that `known` accepts. */
static bool read_filter(const struct den_request *request, const char *key,
                        bool (*known)(const char *name), const char **ret,
                        struct den_err *err)
{
    *ret = den_request_query(request, key);
    if (*ret == NULL || known(*ret))
        return true;
    return den_err_field(err, DEN_E_MALFORMED, key, "query key '%s' cannot be '%.40s'",
                         key, *ret);
}

static bool known_state(const char *name)
{
    enum den_job_state state;
    return den_job_state_find(name, &state);
}

static bool known_kind(const char *name)
{
    for (size_t i = 0; den_job_kinds[i] != NULL; i++)
        if (strcmp(den_job_kinds[i]->name, name) == 0)
            return true;
    return false;
}

DEN_HANDLER(den_h_job_list)
{
    struct den_api *api = app;
    size_t limit, count = 0;
    const char *after, *state, *kind;
    if (!den_api_page(request, "job_", &limit, &after, err) ||
        !read_filter(request, "state", known_state, &state, err) ||
        !read_filter(request, "kind", known_kind, &kind, err))
        return false;
    struct den_job_row *rows = den_new(limit, sizeof *rows, err);
    json_t *items = json_array();
    bool done = rows != NULL &&
                api->store_kind->job_list(api->store, den_request_owner(request), state,
                                          kind, after, limit, rows, &count, err);
    for (size_t i = 0; done && i < count; i++) {
        struct den_outlook outlook = {.eta_s = -1};
        done = den_service_outlook(api->service, &rows[i], &outlook, err);
        (void)json_array_append_new(items, den_json_job(&rows[i], &outlook));
    }
    if (done)
        done = den_reply_list(reply, "jobs", items,
                              count == limit ? rows[count - 1].id : "", err);
    else
        json_decref(items);
    den_free(rows);
    return done;
}

DEN_HANDLER(den_h_job_get)
{
    struct den_api *api = app;
    const char *id;
    struct den_job_row row;
    return den_api_id(request, "job_", &id, err) &&
           api->store_kind->job_get(api->store, den_request_owner(request), id, &row,
                                    err) &&
           reply_job(api, reply, 200, &row, err);
}

DEN_HANDLER(den_h_job_delete)
{
    struct den_api *api = app;
    const char *id;
    if (!den_api_id(request, "job_", &id, err) ||
        !den_service_delete_job(api->service, den_request_owner(request), id, err))
        return false;
    den_reply_status(reply, 204);
    return true;
}

DEN_HANDLER(den_h_job_cancel)
{
    struct den_api *api = app;
    const char *id;
    struct den_job_row row;
    return den_api_id(request, "job_", &id, err) &&
           den_service_cancel(api->service, den_request_owner(request), id, &row, err) &&
           reply_job(api, reply, 200, &row, err);
}

DEN_HANDLER(den_h_job_retry)
{
    struct den_api *api = app;
    const char *id;
    struct den_job_row row;
    return den_api_id(request, "job_", &id, err) &&
           api->store_kind->job_get(api->store, den_request_owner(request), id, &row,
                                    err) &&
           may_run(api, request, row.kind, err) &&
           den_service_retry(api->service, den_request_owner(request), id, &row, err) &&
           reply_job(api, reply, 200, &row, err);
}

bool den_api_result(struct den_api *api, const struct den_request *request,
                    struct den_job_row *ret, struct den_err *err)
{
    const char *id;
    if (!den_api_id(request, "job_", &id, err) ||
        !api->store_kind->job_get(api->store, den_request_owner(request), id, ret, err))
        return false;
    if (strcmp(ret->kind, "denoise") != 0)
        return den_err_set(err, DEN_E_NOT_FOUND,
                           "a %s job has no result file; see its report", ret->kind);
    return ret->state == DEN_JOB_SUCCEEDED ||
           den_err_set(err, DEN_E_CONFLICT,
                       "the job is %s; there is a result when it is succeeded",
                       den_job_state_name(ret->state));
}

DEN_HANDLER(den_h_job_result)
{
    struct den_api *api = app;
    struct den_job_row row;
    if (!den_api_result(api, request, &row, err))
        return false;
    char path[PATH_MAX];
    den_blobs_path(den_service_blobs(api->service), row.result_sha256, path, sizeof path);
    return den_reply_file(reply, path, row.result_media, row.result_sha256,
                          row.result_name, err);
}

DEN_HANDLER(den_h_job_sample)
{
    struct den_api *api = app;
    struct den_job_row row;
    char path[PATH_MAX];
    const char *id;
    if (!den_api_id(request, "job_", &id, err) ||
        !api->store_kind->job_get(api->store, den_request_owner(request), id, &row, err))
        return false;
    den_service_sample_path(api->service, &row, path, sizeof path);
    if (!den_fs_exists(path))
        return den_err_set(err, DEN_E_NOT_FOUND,
                           "the job '%s' has no sample: only a training has, from its "
                           "first validation until it ends",
                           row.id);
    return den_reply_file(reply, path, "image/png", NULL, NULL, err);
}

DEN_AGAIN(den_again_job)
{
    struct den_job_row row;
    char location[80];
    bool added = strcmp(den_request_route(request)->pattern, "/v1/jobs") == 0;
    if (!api->store_kind->job_get(api->store, den_request_owner(request), object, &row,
                                  err))
        return false;
    (void)den_str_format(location, sizeof location, "/v1/jobs/%s", row.id);
    if (added)
        den_reply_header(reply, "Location", location);
    return reply_job(api, reply, added ? 202 : 200, &row, err);
}
