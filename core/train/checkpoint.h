#ifndef DEN_CHECKPOINT_H
#define DEN_CHECKPOINT_H

/* A run on disk, whole: one safetensors file with the step, what the run was made of
 * (method, seed, configuration, images), the best weights so far, and all that the method
 * keeps.  Written atomically; the two before the newest are kept as PATH.1 and PATH.2.
 * Each holds the SHA-256 of its numbers: a damaged one is passed over for the one before.
 *
 * Results go on to the same bytes with the same program, kind of processor, backend and
 * number of threads; on others the run goes on as well, but not bit for bit. */

#include "train_images.h"
#include "trainer.h"

#define DEN_CHECKPOINT_MAX ((size_t)8 << 30) /* bytes */

struct den_checkpoint {
    size_t step; /* steps done */
    bool has_best;
    double best_psnr;
    size_t best_step;
    char machine[96]; /* den_backend_machine of who wrote it */
};

/* best: the weights of best_step; NULL when there is no validation. */
bool den_checkpoint_save(const struct den_train_job *job,
                         const struct den_train_images *images,
                         const struct den_method *method, void *method_state,
                         struct den_params *best, const struct den_checkpoint *state,
                         struct den_err *err) DEN_CHECKED;
/* The newest that is whole and of this run.  false: there is none, and err is about the
 * newest; the method's state and best may then hold anything and must be made afresh. */
bool den_checkpoint_load(const struct den_train_job *job,
                         const struct den_train_images *images,
                         const struct den_method *method, void *method_state,
                         struct den_params *best, struct den_checkpoint *ret,
                         struct den_err *err) DEN_CHECKED;
bool den_checkpoint_exists(const char *path); /* any of the three */
bool den_checkpoint_remove(const char *path, struct den_err *err) DEN_CHECKED;

#endif
