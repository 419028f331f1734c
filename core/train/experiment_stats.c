/* What the cells of an experiment say together. */

#include "experiment.h"

#include <math.h>

const char *den_cell_state_name(enum den_cell_state state)
{
    static const char *const names[] = {[DEN_CELL_OPEN] = "open",
                                        [DEN_CELL_DONE] = "done",
                                        [DEN_CELL_DIVERGED] = "diverged"};
    return names[state];
}

struct den_spread den_spread_of(const double *values, size_t count)
{
    struct den_spread s = {.mean = (double)NAN, .sd = (double)NAN, .sem = (double)NAN};
    double sum = 0, squares = 0;
    for (size_t i = 0; i < count; i++)
        if (isfinite(values[i])) {
            sum += values[i];
            s.n++;
        }
    if (s.n == 0)
        return s;
    s.mean = sum / (double)s.n;
    if (s.n == 1)
        return s;
    for (size_t i = 0; i < count; i++)
        if (isfinite(values[i]))
            squares += (values[i] - s.mean) * (values[i] - s.mean);
    s.sd = sqrt(squares / (double)(s.n - 1));
    s.sem = s.sd / sqrt((double)s.n);
    return s;
}

static const struct den_experiment_result *
result_at(const struct den_experiment *e, const struct den_experiment_result *results,
          size_t row, size_t sample, size_t seed)
{
    struct den_experiment_place place = {.row = row, .sample = sample, .seed = seed};
    return &results[den_experiment_cell(e, place)];
}

static double value_at(const struct den_experiment *e,
                       const struct den_experiment_result *results, size_t row,
                       size_t sample, size_t seed, size_t metric)
{
    const struct den_experiment_result *r = result_at(e, results, row, sample, seed);
    return r->state == DEN_CELL_DONE ? r->values[metric] : (double)NAN;
}

struct den_spread den_experiment_spread(const struct den_experiment *e,
                                        const struct den_experiment_result *results,
                                        size_t row, size_t sample, size_t metric)
{
    double values[DEN_EXPERIMENT_SEEDS];
    for (size_t seed = 0; seed < e->seed_count; seed++)
        values[seed] = value_at(e, results, row, sample, seed, metric);
    return den_spread_of(values, e->seed_count);
}

struct den_spread den_experiment_difference(const struct den_experiment *e,
                                            const struct den_experiment_result *results,
                                            size_t row, size_t sample, size_t metric)
{
    double values[DEN_EXPERIMENT_SEEDS];
    for (size_t seed = 0; seed < e->seed_count; seed++)
        values[seed] = value_at(e, results, row, sample, seed, metric) -
                       value_at(e, results, 0, sample, seed, metric);
    return den_spread_of(values, e->seed_count);
}

struct den_spread den_experiment_seconds(const struct den_experiment *e,
                                         const struct den_experiment_result *results,
                                         size_t row, size_t sample)
{
    double values[DEN_EXPERIMENT_SEEDS];
    for (size_t seed = 0; seed < e->seed_count; seed++) {
        const struct den_experiment_result *r = result_at(e, results, row, sample, seed);
        values[seed] = r->state == DEN_CELL_DONE ? r->seconds : (double)NAN;
    }
    return den_spread_of(values, e->seed_count);
}

double den_experiment_images(const struct den_experiment *e,
                             const struct den_experiment_result *results, size_t sample)
{
    double sum = 0;
    size_t n = 0;
    for (size_t seed = 0; seed < e->seed_count; seed++)
        for (size_t row = 0; row < e->row_count; row++) {
            const struct den_experiment_result *r =
                result_at(e, results, row, sample, seed);
            if (r->state != DEN_CELL_DONE)
                continue;
            sum += (double)r->images;
            n++;
        }
    return n > 0 ? sum / (double)n : 0;
}

/* Mean seconds of the cells of one row, or of all: row SIZE_MAX. */
static double mean_seconds(const struct den_experiment *e,
                           const struct den_experiment_result *results, size_t row)
{
    double sum = 0;
    size_t n = 0;
    for (size_t i = 0; i < den_experiment_cells(e); i++)
        if (results[i].state == DEN_CELL_DONE && isfinite(results[i].seconds) &&
            (row == SIZE_MAX || den_experiment_place(e, i).row == row)) {
            sum += results[i].seconds;
            n++;
        }
    return n > 0 ? sum / (double)n : (double)NAN;
}

double den_experiment_left(const struct den_experiment *e,
                           const struct den_experiment_result *results)
{
    double left = 0, usual = mean_seconds(e, results, SIZE_MAX);
    for (size_t row = 0; row < e->row_count; row++) {
        double seconds = mean_seconds(e, results, row);
        for (size_t i = row; i < den_experiment_cells(e); i += e->row_count)
            if (results[i].state == DEN_CELL_OPEN)
                left += isfinite(seconds) ? seconds : usual;
    }
    return left;
}

/* With theta = atan(t / sqrt(df)), A(t) = P(|T| < t) is
 *     df = 1       2/pi theta
 *     df odd       2/pi (theta + sin cos (1 + 2/3 cos^2 + 2/3 4/5 cos^4 + ...))
 *     df even      sin (1 + 1/2 cos^2 + 1/2 3/4 cos^4 + ...)
 * with the last power of cos being df - 3 and df - 2. */
double den_student_two_sided(double t, size_t df)
{
    const double pi = 3.14159265358979323846;
    double theta = atan(t / sqrt((double)df)), c = cos(theta), s = sin(theta);
    bool odd = df % 2 == 1;
    double term = 1, sum = 1, k = odd ? 2 : 1;
    for (size_t power = odd ? 5 : 4; power <= df; power += 2, k += 2) {
        term *= k / (k + 1) * c * c;
        sum += term;
    }
    double within = !odd      ? s * sum
                    : df == 1 ? 2 / pi * theta
                              : 2 / pi * (theta + s * c * sum);
    return 1 - within;
}
