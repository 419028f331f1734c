#ifndef DEN_PROGRESS_H
#define DEN_PROGRESS_H

/* How long work reports and is stopped: tick is called at least once per batch or tile.
 */

#include <stddef.h>

enum den_verdict {
    DEN_GO_ON,
    DEN_CANCEL,  /* give up; nothing is kept: DEN_E_CANCELLED */
    DEN_SUSPEND, /* save a checkpoint if the work has one, and return: DEN_E_DRAINING */
};

struct den_progress {
    enum den_verdict (*tick)(void *context, size_t done, size_t total);
    void *context;
};

static inline enum den_verdict den_tick(const struct den_progress *progress, size_t done,
                                        size_t total)
{
    if (progress == NULL || progress->tick == NULL)
        return DEN_GO_ON;
    return progress->tick(progress->context, done, total);
}

#endif
