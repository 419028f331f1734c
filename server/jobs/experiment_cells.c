#include "experiment_cells.h"

#include <math.h>
#include <string.h>

#include "mem.h"
#include "str.h"

int64_t den_baseline_cell(size_t baseline)
{
    return baseline == 0 ? DEN_CELL_NOISY : DEN_CELL_FILTER - (int64_t)(baseline - 1);
}

size_t den_experiment_shown(const struct den_experiment *e)
{
    size_t best = 0;
    for (size_t i = 0; i < e->sample_count; i++) {
        if (e->samples[i] == 0)
            return i;
        if (e->samples[i] > e->samples[best])
            best = i;
    }
    return best;
}

bool den_experiment_refused(const struct den_err *inner, struct den_err *err)
{
    char pointer[sizeof inner->field] = "/grid";
    size_t n = strlen(pointer);
    if (inner->field[0] != '\0' && n + 1 < sizeof pointer)
        pointer[n++] = '/';
    for (const char *at = inner->field; *at != '\0' && n + 1 < sizeof pointer; at++)
        if (*at == '[' || *at == '.')
            pointer[n++] = '/';
        else if (*at != ']')
            pointer[n++] = *at;
    pointer[n] = '\0';
    return den_err_field(err, inner->code, pointer, "%s", inner->text);
}

/* ---- values as text ---- */

bool den_cell_set_values(const struct den_experiment *e, const double *values,
                         struct den_cell_row *row, struct den_err *err)
{
    size_t used = 0;
    row->values[0] = '\0';
    for (size_t i = 0; i < e->metric_count; i++) {
        if (isnan(values[i]))
            continue;
        if (!den_str_format(row->values + used, sizeof row->values - used, "%s=%.17g\n",
                            e->metrics[i], values[i]))
            return den_err_set(err, DEN_E_INTERNAL, "a cell has too many values");
        used += strlen(row->values + used);
    }
    return true;
}

static double read_value(const char *text)
{
    double value;
    if (strcmp(text, "inf") == 0)
        return (double)INFINITY;
    return den_parse_double(text, -1e300, 1e300, &value, NULL) ? value : (double)NAN;
}

/* A metric that has no line has no value. */
static void read_values(const struct den_experiment *e, const char *lines, double *values)
{
    char line[96];
    for (size_t i = 0; i < e->metric_count; i++)
        values[i] = (double)NAN;
    for (const char *at = lines; *at != '\0';) {
        size_t length = strcspn(at, "\n");
        bool fits = den_str_format(line, sizeof line, "%.*s", (int)length, at);
        char *equals = strchr(line, '=');
        at += length + (at[length] == '\n');
        if (!fits || equals == NULL)
            continue;
        *equals = '\0';
        for (size_t i = 0; i < e->metric_count; i++)
            if (strcmp(e->metrics[i], line) == 0)
                values[i] = read_value(equals + 1);
    }
}

/* ---- the whole ---- */

static void take_cell(struct den_experiment_state *state, const struct den_cell_row *row)
{
    const struct den_experiment *e = state->experiment;
    if (row->cell == DEN_CELL_REFERENCE) {
        state->has_reference = true;
    } else if (row->cell < 0) {
        for (size_t i = 0; i <= e->filter_count; i++)
            if (den_baseline_cell(i) == row->cell) {
                state->baselines[i].there = true;
                read_values(e, row->values, state->baselines[i].values);
            }
    } else if ((uint64_t)row->cell < den_experiment_cells(e)) {
        struct den_experiment_result *result = &state->results[row->cell];
        result->state =
            strcmp(row->state, "done") == 0 ? DEN_CELL_DONE : DEN_CELL_DIVERGED;
        result->seconds = row->seconds > 0 ? row->seconds : (double)NAN;
        result->images = row->images;
        read_values(e, row->values, result->values);
        den_str_copy(result->why, sizeof result->why, row->text);
        state->done++;
    }
}

bool den_experiment_load(const struct den_store_kind *kind, struct den_store *store,
                         const char *owner, const char *job,
                         struct den_experiment_state *ret, struct den_err *err)
{
    bool loaded = false;
    char *grid = NULL;
    struct den_cell_row *rows = NULL;
    struct den_experiment_state state = {0};
    size_t count = 0;
    if (!kind->experiment_get(store, owner, job, &grid, err) ||
        !den_experiment_read(grid, &state.experiment, err))
        goto out;
    state.results =
        den_new(den_experiment_cells(state.experiment), sizeof *state.results, err);
    state.baselines =
        den_new(state.experiment->filter_count + 1, sizeof *state.baselines, err);
    if (state.results == NULL || state.baselines == NULL ||
        !kind->cell_list(store, owner, job, &rows, &count, err))
        goto out;
    for (size_t i = 0; i < count; i++)
        take_cell(&state, &rows[i]);
    *ret = state;
    loaded = true;
out:
    den_free(grid);
    den_free(rows);
    if (!loaded)
        den_experiment_release(&state);
    return loaded;
}

void den_experiment_release(struct den_experiment_state *state)
{
    den_experiment_free(state->experiment);
    den_free(state->results);
    den_free(state->baselines);
    *state = (struct den_experiment_state){0};
}
