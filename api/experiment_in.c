/* The grid of an experiment, from JSON to the entries that it is built of. */

#include <string.h>

#include "experiment_api.h"
#include "experiment_cells.h"
#include "str.h"

static bool put(struct den_experiment *e, const char *key, const char *value,
                struct den_err *err)
{
    struct den_err inner = DEN_ERR_INIT;
    return den_experiment_put(e, key, value, &inner) ||
           den_experiment_refused(&inner, err);
}

/* at: JSON Pointer of the value. */
static bool put_scalar(struct den_experiment *e, const char *at, const char *key,
                       const json_t *value, struct den_err *err)
{
    char text[DEN_NAME_SIZE];
    if (!den_json_scalar_text(value, text, sizeof text))
        return den_err_field(err, DEN_E_MALFORMED, at,
                             "%s must be a number, a boolean or a short text, not %s", at,
                             den_json_kind(value));
    return put(e, key, text, err);
}

/* Members that are one entry each, when they are there. */
static bool put_members(struct den_experiment *e, const json_t *grid, struct den_err *err)
{
    static const char *const names[] = {"preset", "test_dataset", "fit_samples",
                                        "keep_models"};
    char at[48];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const json_t *value = json_object_get(grid, names[i]);
        (void)den_str_format(at, sizeof at, "/grid/%s", names[i]);
        if (value != NULL && !put_scalar(e, at, names[i], value, err))
            return false;
    }
    return true;
}

/* "PREFIX.KEY" for each member of the object. */
static bool put_settings(struct den_experiment *e, const char *at, const char *prefix,
                         const json_t *object, const char *name, struct den_err *err)
{
    json_t *settings = NULL, *value;
    const char *member;
    char key[80], pointer[96];
    if (!den_in_object(object, at, name, &settings, err))
        return false;
    json_object_foreach(settings, member, value)
    {
        (void)den_str_format(pointer, sizeof pointer, "%s/%s/%.40s", at, name, member);
        if (!den_str_format(key, sizeof key, "%s.%s", prefix, member) ||
            !den_utf8_printable(member))
            return den_err_field(err, DEN_E_INVALID, pointer, "unknown setting '%.40s'",
                                 member);
        if (!put_scalar(e, pointer, key, value, err))
            return false;
    }
    return true;
}

static bool put_row(struct den_experiment *e, size_t i, const json_t *row,
                    struct den_err *err)
{
    char at[40];
    const char *name = NULL, *method = NULL;
    (void)den_str_format(at, sizeof at, "/grid/rows/%zu", i);
    if (!json_is_object(row))
        return den_err_field(err, DEN_E_MALFORMED, at, "%s must be an object, not %s", at,
                             den_json_kind(row));
    return den_in_only(row, at, "name method set", err) &&
           den_in_string(row, at, "name", true, DEN_EXPERIMENT_NAME - 1, &name, err) &&
           den_in_string(row, at, "method", false, DEN_EXPERIMENT_NAME, &method, err) &&
           put(e, "row", name, err) &&
           (method == NULL || put(e, "method", method, err)) &&
           put_settings(e, at, "set", row, "set", err);
}

static bool put_rows(struct den_experiment *e, const json_t *grid, struct den_err *err)
{
    json_t *rows = NULL;
    const json_t *row;
    size_t i;
    if (!den_in_array(grid, "/grid", "rows", true, DEN_EXPERIMENT_CELLS, &rows, err))
        return false;
    json_array_foreach(rows, i, row)
    {
        if (!put_row(e, i, row, err))
            return false;
    }
    return true;
}

static bool put_lists(struct den_experiment *e, const json_t *grid, struct den_err *err)
{
    static const struct {
        const char *list, *key;
    } lists[] = {{"samples", "sample"},
                 {"seeds", "seed"},
                 {"filters", "filter"},
                 {"metrics", "metric"},
                 {"test_scenes", "test_scene"}};
    char at[48];
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        json_t *list = NULL;
        const json_t *value;
        size_t k;
        if (!den_in_array(grid, "/grid", lists[i].list, false, DEN_EXPERIMENT_CELLS,
                          &list, err))
            return false;
        json_array_foreach(list, k, value)
        {
            (void)den_str_format(at, sizeof at, "/grid/%s/%zu", lists[i].list, k);
            if (!put_scalar(e, at, lists[i].key, value, err))
                return false;
        }
    }
    return true;
}

bool den_in_experiment(const json_t *grid, struct den_experiment **ret,
                       struct den_err *err)
{
    struct den_experiment *e = NULL;
    if (!den_in_only(grid, "/grid",
                     "preset common rows samples seeds filters metrics test_scenes "
                     "test_dataset fit_samples keep_models",
                     err) ||
        !den_experiment_new(&e, err))
        return false;
    if (!put_members(e, grid, err) ||
        !put_settings(e, "/grid", "common", grid, "common", err) ||
        !put_rows(e, grid, err) || !put_lists(e, grid, err)) {
        den_experiment_free(e);
        return false;
    }
    *ret = e;
    return true;
}
