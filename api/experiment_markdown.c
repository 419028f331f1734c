/* The report of an experiment as Markdown: tables, and sentences that claim no more than
 * the numbers do. */

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "experiment_api.h"
#include "str.h"

/* Characters that would end a cell of a table, or change the type, get a backslash. */
static void put_text(struct den_buf *to, const char *text)
{
    for (; *text != '\0'; text++) {
        if (strchr("\\`*_[]<>|#", *text) != NULL)
            den_buf_puts(to, "\\");
        den_buf_add(to, text, 1);
    }
}

static const struct den_metric *metric_at(const struct den_experiment *e, size_t m)
{
    return den_metric_find(e->metrics[m]);
}

static const char *unit_of(const struct den_experiment *e, size_t m)
{
    const struct den_metric *metric = metric_at(e, m);
    return metric != NULL ? metric->unit : "";
}

/* Hundredths of a decibel; of the rest four places. */
static int digits_of(const struct den_experiment *e, size_t m)
{
    return strcmp(unit_of(e, m), "dB") == 0 ? 2 : 4;
}

static void put_head(struct den_buf *to, const struct den_experiment *e)
{
    char name[24];
    den_buf_puts(to, "| |");
    for (size_t i = 0; i < e->sample_count; i++) {
        den_experiment_sample_name(e->samples[i], name, sizeof name);
        den_buf_printf(to, " %s |", name);
    }
    den_buf_puts(to, "\n|---|");
    for (size_t i = 0; i < e->sample_count; i++)
        den_buf_puts(to, "---:|");
    den_buf_puts(to, "\n");
}

static void put_spread(struct den_buf *to, struct den_spread s, int digits)
{
    if (s.n == 0)
        den_buf_puts(to, " - |");
    else if (s.n == 1)
        den_buf_printf(to, " %.*f (1) |", digits, s.mean);
    else
        den_buf_printf(to, " %.*f +- %.*f (%zu) |", digits, s.mean, digits, s.sem, s.n);
}

/* What is not trained is the same for every number of images. */
static void put_baseline(struct den_buf *to, const struct den_experiment_state *state,
                         size_t i, size_t m)
{
    const struct den_experiment *e = state->experiment;
    double value = state->baselines[i].values[m];
    den_buf_printf(to, "| %s |", i == 0 ? "noisy" : e->filters[i - 1]);
    for (size_t sample = 0; sample < e->sample_count; sample++)
        if (state->baselines[i].there && isfinite(value))
            den_buf_printf(to, " %.*f |", digits_of(e, m), value);
        else
            den_buf_puts(to, " - |");
    den_buf_puts(to, "\n");
}

static void put_metric(struct den_buf *to, const struct den_experiment_state *state,
                       size_t m)
{
    static const char *const better[] = {[DEN_BETTER_HIGHER] = "higher is better",
                                         [DEN_BETTER_LOWER] = "lower is better",
                                         [DEN_BETTER_NEAR_1] = "1 is best"};
    const struct den_experiment *e = state->experiment;
    const struct den_metric *metric = metric_at(e, m);
    den_buf_printf(to, "\n## %s", e->metrics[m]);
    if (unit_of(e, m)[0] != '\0')
        den_buf_printf(to, " [%s]", unit_of(e, m));
    if (metric != NULL)
        den_buf_printf(to, "\n\n%s (%s)", metric->definition, better[metric->better]);
    den_buf_puts(to, "\n\n");
    put_head(to, e);
    for (size_t i = 0; i <= e->filter_count; i++)
        put_baseline(to, state, i, m);
    for (size_t row = 0; row < e->row_count; row++) {
        den_buf_puts(to, "| ");
        put_text(to, e->rows[row].name);
        den_buf_puts(to, " |");
        for (size_t sample = 0; sample < e->sample_count; sample++)
            put_spread(to, den_experiment_spread(e, state->results, row, sample, m),
                       digits_of(e, m));
        den_buf_puts(to, "\n");
    }
}

/* ---- comparisons ---- */

static void put_images(struct den_buf *to, int64_t samples)
{
    if (samples == 0)
        den_buf_puts(to, "all images");
    else
        den_buf_printf(to, "%" PRId64 " image%s", samples, samples == 1 ? "" : "s");
}

/* One sentence; false when there is nothing to compare yet. */
static bool put_comparison(struct den_buf *to, const struct den_experiment_state *state,
                           size_t row, size_t sample, size_t m)
{
    const struct den_experiment *e = state->experiment;
    struct den_spread s = den_experiment_difference(e, state->results, row, sample, m);
    int digits = digits_of(e, m);
    const char *unit = unit_of(e, m);
    if (s.n == 0)
        return false;
    den_buf_puts(to, "- ");
    put_text(to, e->rows[row].name);
    den_buf_puts(to, ", ");
    put_images(to, e->samples[sample]);
    den_buf_printf(to, ": %s is %.*f%s%s %s than that of ", e->metrics[m], digits,
                   fabs(s.mean), unit[0] != '\0' ? " " : "", unit,
                   s.mean < 0 ? "lower" : "higher");
    put_text(to, e->rows[0].name);
    if (s.n == 1)
        den_buf_puts(to, "; one seed says nothing about chance.\n");
    else if (fabs(s.mean) > 2 * s.sem)
        den_buf_printf(to, " (SEM %.*f, %zu seeds), which exceeds 2 SEM.\n", digits,
                       s.sem, s.n);
    else
        den_buf_printf(to,
                       " (SEM %.*f, %zu seeds), which does not exceed 2 SEM: no "
                       "difference is shown.\n",
                       digits, s.sem, s.n);
    return true;
}

static void put_comparisons(struct den_buf *to, const struct den_experiment_state *state)
{
    const struct den_experiment *e = state->experiment;
    size_t count = 0;
    if (e->row_count < 2)
        return;
    den_buf_puts(to, "\n## Compared with ");
    put_text(to, e->rows[0].name);
    den_buf_puts(to, "\n\nDifferences are taken seed by seed, between trainings on the "
                     "same images in the same order.\n\n");
    for (size_t m = 0; m < e->metric_count; m++)
        for (size_t row = 1; row < e->row_count; row++)
            for (size_t sample = 0; sample < e->sample_count; sample++)
                count += put_comparison(to, state, row, sample, m);
    if (count == 0)
        den_buf_puts(to, "Nothing can be compared yet.\n");
    if (count > 0 && e->seed_count > 1)
        den_buf_printf(to,
                       "\nIf two rows are equal, their difference over %zu seeds exceeds "
                       "2 SEM by chance in %.0f of 100 cases (Student's t); %zu "
                       "comparison%s here.\n",
                       e->seed_count, 100 * den_student_two_sided(2, e->seed_count - 1),
                       count, count == 1 ? " is" : "s are");
}

static void put_seconds(struct den_buf *to, const struct den_experiment_state *state)
{
    const struct den_experiment *e = state->experiment;
    den_buf_puts(to, "\n## Seconds of training per cell\n\n");
    put_head(to, e);
    for (size_t row = 0; row < e->row_count; row++) {
        den_buf_puts(to, "| ");
        put_text(to, e->rows[row].name);
        den_buf_puts(to, " |");
        for (size_t sample = 0; sample < e->sample_count; sample++)
            put_spread(to, den_experiment_seconds(e, state->results, row, sample), 1);
        den_buf_puts(to, "\n");
    }
}

static void put_failures(struct den_buf *to, const struct den_experiment_state *state)
{
    const struct den_experiment *e = state->experiment;
    bool first = true;
    for (size_t i = 0; i < den_experiment_cells(e); i++) {
        struct den_experiment_place p = den_experiment_place(e, i);
        if (state->results[i].state != DEN_CELL_DIVERGED)
            continue;
        den_buf_puts(to, first ? "\n## Cells that diverged\n\n- " : "- ");
        first = false;
        put_text(to, e->rows[p.row].name);
        den_buf_puts(to, ", ");
        put_images(to, e->samples[p.sample]);
        den_buf_printf(to, ", seed %" PRIu64 ": ", e->seeds[p.seed]);
        put_text(to, state->results[i].why);
        den_buf_puts(to, "\n");
    }
}

void den_experiment_markdown(const struct den_experiment_report *report,
                             struct den_buf *to)
{
    const struct den_experiment_state *state = report->state;
    const struct den_experiment *e = state->experiment;
    struct den_train_config config;
    struct den_err none = DEN_ERR_INIT;
    den_buf_printf(to, "# Experiment %s\n\n%zu of %zu cells are done (the job is %s). ",
                   report->job->id, state->done, den_experiment_cells(e),
                   den_job_state_name(report->job->state));
    double left = den_experiment_left(e, state->results);
    bool open = state->done < den_experiment_cells(e) && isfinite(left);
    if (open && left < 120)
        den_buf_printf(to, "About %.0f s of training are left. ", left);
    else if (open)
        den_buf_printf(to, "About %.0f minutes of training are left. ", left / 60);
    den_buf_printf(to, "Trained on %s, preset %s", report->job->dataset, e->preset);
    if (den_experiment_config(e, 0, 0, &config, &none))
        den_buf_printf(to, ", %" PRId64 " steps each", config.iterations);
    den_buf_puts(to, "; tested on images that no training has seen (");
    put_text(to, e->test_dataset);
    for (size_t i = 0; i < e->test_scene_count; i++) {
        den_buf_puts(to, i > 0 ? ", " : "");
        put_text(to, e->test_scenes[i]);
    }
    den_buf_puts(to,
                 "). Columns: noisy images to train on. Values: mean over test images, "
                 "then mean +- standard error (SEM) over the number of seeds in "
                 "brackets.\n");
    for (size_t m = 0; m < e->metric_count; m++)
        put_metric(to, state, m);
    put_comparisons(to, state);
    put_seconds(to, state);
    put_failures(to, state);
}
