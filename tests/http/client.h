#ifndef TEST_CLIENT_H
#define TEST_CLIENT_H

/* A small HTTP client for tests: libcurl and jansson. */

#include <jansson.h>
#include <stddef.h>

struct answer {
    long status;
    char *body; /* NUL-terminated */
    size_t length;
    char *headers; /* as received */
    json_t *json;  /* of a JSON body, else NULL */
};

/* body NULL: none.  type: Content-Type, or NULL.  header: one more header line, or NULL.
 */
struct answer ask(const char *method, const char *base, const char *path,
                  const char *type, const void *body, size_t length, const char *header);
/* The same where the daemon may be gone: status 0 and a text in *ret_fault then. */
struct answer try_ask(const char *method, const char *base, const char *path,
                      const char *type, const void *body, size_t length,
                      const char *header, const char **ret_fault);
struct answer get(const char *base, const char *path);
struct answer post_json(const char *base, const char *path, const char *json);
struct answer post_file(const char *base, const char *path, const char *file);
void answer_free(struct answer *a);
/* The value of a response header into to[size], or "". */
const char *answer_header(const struct answer *a, const char *name, char *to,
                          size_t size);
/* A member by path, "progress.step"; NULL when it is not there. */
const json_t *at(const json_t *value, const char *path);
const char *text_at(const json_t *value, const char *path); /* "" when it is not there */
double number_at(const json_t *value, const char *path);    /* NaN when it is not there */

/* Uploads a file that must be accepted; its id into id[32]. */
void upload(const char *base, const char *file, char *id);
/* Waits until the job has ended and gives it; the test fails when `seconds` passed, or
 * five times that under a sanitizer. */
json_t *wait_job(const char *base, const char *id, double seconds);
/* The same where it must have succeeded. */
json_t *wait_success(const char *base, const char *id, double seconds);
/* POST /v1/jobs that must be accepted; the id into id[32]. */
void submit_job(const char *base, const char *json, char *id);
/* The same of a job that denoises an image; by: a member, "\"method\":\"median\"". */
void submit_denoise(const char *base, const char *image, const char *by, char *id);

#endif
