#ifndef DEN_EXPERIMENT_REPORT_H
#define DEN_EXPERIMENT_REPORT_H

/* What an experiment has found, as the server writes it. */

#include "cli.h"

/* To stdout: Markdown, with --json JSON. */
bool den_experiment_print(struct den_cli *cli, const char *job,
                          struct den_err *err) DEN_CHECKED;
/* The SVG picture into a file, which is there whole or not at all; "-" is stdout. */
bool den_experiment_picture(struct den_cli *cli, const char *job, const char *file,
                            struct den_err *err) DEN_CHECKED;

#endif
