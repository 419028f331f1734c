#include "err.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "str.h"

/* Macros of these names are for analyzers of the callers. */
#undef den_err_set
#undef den_err_field
#undef den_err_limit
#undef den_err_sys

static const char *const names[DEN_CODES] = {
    [DEN_OK] = "ok",
    [DEN_E_MALFORMED] = "malformed",
    [DEN_E_INVALID] = "invalid",
    [DEN_E_UNPROCESSABLE] = "unprocessable",
    [DEN_E_UNSUPPORTED] = "unsupported",
    [DEN_E_UNAUTHORIZED] = "unauthorized",
    [DEN_E_FORBIDDEN] = "forbidden",
    [DEN_E_NOT_FOUND] = "not_found",
    [DEN_E_CONFLICT] = "conflict",
    [DEN_E_PRECONDITION] = "precondition_failed",
    [DEN_E_CHECKSUM] = "checksum_mismatch",
    [DEN_E_TOO_LARGE] = "too_large",
    [DEN_E_BUSY] = "busy",
    [DEN_E_DRAINING] = "draining",
    [DEN_E_DISK_FULL] = "disk_full",
    [DEN_E_NO_MEMORY] = "no_memory",
    [DEN_E_IO] = "io",
    [DEN_E_CANCELLED] = "cancelled",
    [DEN_E_DIVERGED] = "diverged",
    [DEN_E_INTERNAL] = "internal",
};

const char *den_code_name(enum den_code code)
{
    if ((unsigned)code >= DEN_CODES)
        return "unknown";
    return names[code];
}

/* The error that is to be filled, or NULL when nobody listens or one is there already. */
static struct den_err *fresh(struct den_err *err)
{
    return err != NULL && err->code == DEN_OK ? err : NULL;
}

static void fill(struct den_err *err, enum den_code code, const char *format,
                 va_list args) __attribute__((format(printf, 3, 0)));

static void fill(struct den_err *err, enum den_code code, const char *format,
                 va_list args)
{
    assert(code != DEN_OK && code < DEN_CODES);
    *err = DEN_ERR_INIT;
    err->code = code;
    vsnprintf(err->text, sizeof err->text, format, args);
    /* The text goes out as JSON, where half a character would spoil the whole reply. */
    den_utf8_trim(err->text);
}

bool den_err_set(struct den_err *err, enum den_code code, const char *format, ...)
{
    err = fresh(err);
    if (err == NULL)
        return false;
    va_list args;
    va_start(args, format);
    fill(err, code, format, args);
    va_end(args);
    return false;
}

bool den_err_field(struct den_err *err, enum den_code code, const char *field,
                   const char *format, ...)
{
    err = fresh(err);
    if (err == NULL)
        return false;
    va_list args;
    va_start(args, format);
    fill(err, code, format, args);
    va_end(args);
    den_str_copy(err->field, sizeof err->field, field);
    return false;
}

bool den_err_limit(struct den_err *err, enum den_code code, int64_t limit, int64_t actual,
                   const char *format, ...)
{
    err = fresh(err);
    if (err == NULL)
        return false;
    va_list args;
    va_start(args, format);
    fill(err, code, format, args);
    va_end(args);
    err->limit = limit;
    err->actual = actual;
    return false;
}

static enum den_code code_of_errno(int sys)
{
    switch (sys) {
    case ENOSPC:
    case EDQUOT:
        return DEN_E_DISK_FULL;
    case ENOMEM:
        return DEN_E_NO_MEMORY;
    case ENOENT:
        return DEN_E_NOT_FOUND;
    default:
        return DEN_E_IO;
    }
}

bool den_err_sys(struct den_err *err, int sys, const char *format, ...)
{
    err = fresh(err);
    if (err == NULL)
        return false;
    va_list args;
    va_start(args, format);
    fill(err, code_of_errno(sys), format, args);
    va_end(args);
    err->sys = sys;
    char reason[128];
    size_t used = strlen(err->text);
    /* GNU strerror_r: the result may or may not be in the buffer. */
    den_str_format(err->text + used, sizeof err->text - used, ": %s",
                   strerror_r(sys, reason, sizeof reason));
    return false;
}
