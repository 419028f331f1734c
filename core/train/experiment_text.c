/* An experiment as lines of text, as it is kept with its job. */

#include "experiment.h"

#include <inttypes.h>
#include <string.h>

#include "str.h"

/* Lines "key=value\n" as "PREFIX.key value\n". */
static void write_settings(const char *prefix, const char *lines, struct den_buf *to)
{
    for (const char *at = lines; *at != '\0'; at += strcspn(at, "\n") + 1) {
        int key = (int)strcspn(at, "="), line = (int)strcspn(at, "\n");
        den_buf_printf(to, "%s.%.*s %.*s\n", prefix, key, at, line - key - 1,
                       at + key + 1);
    }
}

void den_experiment_write(const struct den_experiment *e, struct den_buf *to)
{
    den_buf_printf(to, "preset %s\n", e->preset);
    write_settings("common", e->common, to);
    for (size_t i = 0; i < e->row_count; i++) {
        den_buf_printf(to, "row %s\nmethod %s\n", e->rows[i].name, e->rows[i].method);
        write_settings("set", e->rows[i].set, to);
    }
    for (size_t i = 0; i < e->sample_count; i++)
        den_buf_printf(to, "sample %" PRId64 "\n", e->samples[i]);
    for (size_t i = 0; i < e->seed_count; i++)
        den_buf_printf(to, "seed %" PRIu64 "\n", e->seeds[i]);
    for (size_t i = 0; i < e->filter_count; i++)
        den_buf_printf(to, "filter %s\n", e->filters[i]);
    for (size_t i = 0; i < e->metric_count; i++)
        den_buf_printf(to, "metric %s\n", e->metrics[i]);
    for (size_t i = 0; i < e->test_scene_count; i++)
        den_buf_printf(to, "test_scene %s\n", e->test_scenes[i]);
    if (e->test_dataset[0] != '\0')
        den_buf_printf(to, "test_dataset %s\n", e->test_dataset);
    den_buf_printf(to, "fit_samples %s\nkeep_models %s\n",
                   e->fit_samples ? "true" : "false", e->keep_models ? "true" : "false");
}

bool den_experiment_read(const char *text, struct den_experiment **ret,
                         struct den_err *err)
{
    char line[384];
    struct den_experiment *e = NULL;
    if (!den_experiment_new(&e, err))
        return false;
    for (const char *at = text; *at != '\0';) {
        size_t length = strcspn(at, "\n");
        char *blank = NULL;
        if (at[length] != '\n' || /* cut off */
            !den_str_format(line, sizeof line, "%.*s", (int)length, at) ||
            (blank = strchr(line, ' ')) == NULL) {
            den_err_set(err, DEN_E_INTERNAL, "the stored experiment cannot be read");
            goto fail;
        }
        *blank = '\0';
        if (!den_experiment_put(e, line, blank + 1, err))
            goto fail;
        at += length + 1;
    }
    if (!den_experiment_finish(e, err))
        goto fail;
    *ret = e;
    return true;
fail:
    den_experiment_free(e);
    return false;
}
