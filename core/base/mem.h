#ifndef DEN_MEM_H
#define DEN_MEM_H

/* All heap memory goes through here: count * size is checked for overflow, live bytes are
 * counted, a limit can be set, and tests can make the n-th allocation fail.  Thread-safe.
 */

#include <stddef.h>

#include "err.h"

/* Zeroed memory for count objects of size bytes; NULL when it cannot be had.  count 0
 * gives a valid pointer.  Free with den_free. */
void *den_calloc(size_t count, size_t size);
/* As realloc with a checked product; the new part is not zeroed.  On NULL the old block
 * stays. */
void *den_realloc(void *old, size_t count, size_t size);
/* Zeroed, aligned to 64 bytes (a cache line and an AVX-512 register).  Free with
 * den_free. */
void *den_calloc64(size_t count, size_t size);
void den_free(void *pointer); /* NULL is fine */
char *den_strdup(const char *text);

/* As den_calloc, but a failure is told in err with the number of bytes asked for. */
void *den_new(size_t count, size_t size, struct den_err *err);

/* For programs with many threads that run for months: what is freed goes back to the
 * system soon, instead of lying in an arena for each thread.  Once, before the first
 * thread. */
void den_mem_give_back(void);

size_t den_mem_live(void); /* bytes held now */
size_t den_mem_peak(void); /* most bytes held since the start or the last reset */
void den_mem_reset_peak(void);
void den_mem_set_limit(size_t bytes); /* 0 = none (default) */
/* Test seam: the n-th allocation from now fails once (1 = the next); 0 = never. */
void den_mem_fail_at(size_t n);

/* *ret = a * b; false on overflow. */
bool den_mul_size(size_t a, size_t b, size_t *ret) DEN_CHECKED;

#endif
