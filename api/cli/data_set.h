#ifndef DEN_DATA_SET_H
#define DEN_DATA_SET_H

/* From files named on the command line to a data set of the server. */

#include "cli.h"
#include "pairs_csv.h"

/* Rows for the option tables of commands that read a list of pairs. */
#define DEN_PAIRS_OPTIONS                                                                \
    {"where", 0, DEN_OPTION_VALUE, "REGEX", "only pairs whose id (else noisy) matches"}, \
        {"hold-out", 0, DEN_OPTION_VALUE, "FRACTION",                                    \
         "without the last FRACTION of the scenes (clean images), at least one"},        \
    {                                                                                    \
        "held-out", 0, DEN_OPTION_VALUE, "FRACTION", "only what --hold-out leaves out"   \
    }

/* The same for commands that take images with or without truth. */
#define DEN_DATA_OPTIONS                                                              \
    {"pairs", 0, DEN_OPTION_VALUE, "CSV",                                             \
     "image pairs: columns noisy and gt (or clean), paths seen from the file"},       \
        DEN_PAIRS_OPTIONS,                                                            \
        {"noisy", 0, DEN_OPTION_LIST, "FILE", "noisy images, with --clean"},          \
        {"clean", 0, DEN_OPTION_LIST, "FILE", "their clean images: as many, or one"}, \
        {"repeats", 0, DEN_OPTION_LIST, "FILE",                                       \
         "noisy images (or one stack) of ONE unmoving scene"},                        \
    {                                                                                 \
        "dataset", 0, DEN_OPTION_VALUE, "ID", "a data set that the server has"        \
    }

/* The pairs of a CSV file that DEN_PAIRS_OPTIONS choose. */
bool den_data_pairs(const struct den_args *args, const char *file, struct den_pairs *ret,
                    struct den_err *err) DEN_CHECKED;

#define DEN_DATA_ID 64

/* Uploads what the options name (each file once) and makes a data set; its id to
 * ret_id[DEN_DATA_ID]. */
bool den_data_set(struct den_cli *cli, const struct den_args *args, const char *name,
                  char *ret_id, struct den_err *err) DEN_CHECKED;

#endif
