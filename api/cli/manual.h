#ifndef DEN_MANUAL_H
#define DEN_MANUAL_H

#include <stdio.h>

/* Commands and options as sections of a manual page, for man(7). */
void den_manual(FILE *to);

#endif
