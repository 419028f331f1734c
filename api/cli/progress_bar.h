#ifndef DEN_PROGRESS_BAR_H
#define DEN_PROGRESS_BAR_H

/* One line on stderr that is redrawn, on a terminal only (cli->bar); elsewhere these do
 * nothing. */

#include "cli.h"

struct den_bar {
    double begun, first; /* when the first fraction came, and which it was */
    double drawn;        /* when it was drawn last */
    char tail[64];       /* shown at the end, e.g. the last validation */
};

/* fraction in [0, 1] of `steps` (0 = not known). */
void den_bar_show(const struct den_cli *cli, struct den_bar *bar, const char *label,
                  double fraction, double step, double steps);
/* A plain word instead of a bar: "queued, position 2". */
void den_bar_say(const struct den_cli *cli, const char *label, const char *words);
/* Bytes sent so far. */
void den_bar_bytes(const struct den_cli *cli, const char *label, double now,
                   double total);
/* Takes the line away; call it before anything else is written to the terminal. */
void den_bar_clear(const struct den_cli *cli);

#endif
