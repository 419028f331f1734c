#ifndef DEN_ERR_H
#define DEN_ERR_H

/* Errors: a value, not a global.  A function that can fail returns bool (true = done),
 * takes `struct den_err *err` last, and leaves its ret_ outputs untouched on failure.
 *
 * The FIRST error wins: once err->code is set, later den_err_* calls on it change
 * nothing, so a cleanup path may report freely.  err may be NULL everywhere; the text is
 * then lost. Texts are for the user: what was wrong, which value, what is allowed.  No
 * paths, no SQL.   */

#include <stdbool.h>
#include <stdint.h>

enum den_code {
    DEN_OK = 0,
    DEN_E_MALFORMED,     /* the request or file cannot be parsed at all */
    DEN_E_INVALID,       /* parsed, but a value is outside what is allowed */
    DEN_E_UNPROCESSABLE, /* a file or configuration that is understood but cannot be used
                          */
    DEN_E_UNSUPPORTED,   /* a format or feature that this program does not read */
    DEN_E_UNAUTHORIZED,  /* nobody knows who asks */
    DEN_E_FORBIDDEN,     /* who asks may not do this */
    DEN_E_NOT_FOUND,
    DEN_E_CONFLICT,     /* the object is in a state, or in use, that forbids this */
    DEN_E_PRECONDITION, /* another version of a protocol, or of an object, was meant */
    DEN_E_CHECKSUM,     /* bytes were damaged on their way */
    DEN_E_TOO_LARGE,    /* a limit on size was passed; limit and actual are set */
    DEN_E_BUSY,         /* a queue is full; try later */
    DEN_E_DRAINING,     /* the server is going down; try later */
    DEN_E_DISK_FULL,
    DEN_E_NO_MEMORY,
    DEN_E_IO,        /* sys holds errno */
    DEN_E_CANCELLED, /* somebody asked for the work to stop */
    DEN_E_DIVERGED,  /* a training run left the finite numbers */
    DEN_E_INTERNAL,  /* a bug of ours */
    DEN_CODES        /* how many there are */
};

struct den_err {
    enum den_code code;
    int sys;               /* errno, 0 if none */
    int retry_s;           /* try again after so many seconds; 0 = the usual */
    int64_t limit, actual; /* set with DEN_E_TOO_LARGE and limits; limit < 0 if not set */
    char field[96];        /* JSON Pointer or setting that was wrong, "" if none */
    char text[400];        /* one sentence for the user */
};

#define DEN_ERR_INIT ((struct den_err){.limit = -1, .actual = -1})

/* Stable snake_case name of a code, e.g. "too_large".  Never NULL. */
const char *den_code_name(enum den_code code);

/* All return false, so that `return den_err_set(...)` reads as failure. */
bool den_err_set(struct den_err *err, enum den_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* With the field (JSON Pointer or setting name) that is at fault. */
bool den_err_field(struct den_err *err, enum den_code code, const char *field,
                   const char *format, ...) __attribute__((format(printf, 4, 5)));
/* With a limit and the value that passed it. */
bool den_err_limit(struct den_err *err, enum den_code code, int64_t limit, int64_t actual,
                   const char *format, ...) __attribute__((format(printf, 5, 6)));
/* From errno: ENOSPC and EDQUOT become DEN_E_DISK_FULL, ENOMEM DEN_E_NO_MEMORY, ENOENT
 * DEN_E_NOT_FOUND, the rest DEN_E_IO.  The text gets ": " and strerror appended. */
bool den_err_sys(struct den_err *err, int sys, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#ifdef __clang_analyzer__
/* An analyzer does not look into err.c; without this it would follow every failure as if
 * it could be a success. */
static inline bool den_err_is_false(bool result)
{
    (void)result;
    return false;
}
#define den_err_set(...) den_err_is_false(den_err_set(__VA_ARGS__))
#define den_err_field(...) den_err_is_false(den_err_field(__VA_ARGS__))
#define den_err_limit(...) den_err_is_false(den_err_limit(__VA_ARGS__))
#define den_err_sys(...) den_err_is_false(den_err_sys(__VA_ARGS__))
#endif

#define DEN_CHECKED __attribute__((warn_unused_result))

#endif
