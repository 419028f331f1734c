#ifndef DEN_EXPERIMENT_H
#define DEN_EXPERIMENT_H

/* A grid of trainings: rows (what differs) x sample counts x seeds.  Every cell is one
 * training of equally many steps; cells of one sample count and seed train on the same
 * images in the same order, so that rows may be compared in pairs.
 *
 * An experiment is built from entries (key, value), in the order of a file:
 *     preset NAME, common.KEY VALUE     for all rows
 *     row NAME                          starts a row
 *     method NAME, set.KEY VALUE        of the row started last
 *     sample N (0 = all), seed N, filter NAME, metric NAME, test_scene NAME,
 *     test_dataset ID, fit_samples true, keep_models true
 *
 * Errors name the place: field and the start of text are "rows[2].set.lambda_ssm". */

#include "buf.h"
#include "train_config.h"

#define DEN_EXPERIMENT_CELLS 1000
#define DEN_EXPERIMENT_NAME 41       /* bytes of a row's name with its NUL */
#define DEN_EXPERIMENT_COUNTS 32     /* sample counts; test scenes */
#define DEN_EXPERIMENT_SEEDS 100     /* seeds */
#define DEN_EXPERIMENT_METRICS 32    /* metrics; filters */
#define DEN_EXPERIMENT_SETTINGS 2048 /* bytes of "key=value\n" lines */
#define DEN_EXPERIMENT_TEXT ((size_t)4 << 20)

struct den_experiment_row {
    char name[DEN_EXPERIMENT_NAME];
    char method[32];
    char set[DEN_EXPERIMENT_SETTINGS]; /* "key=value\n" lines */
};

struct den_experiment {
    char preset[32];
    char common[DEN_EXPERIMENT_SETTINGS]; /* settings of all rows */
    struct den_experiment_row *rows;
    size_t row_count, row_room;
    int64_t samples[DEN_EXPERIMENT_COUNTS]; /* noisy images to train on; 0 = all */
    size_t sample_count;
    uint64_t seeds[DEN_EXPERIMENT_SEEDS];
    size_t seed_count;
    char filters[DEN_EXPERIMENT_METRICS][32], metrics[DEN_EXPERIMENT_METRICS][32];
    size_t filter_count, metric_count;
    /* What is kept for the test; the names mean something to the owner of the images. */
    char test_scenes[DEN_EXPERIMENT_COUNTS][256], test_dataset[32];
    size_t test_scene_count;
    bool keep_models; /* each cell's model stays */
    bool fit_samples; /* counts above what there is are left out instead of refused */
};

bool den_experiment_new(struct den_experiment **ret, struct den_err *err) DEN_CHECKED;
void den_experiment_free(struct den_experiment *experiment); /* NULL is fine */
/* DEN_E_INVALID: unknown key, setting or name, a value that is not allowed, a name or
 * number given twice, too many of something. */
bool den_experiment_put(struct den_experiment *experiment, const char *key,
                        const char *value, struct den_err *err) DEN_CHECKED;
/* Once all is put: fills in what was left out (preset cpu, the preset's method, all
 * images, seeds 1 to 3, all filters, the five usual metrics) and holds the values against
 * each other. */
bool den_experiment_finish(struct den_experiment *experiment,
                           struct den_err *err) DEN_CHECKED;
/* Sample counts from `available` on go out, or are refused unless fit_samples; at least
 * one stays. */
bool den_experiment_fit(struct den_experiment *experiment, size_t available,
                        struct den_err *err) DEN_CHECKED;
/* As "key value\n" lines, and back: what is read is what was written. */
void den_experiment_write(const struct den_experiment *experiment, struct den_buf *to);
bool den_experiment_read(const char *text, struct den_experiment **ret,
                         struct den_err *err) DEN_CHECKED;

/* ---- cells ---- */
/* The order of running: all rows of the first seed and sample count come first, so that
 * early results compare already. */
struct den_experiment_place {
    size_t row, sample, seed; /* indices */
};
size_t den_experiment_cells(const struct den_experiment *experiment);
struct den_experiment_place den_experiment_place(const struct den_experiment *experiment,
                                                 size_t cell);
size_t den_experiment_cell(const struct den_experiment *experiment,
                           struct den_experiment_place place);
/* The settings of a cell; it may come from a file of an older program. */
bool den_experiment_config(const struct den_experiment *experiment, size_t row,
                           size_t sample, struct den_train_config *ret,
                           struct den_err *err) DEN_CHECKED;
/* "all" or the number. */
void den_experiment_sample_name(int64_t samples, char *to, size_t size);

/* ---- statistics ---- */
enum den_cell_state { DEN_CELL_OPEN, DEN_CELL_DONE, DEN_CELL_DIVERGED };
const char *den_cell_state_name(enum den_cell_state state); /* "open", ... */

struct den_experiment_result { /* of one cell */
    enum den_cell_state state;
    double seconds;                        /* of training */
    size_t images;                         /* noisy images trained on */
    double values[DEN_EXPERIMENT_METRICS]; /* mean over test images, in the order of
                                              metrics; NaN where there is none */
    char why[400];                         /* what went wrong */
};

/* Mean, standard deviation (n - 1) and standard error of the mean (sd / sqrt n) over
 * seeds; only finite values count.  NaN where n is too small: mean 1, sd and sem 2. */
struct den_spread {
    double mean, sd, sem;
    size_t n;
};
struct den_spread den_spread_of(const double *values, size_t count);

/* results: [den_experiment_cells]. */
struct den_spread den_experiment_spread(const struct den_experiment *experiment,
                                        const struct den_experiment_result *results,
                                        size_t row, size_t sample, size_t metric);
/* Of value(row) - value(first row), seed by seed: what both rows share, such as the
 * images that a seed draws, drops out. */
struct den_spread den_experiment_difference(const struct den_experiment *experiment,
                                            const struct den_experiment_result *results,
                                            size_t row, size_t sample, size_t metric);
struct den_spread den_experiment_seconds(const struct den_experiment *experiment,
                                         const struct den_experiment_result *results,
                                         size_t row, size_t sample);
/* Noisy images that the cells of this sample count were trained on: the mean over the
 * cells that are done, 0 when none is. */
double den_experiment_images(const struct den_experiment *experiment,
                             const struct den_experiment_result *results, size_t sample);
/* Seconds that the open cells will take, as those of their row have taken, else as all
 * have; NaN when none is done. */
double den_experiment_left(const struct den_experiment *experiment,
                           const struct den_experiment_result *results);
/* Probability that |T| > t for Student's t with df > 0 degrees of freedom, t >= 0
 * [Abramowitz and Stegun 1964, 26.7.3 and 26.7.4]. */
double den_student_two_sided(double t, size_t df);

#endif
