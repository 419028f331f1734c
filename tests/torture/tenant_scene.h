#ifndef TEST_TENANT_SCENE_H
#define TEST_TENANT_SCENE_H

/* A server with two users: the first has one of everything, the second a little; and
 * tokens, good ones and others. */

#include "story.h"
#include "tenants.h"
#include "tokens.h"

#define MODEL "astrocytes"
#define NO_MODEL "ostrocytes" /* as long */
#define TUS "Tus-Resumable: 1.0.0"

/* The first user's jobs, one of each kind and state. */
enum { DENOISED, JUDGED, TRAINED, GRID, RUNNING, QUEUED, JOBS };

enum caller {
    OTHER,   /* the second user, with all that users may */
    CHIEF,   /* an administrator: of tokens, not of others' images */
    NOBODY,  /* without a token */
    GARBAGE, /* with what is none */
    ALMOST,  /* the owner's with one character changed */
    REVOKED, /* once the owner's */
    EXPIRED, /* the same */
    NARROW,  /* the owner's, without the scope that is needed */
    CALLERS
};
extern const char *const caller_names[CALLERS];

struct scene {
    struct story story; /* images, data sets and model of the first user, "local" */
    char jobs[JOBS][32], upload[32], token[32];      /* token: public id of the first's */
    char own_image[32], own_second[32], own_set[32]; /* of the second user, "bob" */
    char owner[BEARER_SIZE];                         /* header: the first user */
    char bearer[CALLERS][BEARER_SIZE];               /* NARROW: "" */
    char narrow[3][BEARER_SIZE]; /* without "read", "submit", "train" */
};

void scene_start(struct scene *scene);
void scene_end(struct scene *scene);

/* One question with a token's header line; json NULL: no body.  `more`: further header
 * lines, or NULL. */
struct told scene_ask(const struct scene *scene, const char *token, const char *method,
                      const char *path, const char *json, const char *more,
                      const char *asked);
/* The JSON of an answer that must be good. */
json_t *scene_json(const struct scene *scene, const char *token, const char *path);
/* Uploads a file of the story; the status must be this; the image's id into id[32]. */
void scene_upload(const struct scene *scene, const char *token, const char *file,
                  long status, char *id);
/* Submits a job that must succeed. */
void scene_run(const struct scene *scene, const char *token, const char *json, char *id);

#endif
