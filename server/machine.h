#ifndef DEN_MACHINE_H
#define DEN_MACHINE_H

#include <stdint.h>

/* Bytes of memory of the machine, or what its control groups (version 2) leave to this
 * process, whichever is less: that of a container, and MemoryMax= of a service or of a
 * slice above it.  root: "" (another one in tests).  0 when nobody knows. */
uint64_t den_machine_memory(const char *root);

#endif
