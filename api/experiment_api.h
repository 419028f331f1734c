#ifndef DEN_EXPERIMENT_API_H
#define DEN_EXPERIMENT_API_H

/* Experiments over HTTP: the grid that comes in, and the report as JSON, as Markdown and
 * as a picture. */

#include "experiment_cells.h"
#include "handlers.h"

/* A request's "grid", put together but not finished; den_experiment_free.  Errors have
 * JSON Pointers. */
bool den_in_experiment(const json_t *grid, struct den_experiment **ret,
                       struct den_err *err) DEN_CHECKED;

/* What a report is made of. */
struct den_experiment_report {
    const struct den_job_row *job;
    const struct den_experiment_state *state;
};

json_t *den_experiment_json(const struct den_experiment_report *report);
/* Tables, and one sentence for each comparison with the first row. */
void den_experiment_markdown(const struct den_experiment_report *report,
                             struct den_buf *to);
/* Crops in base64, NULL where there is none; row: of the first seed at the sample count
 * of den_experiment_shown. */
struct den_experiment_crops {
    char *noisy, *reference;
    char **row; /* [row_count] */
};
/* One SVG file that stands alone: crops of a test image side by side, and the first
 * metric over the number of training images. */
void den_experiment_svg(const struct den_experiment_report *report,
                        const struct den_experiment_crops *crops, struct den_buf *to);

/* The report in the form that the request's Accept header asks for: text/markdown,
 * image/svg+xml, else JSON.  Also while the experiment runs. */
bool den_experiment_reply(struct den_api *api, const struct den_request *request,
                          const struct den_job_row *job, struct den_reply *reply,
                          struct den_err *err) DEN_CHECKED;

#endif
