#ifndef DEN_COMPLETION_H
#define DEN_COMPLETION_H

/* Shell scripts that complete the words of `denoise`, from its tables of commands and
 * options. */

#include <stdio.h>

void den_completion_bash(FILE *to);
void den_completion_zsh(FILE *to);
void den_completion_fish(FILE *to);

#endif
