#ifndef DEN_JAIL_PRIVATE_H
#define DEN_JAIL_PRIVATE_H

/* What the parts of the jail share.  Three processes take part:
 *
 *   daemon (jail.c, jail_session.c)   trusts nobody
 *     |  orders over a socket pair, one at a time
 *   nursery (jail_nursery.c)          one thread, no file, already without paths; forks
 *     |  fork                         and reaps, never sees a byte of an image
 *   decoder (jail_decoder.c)          one per open file, locked in (jail_lock.c)
 *
 * The daemon speaks with each decoder over a socket pair of their own; pixels lie in
 * shared memory.  All are one program, so that structs go over the sockets as they are.
 */

#include <stddef.h>
#include <sys/types.h>

#include "jail.h"

/* AddressSanitizer and ThreadSanitizer reserve terabytes of addresses, and need system
 * calls that decoding does not. */
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
#define DEN_JAIL_SANITIZED 1
#elif defined __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define DEN_JAIL_SANITIZED 1
#endif
#endif
#ifndef DEN_JAIL_SANITIZED
#define DEN_JAIL_SANITIZED 0
#endif

enum {
    DEN_JAIL_FDS = 3,        /* most descriptors of one message */
    DEN_JAIL_UNLOCKED = 117, /* exit status of a decoder that could not be locked in */
    DEN_JAIL_PROVENANCE = 1024,
};

/* ---- messages (jail_wire.c) ------------------------------------------------------- */

/* A whole message with its descriptors, or errno.  The descriptors stay the sender's. */
int den_jail_send(int socket, const void *data, size_t size, const int *fds,
                  size_t count);
/* 0 and at most `room` descriptors, which the caller closes; or errno.  EPIPE: the other
 * side is gone.  EBADMSG: not a message of this size and at most so many descriptors. */
int den_jail_receive(int socket, void *data, size_t size, int *fds, size_t room,
                     size_t *ret_count);
void den_jail_close_all(int *fds, size_t count);

/* ---- daemon to nursery ------------------------------------------------------------ */

/* Runs in a locked decoder instead of decoding, for proofs that the lock holds; its
 * result (0 to 99) is the exit status. */
typedef int (*den_jail_probe)(int input);

struct den_jail_order {
    bool end;             /* kill and reap pid; else start a decoder */
    pid_t pid;            /* to end */
    uint64_t memory;      /* limits of the decoder to start */
    uint64_t file_bytes;  /* largest file offset that it may write */
    uint32_t cpu_seconds; /* until more are granted */
    den_jail_probe probe; /* or NULL */
}; /* to start: with session socket, input and, when rewriting, output */

struct den_jail_report {
    int sys;             /* errno, 0 = done */
    pid_t pid;           /* of the decoder that was started */
    int status;          /* of the one that ended, as waitpid has it */
    uint64_t base_bytes; /* first report only: addresses that every decoder starts with */
    struct den_err why;  /* first report only: what could not be locked */
};

/* The nursery's whole life; does not return. */
_Noreturn void den_jail_nursery(int control, pid_t daemon);

/* jail.c: fds are borrowed.  pid in *ret; end it in any case. */
bool den_jail_spawn(const struct den_jail_order *order, const int *fds, size_t count,
                    pid_t *ret, struct den_err *err) DEN_CHECKED;
/* Kills the decoder if it lives; its status as of waitpid, -1 if it cannot be known. */
int den_jail_end(pid_t pid);
const struct den_jail_options *den_jail_settings(void);
uint64_t den_jail_base_bytes(void);
pid_t den_jail_nursery_pid(void); /* 0 while there is no jail */
/* Runs probe in a locked decoder to its end: *ret_status as of waitpid. */
bool den_jail_try(den_jail_probe probe, int input, uint32_t cpu_seconds, int *ret_status,
                  struct den_err *err) DEN_CHECKED;

/* ---- daemon to decoder ------------------------------------------------------------ */

enum den_jail_action {
    DEN_JAIL_OPEN,
    DEN_JAIL_READ,
    DEN_JAIL_REWRITE,
    DEN_JAIL_REPLACE,
    DEN_JAIL_COMPLETE,
};

struct den_jail_request {
    uint32_t number; /* the answer repeats it */
    enum den_jail_action action;
    uint32_t page;
    uint64_t file_bytes, page_bytes;
    struct den_image_limits limits;
    char provenance[DEN_JAIL_PROVENANCE];
}; /* the first that needs pixels comes with the shared memory of one page */

struct den_jail_answer {
    uint32_t number;
    uint32_t done; /* 1, or 0 and err says why */
    struct den_err err;
    struct den_image_info info; /* of open and rewrite */
};

/* A decoder's whole life: answers until the daemon hangs up. */
void den_jail_decode(int session, int input, int output);

/* The row that hands everything to a decoder (jail_session.c). */
extern const struct den_format den_jail_row;

/* ---- checking what a decoder says (jail_check.c) ---------------------------------- */

/* Whether info is one that a file of so many bytes could have under these limits, and
 * can be read without harm: texts end, numbers are in range. */
bool den_jail_check_info(const struct den_image_info *info, uint64_t file_bytes,
                         const struct den_image_limits *limits) DEN_CHECKED;
/* Whether err is an error that decoders report, with texts that may be shown. */
bool den_jail_check_err(const struct den_err *err) DEN_CHECKED;

/* ---- the lock (jail_lock.c) ------------------------------------------------------- */

/* For the nursery and all that it forks: no new privileges, no paths (Landlock), no core
 * dumps, no tracing; builds the system-call filter. */
bool den_jail_lock_nursery(struct den_err *err) DEN_CHECKED;
/* Landlock alone. */
bool den_jail_lock_paths(struct den_err *err) DEN_CHECKED;
/* For a decoder: rlimits and the filter; false when any of it is refused. */
bool den_jail_lock_decoder(const struct den_jail_order *order,
                           uint64_t base_bytes) DEN_CHECKED;

#endif
