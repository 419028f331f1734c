#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "handlers.h"
#include "str.h"

bool den_reply_json(struct den_reply *reply, unsigned status, json_t *value,
                    struct den_err *err)
{
    char *text = value != NULL ? json_dumps(value, DEN_JSON_STYLE) : NULL;
    json_decref(value);
    if (text == NULL)
        return den_err_set(err, DEN_E_NO_MEMORY,
                           "there is no memory left for the answer");
    den_reply_status(reply, status);
    den_reply_text(reply, "application/json", text);
    free(text);
    return true;
}

bool den_reply_list(struct den_reply *reply, const char *key, json_t *items,
                    const char *cursor, struct den_err *err)
{
    return den_reply_json(
        reply, 200,
        json_pack("{so so}", key, items, "next_cursor", den_json_text(cursor)), err);
}

json_t *den_json_time(int64_t wall_ms)
{
    char text[DEN_TIME_SIZE];
    if (wall_ms == 0)
        return json_null();
    den_time_format(wall_ms, text);
    return json_string(text);
}

json_t *den_json_text(const char *text)
{
    return text[0] == '\0' ? json_null() : json_string(text);
}

json_t *den_json_number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

/* Settings are kept as text; numbers and booleans become JSON's own again. */
static json_t *typed(const char *text)
{
    bool flag;
    int64_t whole;
    double real;
    if (den_parse_bool(text, &flag, NULL))
        return json_boolean(flag);
    if (den_parse_int(text, INT64_MIN, INT64_MAX, &whole, NULL))
        return json_integer(whole);
    if (den_parse_double(text, -1e300, 1e300, &real, NULL))
        return json_real(real);
    return json_string(text);
}

/* Kept among the settings of a job, but members of their own in its JSON. */
static const char base_key[] = "base_model", pages_key[] = "pages",
                  channels_key[] = "channels";

/* The value of a line of config, not terminated; NULL when there is none. */
static const char *find_line(const char *config, const char *key, size_t *ret_length)
{
    const size_t length = strlen(key);
    for (const char *line = config; *line != '\0';) {
        size_t end = strcspn(line, "\n");
        if (strncmp(line, key, length) == 0 && line[length] == '=') {
            *ret_length = end - length - 1;
            return line + length + 1;
        }
        line += end + (line[end] == '\n');
    }
    return NULL;
}

static json_t *text_of(const char *config, const char *key)
{
    size_t length = 0;
    const char *value = find_line(config, key, &length);
    return value != NULL ? json_stringn(value, length) : json_null();
}

json_t *den_json_base(const char *config)
{
    return text_of(config, base_key);
}

json_t *den_json_pages(const char *config)
{
    return text_of(config, pages_key);
}

/* "0,2" as [0, 2]. */
json_t *den_json_channels(const char *config)
{
    size_t length = 0;
    const char *at = find_line(config, channels_key, &length);
    if (at == NULL)
        return json_null();
    json_t *list = json_array();
    for (const char *end = at + length; at < end;) {
        char word[24];
        int64_t number = 0;
        size_t digits = strcspn(at, ",\n");
        if (den_str_format(word, sizeof word, "%.*s", (int)digits, at) &&
            den_parse_int(word, 0, UINT32_MAX, &number, NULL))
            (void)json_array_append_new(list, json_integer(number));
        at += digits + 1;
    }
    return list;
}

static bool is_member(const char *key)
{
    return strcmp(key, base_key) == 0 || strcmp(key, pages_key) == 0 ||
           strcmp(key, channels_key) == 0;
}

json_t *den_json_config(const char *config)
{
    json_t *object = json_object();
    while (object != NULL && *config != '\0') {
        size_t line = strcspn(config, "\n");
        const char *equals = memchr(config, '=', line);
        char key[64], value[64];
        if (equals != NULL) {
            size_t key_length = (size_t)(equals - config);
            if (den_str_format(key, sizeof key, "%.*s", (int)key_length, config) &&
                !is_member(key) &&
                den_str_format(value, sizeof value, "%.*s", (int)(line - key_length - 1),
                               equals + 1))
                (void)json_object_set_new(object, key, typed(value));
        }
        config += line + (config[line] == '\n');
    }
    return object;
}

/* null where the file does not say. */
static json_t *size_of(double um)
{
    return um > 0 ? json_real(um) : json_null();
}

static json_t *axes_of(const struct den_axes *axes)
{
    if (axes->source[0] == '\0')
        return json_null();
    return json_pack("{ss ss sI sI sI}", "source", axes->source, "order", axes->order,
                     "t", (json_int_t)axes->t, "z", (json_int_t)axes->z, "c",
                     (json_int_t)axes->c);
}

/* As many as the last one that has a name; null for those that have none. */
static json_t *names_of(const struct den_axes *axes)
{
    json_t *names = json_array();
    size_t count = DEN_AXIS_NAMES;
    while (count > 0 && axes->channel_names[count - 1][0] == '\0')
        count--;
    for (size_t i = 0; i < count; i++)
        (void)json_array_append_new(names, den_json_text(axes->channel_names[i]));
    return names;
}

json_t *den_json_image(const struct den_image_row *row)
{
    const struct den_image_info *info = &row->info;
    json_t *image = json_pack(
        "{ss ss ss ss sI sI sI sI ss sI so so}", "id", row->id, "sha256", row->sha256,
        "name", row->name, "format", info->format, "width", (json_int_t)info->width,
        "height", (json_int_t)info->height, "pages", (json_int_t)info->pages, "channels",
        (json_int_t)info->channels, "dtype", den_dtype_name(info->dtype), "bytes",
        (json_int_t)row->bytes, "pixel_size_um", size_of(info->pixel_size_um),
        "created_at", den_json_time(row->created_ms));
    json_t *more =
        json_pack("{sI sb so so so}", "bits", (json_int_t)info->bits, "alpha",
                  info->alpha, "axes", axes_of(&info->axes), "channel_names",
                  names_of(&info->axes), "z_step_um", size_of(info->axes.z_step_um));
    (void)json_object_update(image, more);
    json_decref(more);
    return image;
}

json_t *den_json_dataset(const struct den_dataset_row *row)
{
    return json_pack("{ss ss ss sI sI so}", "id", row->id, "name", row->name, "kind",
                     row->kind, "samples", (json_int_t)row->samples, "scenes",
                     (json_int_t)row->scenes, "created_at",
                     den_json_time(row->created_ms));
}

static json_t *progress_of(const struct den_job_row *row,
                           const struct den_outlook *outlook)
{
    double fraction = row->steps > 0 ? (double)row->step / (double)row->steps : 0.0;
    if (row->state == DEN_JOB_SUCCEEDED)
        fraction = 1.0;
    json_t *eta =
        outlook->eta_s < 0 ? json_null() : json_real(round(outlook->eta_s * 10.0) / 10.0);
    return json_pack("{sf sI sI so}", "fraction", fraction, "step", (json_int_t)row->step,
                     "steps", (json_int_t)row->steps, "eta_s", eta);
}

static json_t *result_of(const struct den_job_row *row)
{
    char href[400];
    if (row->state != DEN_JOB_SUCCEEDED)
        return json_null();
    if (strcmp(row->kind, "train") == 0) {
        (void)den_str_format(href, sizeof href, "/v1/models/%s/versions/%lld", row->model,
                             (long long)row->version);
        return json_pack("{ss ss sI}", "href", href, "model", row->model, "version",
                         (json_int_t)row->version);
    }
    if (row->result_sha256[0] != '\0') {
        (void)den_str_format(href, sizeof href, "/v1/jobs/%s/result", row->id);
        return json_pack("{ss ss ss ss sI sI sI so so}", "href", href, "name",
                         row->result_name, "media_type", row->result_media, "sha256",
                         row->result_sha256, "clipped_pixels", (json_int_t)row->clipped,
                         "planes_denoised", (json_int_t)row->planes, "planes_left",
                         (json_int_t)row->planes_left, "dtype", den_json_text(row->dtype),
                         "model_sha256", den_json_text(row->model_sha256));
    }
    (void)den_str_format(href, sizeof href, "/v1/jobs/%s/report", row->id);
    return json_pack("{ss}", "href", href);
}

json_t *den_json_job(const struct den_job_row *row, const struct den_outlook *outlook)
{
    size_t position = outlook->position;
    json_t *failure =
        row->error_code[0] == '\0'
            ? json_null()
            : json_pack("{ss ss}", "code", row->error_code, "detail", row->error_text);
    json_t *job = json_pack(
        "{ss ss ss so so so so so so so sI so so sI so so so so so}", "id", row->id,
        "kind", row->kind, "state", den_job_state_name(row->state), "dataset",
        den_json_text(row->dataset), "image", den_json_text(row->image), "model",
        den_json_text(row->model), "version",
        row->version > 0 ? json_integer(row->version) : json_null(), "method",
        den_json_text(row->method), "preset", den_json_text(row->preset), "config",
        den_json_config(row->config), "seed", (json_int_t)row->seed, "progress",
        progress_of(row, outlook), "queue_position",
        position > 0 ? json_integer((json_int_t)position) : json_null(), "attempts",
        (json_int_t)row->attempts, "created_at", den_json_time(row->created_ms),
        "started_at", den_json_time(row->started_ms), "finished_at",
        den_json_time(row->finished_ms), "error", failure, "result", result_of(row));
    (void)json_object_set_new(job, "base_model", den_json_base(row->config));
    (void)json_object_set_new(job, "priority",
                              json_string(den_job_class_name(row->class)));
    (void)json_object_set_new(job, "retry_at", den_json_time(row->retry_ms));
    (void)json_object_set_new(job, "pages", den_json_pages(row->config));
    (void)json_object_set_new(job, "channels", den_json_channels(row->config));
    (void)json_object_set_new(
        job, "peak_bytes",
        row->peak_bytes > 0 ? json_integer((json_int_t)row->peak_bytes) : json_null());
    return job;
}

json_t *den_json_model(const struct den_model_row *row)
{
    char weights[400];
    (void)den_str_format(weights, sizeof weights, "/v1/models/%s/versions/%lld/weights",
                         row->name, (long long)row->version);
    json_t *config = den_json_config(row->config);
    const char *kind = json_string_value(json_object_get(config, "normalisation"));
    json_t *norm =
        json_pack("{ss? sf sf}", "kind", kind, "shift", row->shift, "scale", row->scale);
    json_t *model = json_pack(
        "{ss sI ss ss ss ss so sI sI so so sI ss ss so}", "name", row->name, "version",
        (json_int_t)row->version, "job", row->job, "dataset", row->dataset, "method",
        row->method, "preset", row->preset, "config", config, "seed",
        (json_int_t)row->seed, "steps", (json_int_t)row->steps, "normalisation", norm,
        "validation_psnr",
        row->has_validation ? den_json_number(row->validation_psnr) : json_null(),
        "bytes", (json_int_t)row->bytes, "sha256", row->sha256, "weights", weights,
        "created_at", den_json_time(row->created_ms));
    (void)json_object_set_new(model, "base_model", den_json_base(row->config));
    (void)json_object_set_new(model, "owner", json_string(row->owner));
    (void)json_object_set_new(model, "shared", json_boolean(row->shared));
    return model;
}
