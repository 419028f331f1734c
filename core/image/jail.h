#ifndef DEN_JAIL_H
#define DEN_JAIL_H

/* The decoder jail: image files from strangers are parsed in a process of their own that
 * can open no file, reach no network, start no process, map no code and use only so much
 * memory and time.  What breaks libpng or libtiff there breaks one file's decoder.
 *
 * While the jail is up, den_reader_open and den_rewriter_open hand their descriptors to
 * such a process, one per open file, and nobody else in the program knows.  What comes
 * back is checked as if the file itself had written it.  (den_writer_* makes files of our
 * own pixels and stays in process.)
 *
 * Three walls, each of which holds alone: Landlock takes every path away, seccomp kills
 * at any system call that decoding does not need, rlimits bound memory, time and output.
 * Needs Linux 5.13, no privileges. */

#include <stdbool.h>
#include <stdint.h>

#include "image.h"

struct den_jail_options {
    uint32_t seconds;      /* one request - open, a page - may take; 0 = 60.  Rewriting
                              gets a second per 16 MiB of the file on top */
    uint64_t memory_bytes; /* of a decoder's own, beside one page in shared memory;
                              0 = 512 MiB */
};

/* Once per process, before it starts threads or opens anything: forks the small process
 * that later forks the decoders.  Proves the jail on the spot: one decoder reads a tiny
 * image, another tries to open a folder and must die of it.  DEN_E_UNSUPPORTED when this
 * system cannot do it, DEN_E_IO when the system refuses a process. */
bool den_jail_start(const struct den_jail_options *options,
                    struct den_err *err) DEN_CHECKED;
/* Ends all decoders; no reader or rewriter may be open.  Without it, they end with the
 * process, however it ends. */
void den_jail_stop(void);

/* Why decoders were stopped, since the start. */
enum den_jail_reason {
    DEN_JAIL_CALL,     /* a system call that decoding does not need */
    DEN_JAIL_TIME,     /* out of time */
    DEN_JAIL_KILLED,   /* by the system, maybe for lack of memory */
    DEN_JAIL_CRASH,    /* any other signal or end */
    DEN_JAIL_NONSENSE, /* its answers made no sense */
    DEN_JAIL_REASONS
};
uint64_t den_jail_refusals(enum den_jail_reason reason);
/* false: the process that forks decoders is gone, and no image can be read any more.
 * Without a jail: true. */
bool den_jail_stands(void);

/* For the two functions that open image files: the row that decodes fd in the jail, or
 * den_format_of_file(fd, err) while there is none. */
const struct den_format *den_jail_format(int fd, struct den_err *err);

#endif
