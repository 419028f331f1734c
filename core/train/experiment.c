#include "experiment.h"

#include <inttypes.h>
#include <string.h>

#include "filter.h"
#include "mem.h"
#include "metric.h"
#include "str.h"
#include "trainer.h"

#define PLACE 96 /* bytes of "rows[12].set.KEY" */

bool den_experiment_new(struct den_experiment **ret, struct den_err *err)
{
    struct den_experiment *e = den_new(1, sizeof *e, err);
    if (e == NULL)
        return false;
    *ret = e;
    return true;
}

void den_experiment_free(struct den_experiment *experiment)
{
    if (experiment == NULL)
        return;
    den_free(experiment->rows);
    den_free(experiment);
}

/* ---- refusals -------------------------------------------------------------------- */

static bool refuse(const char *place, const char *why, struct den_err *err)
{
    return den_err_field(err, DEN_E_INVALID, place, "%s: %s", place, why);
}

static void place_of(const char *list, size_t i, const char *rest, char to[PLACE])
{
    den_str_format(to, PLACE, "%s[%zu]%s", list, i, rest);
}

/* ---- settings -------------------------------------------------------------------- */

/* What would make the cells of a comparison differ in more than the row says. */
static const struct {
    const char *key, *why;
    bool common; /* refused for all rows, too */
} fixed[] = {
    {"epochs", "every cell runs equally many steps: set iterations in common", true},
    {"samples", "the list samples says how many images are trained on", true},
    {"iterations", "every cell runs equally many steps: set it in common", false},
    {"validation_fraction", "all rows train on the same images: set it in common", false},
};

static bool known_setting(const char *key)
{
    for (const struct den_train_key *k = den_train_keys; k->name != NULL; k++)
        if (strcmp(k->name, key) == 0)
            return true;
    return false;
}

static bool allowed_setting(const char *key, bool common, const char *place,
                            struct den_err *err)
{
    if (!known_setting(key))
        return refuse(place, "there is no such setting; see GET /v1/methods", err);
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++)
        if (strcmp(fixed[i].key, key) == 0 && (!common || fixed[i].common))
            return refuse(place, fixed[i].why, err);
    return true;
}

static bool add_setting(char *lines, const char *key, const char *value, bool common,
                        const char *place, struct den_err *err)
{
    struct den_train_config scratch;
    struct den_err inner = DEN_ERR_INIT;
    size_t used = strlen(lines);
    if (!allowed_setting(key, common, place, err) ||
        !den_train_config_preset(DEN_PRESET_DEFAULT, &scratch, err))
        return false;
    if (!den_train_config_set(&scratch, key, value, &inner))
        return refuse(place, inner.text, err);
    if (den_str_format(lines + used, DEN_EXPERIMENT_SETTINGS - used, "%s=%s\n", key,
                       value))
        return true;
    lines[used] = '\0';
    return refuse(place, "these are too many settings", err);
}

/* Sets every "key=value\n" line. */
static bool apply(const char *lines, struct den_train_config *config, struct den_err *err)
{
    char line[128];
    for (const char *at = lines; *at != '\0'; at += strcspn(at, "\n") + 1) {
        char *equals;
        if (!den_str_format(line, sizeof line, "%.*s", (int)strcspn(at, "\n"), at) ||
            (equals = strchr(line, '=')) == NULL)
            return den_err_set(err, DEN_E_INTERNAL, "a stored setting cannot be read");
        *equals = '\0';
        if (!den_train_config_set(config, line, equals + 1, err))
            return false;
    }
    return true;
}

bool den_experiment_config(const struct den_experiment *e, size_t row, size_t sample,
                           struct den_train_config *ret, struct den_err *err)
{
    struct den_train_config config;
    if (!den_train_config_preset(e->preset, &config, err) ||
        !apply(e->common, &config, err) || !apply(e->rows[row].set, &config, err))
        return false;
    config.samples = e->samples[sample];
    *ret = config;
    return true;
}

/* ---- entries: one function and one row of the table below for each key ----------- */

static bool put_preset(struct den_experiment *e, const char *value, struct den_err *err)
{
    struct den_train_config scratch;
    struct den_err inner = DEN_ERR_INIT;
    if (!den_train_config_preset(value, &scratch, &inner))
        return refuse("preset", inner.text, err);
    den_str_copy(e->preset, sizeof e->preset, value);
    return true;
}

static bool make_room(struct den_experiment *e, struct den_err *err)
{
    enum { FIRST = 8 };
    if (e->row_count < e->row_room)
        return true;
    size_t room = e->row_room > 0 ? 2 * e->row_room : FIRST;
    struct den_experiment_row *rows = den_realloc(e->rows, room, sizeof *rows);
    if (rows == NULL)
        return den_err_set(err, DEN_E_NO_MEMORY, "there is not enough memory");
    e->rows = rows;
    e->row_room = room;
    return true;
}

static bool put_row(struct den_experiment *e, const char *value, struct den_err *err)
{
    char place[PLACE];
    place_of("rows", e->row_count, ".name", place);
    size_t length = strlen(value);
    if (length == 0 || length >= DEN_EXPERIMENT_NAME || !den_utf8_printable(value))
        return refuse(place, "a name has 1 to 40 bytes, none of them a control character",
                      err);
    for (size_t i = 0; i < e->row_count; i++)
        if (strcmp(e->rows[i].name, value) == 0)
            return refuse(place, "two rows have this name", err);
    if (e->row_count == DEN_EXPERIMENT_CELLS)
        return refuse("rows", "there are more than 1000 rows", err);
    if (!make_room(e, err))
        return false;
    struct den_experiment_row *row = &e->rows[e->row_count++];
    memset(row, 0, sizeof *row);
    den_str_copy(row->name, sizeof row->name, value);
    return true;
}

static bool put_method(struct den_experiment *e, const char *value, struct den_err *err)
{
    char place[PLACE];
    if (e->row_count == 0)
        return refuse("method", "it belongs to a row", err);
    place_of("rows", e->row_count - 1, ".method", place);
    if (den_method_find(value) == NULL)
        return refuse(place, "there is no such training method; see GET /v1/methods",
                      err);
    struct den_experiment_row *row = &e->rows[e->row_count - 1];
    den_str_copy(row->method, sizeof row->method, value);
    return true;
}

static bool put_sample(struct den_experiment *e, const char *value, struct den_err *err)
{
    char place[PLACE];
    int64_t number;
    place_of("samples", e->sample_count, "", place);
    if (!den_parse_int(value, 0, 1000000, &number, NULL))
        return refuse(place, "a whole number from 0 (all images) to 1000000 is needed",
                      err);
    for (size_t i = 0; i < e->sample_count; i++)
        if (e->samples[i] == number)
            return refuse(place, "the number is there twice", err);
    if (e->sample_count == DEN_EXPERIMENT_COUNTS)
        return refuse("samples", "there are more than 32 numbers", err);
    e->samples[e->sample_count++] = number;
    return true;
}

static bool put_seed(struct den_experiment *e, const char *value, struct den_err *err)
{
    char place[PLACE];
    int64_t number;
    place_of("seeds", e->seed_count, "", place);
    if (!den_parse_int(value, 0, (int64_t)1 << 53, &number, NULL))
        return refuse(place, "a whole number from 0 to 2^53 is needed", err);
    for (size_t i = 0; i < e->seed_count; i++)
        if (e->seeds[i] == (uint64_t)number)
            return refuse(place, "the seed is there twice: it would be the same run",
                          err);
    if (e->seed_count == DEN_EXPERIMENT_SEEDS)
        return refuse("seeds", "there are more than 100 seeds", err);
    e->seeds[e->seed_count++] = (uint64_t)number;
    return true;
}

static bool put_name(char names[][32], size_t *count, const char *list, bool known,
                     const char *value, struct den_err *err)
{
    char place[PLACE];
    place_of(list, *count, "", place);
    if (!known)
        return refuse(place, "there is no such name; see GET /v1/methods", err);
    for (size_t i = 0; i < *count; i++)
        if (strcmp(names[i], value) == 0)
            return refuse(place, "the name is there twice", err);
    if (*count == DEN_EXPERIMENT_METRICS)
        return refuse(list, "there are more than 32 names", err);
    den_str_copy(names[(*count)++], sizeof names[0], value);
    return true;
}

static bool put_filter(struct den_experiment *e, const char *value, struct den_err *err)
{
    return put_name(e->filters, &e->filter_count, "filters",
                    den_filter_find(value) != NULL, value, err);
}

static bool put_metric(struct den_experiment *e, const char *value, struct den_err *err)
{
    return put_name(e->metrics, &e->metric_count, "metrics",
                    den_metric_find(value) != NULL, value, err);
}

static bool put_test_scene(struct den_experiment *e, const char *value,
                           struct den_err *err)
{
    char place[PLACE];
    place_of("test_scenes", e->test_scene_count, "", place);
    if (e->test_scene_count == DEN_EXPERIMENT_COUNTS)
        return refuse("test_scenes", "there are more than 32 scenes", err);
    if (value[0] == '\0' || !den_utf8_printable(value) ||
        !den_str_copy(e->test_scenes[e->test_scene_count], sizeof e->test_scenes[0],
                      value))
        return refuse(place,
                      "a name has 1 to 255 bytes, none of them a control character", err);
    e->test_scene_count++;
    return true;
}

static bool put_test_dataset(struct den_experiment *e, const char *value,
                             struct den_err *err)
{
    if (value[0] != '\0' && den_utf8_printable(value) &&
        den_str_copy(e->test_dataset, sizeof e->test_dataset, value))
        return true;
    return refuse("test_dataset", "this is no id of a data set", err);
}

static bool put_fit(struct den_experiment *e, const char *value, struct den_err *err)
{
    return den_parse_bool(value, &e->fit_samples, NULL) ||
           refuse("fit_samples", "true or false is needed", err);
}

static bool put_keep(struct den_experiment *e, const char *value, struct den_err *err)
{
    return den_parse_bool(value, &e->keep_models, NULL) ||
           refuse("keep_models", "true or false is needed", err);
}

static const struct {
    const char *key;
    bool (*put)(struct den_experiment *e, const char *value, struct den_err *err);
} entries[] = {
    {"preset", put_preset},
    {"row", put_row},
    {"method", put_method},
    {"sample", put_sample},
    {"seed", put_seed},
    {"filter", put_filter},
    {"metric", put_metric},
    {"test_scene", put_test_scene},
    {"test_dataset", put_test_dataset},
    {"fit_samples", put_fit},
    {"keep_models", put_keep},
};

bool den_experiment_put(struct den_experiment *e, const char *key, const char *value,
                        struct den_err *err)
{
    char place[PLACE], rest[PLACE];
    if (den_str_starts(key, "common.")) {
        den_str_format(place, sizeof place, "%.60s", key);
        return add_setting(e->common, key + strlen("common."), value, true, place, err);
    }
    if (den_str_starts(key, "set.") && e->row_count > 0) {
        den_str_format(rest, sizeof rest, ".%.60s", key);
        place_of("rows", e->row_count - 1, rest, place);
        return add_setting(e->rows[e->row_count - 1].set, key + strlen("set."), value,
                           false, place, err);
    }
    for (size_t i = 0; i < sizeof entries / sizeof entries[0]; i++)
        if (strcmp(entries[i].key, key) == 0)
            return entries[i].put(e, value, err);
    den_str_format(place, sizeof place, "%.60s", key);
    return refuse(place, "an experiment has no such entry", err);
}

/* ---- the whole ------------------------------------------------------------------- */

static bool fill_in(struct den_experiment *e, struct den_err *err)
{
    static const char *const usual[] = {"psnr_matched", "ssim_matched", "psnr", "ssim",
                                        "nrmse"};
    static const char *const seeds[] = {"1", "2", "3"};
    if (e->preset[0] == '\0' && !put_preset(e, DEN_PRESET_DEFAULT, err))
        return false;
    if (e->sample_count == 0 && !put_sample(e, "0", err))
        return false;
    for (size_t i = 0, given = e->seed_count; given == 0 && i < 3; i++)
        if (!put_seed(e, seeds[i], err))
            return false;
    for (size_t i = 0, given = e->metric_count; given == 0 && i < 5; i++)
        if (!put_metric(e, usual[i], err))
            return false;
    for (size_t i = 0, given = e->filter_count; given == 0 && den_filters[i] != NULL; i++)
        if (!put_filter(e, den_filters[i]->name, err))
            return false;
    return true;
}

/* Rows that name no method train by that of the preset. */
static void fill_methods(struct den_experiment *e)
{
    const char *method = "";
    for (size_t p = 0; p < DEN_PRESETS; p++)
        if (strcmp(den_presets[p].name, e->preset) == 0)
            method = den_presets[p].method;
    if (method[0] == '\0')
        method = den_methods[0]->name;
    for (size_t i = 0; i < e->row_count; i++)
        if (e->rows[i].method[0] == '\0')
            den_str_copy(e->rows[i].method, sizeof e->rows[i].method, method);
}

static bool check_row(const struct den_experiment *e, size_t row, struct den_err *err)
{
    struct den_err inner = DEN_ERR_INIT;
    struct den_train_config config;
    char place[PLACE], rest[PLACE] = "";
    if (!den_experiment_config(e, row, 0, &config, &inner) ||
        !den_train_config_check(&config, &inner)) {
        if (inner.field[0] != '\0')
            den_str_format(rest, sizeof rest, ".set.%.60s", inner.field);
        place_of("rows", row, rest, place);
        return refuse(place, inner.text, err);
    }
    if (config.epochs > 0)
        return refuse("common.iterations",
                      "the preset counts passes over the images, but every cell runs "
                      "equally many steps: say how many",
                      err);
    return true;
}

bool den_experiment_finish(struct den_experiment *e, struct den_err *err)
{
    if (e->row_count == 0)
        return refuse("rows", "an experiment has at least one row", err);
    if (e->test_scene_count > 0 && e->test_dataset[0] != '\0')
        return refuse("test_dataset", "give either test_scenes or test_dataset", err);
    if (e->test_scene_count == 0 && e->test_dataset[0] == '\0')
        return refuse("test_scenes",
                      "name test scenes (or a test_dataset): images that are trained on "
                      "say little about new ones",
                      err);
    if (!fill_in(e, err))
        return false;
    fill_methods(e);
    size_t cells = den_experiment_cells(e);
    if (cells > DEN_EXPERIMENT_CELLS)
        return den_err_limit(err, DEN_E_INVALID, DEN_EXPERIMENT_CELLS, (int64_t)cells,
                             "%zu rows x %zu samples x %zu seeds are %zu cells; at most "
                             "%d are allowed",
                             e->row_count, e->sample_count, e->seed_count, cells,
                             DEN_EXPERIMENT_CELLS);
    for (size_t i = 0; i < e->row_count; i++)
        if (!check_row(e, i, err))
            return false;
    return true;
}

/* A count that takes all there is would be the same run as 0. */
bool den_experiment_fit(struct den_experiment *e, size_t available, struct den_err *err)
{
    char place[PLACE], why[160];
    size_t kept = 0;
    for (size_t i = 0; i < e->sample_count; i++) {
        bool fits = e->samples[i] == 0 || (uint64_t)e->samples[i] < available;
        if (!fits && !e->fit_samples) {
            place_of("samples", i, "", place);
            den_str_format(why, sizeof why,
                           "%" PRId64 " images are asked for and %zu are there to train "
                           "on; 0 takes all",
                           e->samples[i], available);
            return refuse(place, why, err);
        }
        if (fits)
            e->samples[kept++] = e->samples[i];
    }
    if (kept == 0)
        e->samples[kept++] = 0;
    e->sample_count = kept;
    return true;
}

/* ---- cells ----------------------------------------------------------------------- */

size_t den_experiment_cells(const struct den_experiment *e)
{
    return e->row_count * e->sample_count * e->seed_count;
}

struct den_experiment_place den_experiment_place(const struct den_experiment *e,
                                                 size_t cell)
{
    return (struct den_experiment_place){
        .row = cell % e->row_count,
        .sample = cell / e->row_count % e->sample_count,
        .seed = cell / e->row_count / e->sample_count,
    };
}

size_t den_experiment_cell(const struct den_experiment *e,
                           struct den_experiment_place place)
{
    return (place.seed * e->sample_count + place.sample) * e->row_count + place.row;
}

void den_experiment_sample_name(int64_t samples, char *to, size_t size)
{
    if (samples == 0)
        den_str_copy(to, size, "all");
    else
        den_str_format(to, size, "%" PRId64, samples);
}
