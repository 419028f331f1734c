#ifndef TEST_STORY_H
#define TEST_STORY_H

/* The beginning of most stories: a daemon with a few uploaded pairs and data sets. */

#include "client.h"
#include "daemon.h"
#include "den_check.h"
#include "scene.h"

/* The smallest net that there is, trained for a moment. */
#define TINY "\"downs\":5,\"ngf\":4,\"ndf\":4,\"crop\":32,\"batch\":2"

struct story {
    struct daemon daemon;
    char files[64];                  /* folder with the images */
    char clean[4][32], noisy[4][32]; /* image ids of scenes 1..4 */
    char training[32], held_out[32]; /* data sets: scenes 1-3, scene 4 */
};

void story_start(struct story *s, const char *const *extra_args);
void story_end(struct story *s);
/* Submits a train job named `model`; its id into id[32]. */
void story_train(struct story *s, const char *model, unsigned iterations, char *id);
/* Trains to the end, which must be a success; members: of the job, "\"preset\":\"cpu\"".
 */
void story_train_with(struct story *s, const char *model, const char *members);
/* Denoises scene 4 to the end, likewise; by: "\"model\":\"m\"".  The job's id into
 * id[32]. */
void story_denoise(struct story *s, const char *by, char *id);
/* Both, likewise: two steps of training make "m", and "m" denoises. */
void story_train_and_denoise(struct story *s);

#endif
