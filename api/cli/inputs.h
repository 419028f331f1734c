#ifndef DEN_INPUTS_H
#define DEN_INPUTS_H

/* The images that words of a command line name: files, folders and patterns. */

#include <stddef.h>

#include "err.h"

struct den_input {
    char *path;
    char *below; /* its folder as seen from the folder that was named; "" = none */
};

struct den_inputs {
    struct den_input *list;
    size_t count, capacity;
};

/* A file is itself; a folder is the images in it, with `below` also those in its folders,
 * but for results (_denoised); a word with * ? or [ that is no file is a pattern of
 * glob(7).  DEN_E_NOT_FOUND for a folder without images and a pattern without a match.
 * Release in any case. */
bool den_inputs_find(struct den_inputs *inputs, const char *const *words, size_t count,
                     bool below, struct den_err *err) DEN_CHECKED;
void den_inputs_release(struct den_inputs *inputs);

#endif
