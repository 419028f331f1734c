#ifndef DEN_FOLLOW_H
#define DEN_FOLLOW_H

/* Waiting for jobs, and what they left behind. */

#include <jansson.h>

#include "cli.h"

/* Waits until the job has ended, whatever its end is; *ret_job is as GET answers it.  By
 * server-sent events; where they fail, by asking each second.  A server that goes down is
 * waited for, because it takes its jobs up again when it is back. */
bool den_follow(struct den_cli *cli, const char *id, json_t **ret_job,
                struct den_err *err) DEN_CHECKED;

/* Failed and cancelled jobs are errors with DEN_EXIT_JOB; a job that goes on is an error
 * of usage. */
bool den_job_succeeded(struct den_cli *cli, const json_t *job,
                       struct den_err *err) DEN_CHECKED;

/* POST /v1/jobs; tells on stderr what was queued.  Takes the request.  key: as of
 * den_client_post_once. */
bool den_job_add(struct den_cli *cli, json_t *request, const char *key, json_t **ret_job,
                 struct den_err *err) DEN_CHECKED;
/* The estimate instead, printed. */
bool den_job_estimate(struct den_cli *cli, json_t *request,
                      struct den_err *err) DEN_CHECKED;

/* The result of a succeeded job into a file.  where: NULL = this folder, a folder (also
 * one that ends with "/" and is made), a new file, or "-" for stdout.  A file that exists
 * is kept unless `force`.  Prints the path. */
bool den_job_fetch(struct den_cli *cli, const json_t *job, const char *where, bool force,
                   struct den_err *err) DEN_CHECKED;

/* The answer to GET href into a file, which is there whole or not at all; an older one is
 * replaced.  accept: the media type wanted, or NULL. */
bool den_download_file(struct den_cli *cli, const char *href, const char *accept,
                       const char *path, struct den_err *err) DEN_CHECKED;

/* A file that was written: its path, or {key: path} with --json. */
void den_print_path(const struct den_cli *cli, const char *key, const char *path);

/* One line of JSON on stdout. */
void den_print_json(const json_t *value);

#endif
