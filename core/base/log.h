#ifndef DEN_LOG_H
#define DEN_LOG_H

/* One line per event on stderr: `time=... level=... event=... key=value ...`, or the same
 * as a JSON object.  format is printf text of ` key=value` pairs; values from outside go
 * through %s quoted by den_log_quote.  Core logs at debug only.  Thread-safe, one
 * write(2) per line. */

#include <stdbool.h>
#include <stddef.h>

enum den_level { DEN_DEBUG, DEN_INFO, DEN_WARN, DEN_ERROR };
enum den_log_format {
    DEN_LOGFMT,
    DEN_LOG_JSON, /* time, level and event are texts; other values that look like a number
                     are one, save ids and hashes */
};

void den_log_set_level(enum den_level level);        /* default DEN_INFO */
bool den_log_shows(enum den_level level);            /* would den_log write anything? */
void den_log_set_format(enum den_log_format format); /* default DEN_LOGFMT */
/* What this thread works on, "request" or "job": from now on its lines have the pair, if
 * they do not name the key themselves.  Both texts stay the caller's and must live until
 * the next call; value NULL: it works on nothing. */
void den_log_context(const char *key, const char *value);
void den_log(enum den_level level, const char *event, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Text as a quoted value with control characters, quotes and backslashes escaped, cut at
 * size. */
const char *den_log_quote(const char *text, char *to, size_t size);

#endif
