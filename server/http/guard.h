#ifndef DEN_GUARD_H
#define DEN_GUARD_H

/* What is refused before anybody looks at what a request wants. */

#include <microhttpd.h>

#include "err.h"

/* Counts of what must be there once; zeroed at the start of a request. */
struct den_guard {
    unsigned hosts, lengths, codings;
    bool chunked; /* the last Transfer-Encoding was exactly that */
};
/* One header after the other, then once at the end.  Names and values are NUL-terminated
 * behind their length. */
bool den_guard_header(struct den_guard *guard, const char *key, size_t key_length,
                      const char *value, size_t value_length,
                      struct den_err *err) DEN_CHECKED;
bool den_guard_finish(const struct den_guard *guard, const char *version,
                      struct den_err *err) DEN_CHECKED;
/* All of it.  Refuses with DEN_E_MALFORMED what proxies and libmicrohttpd could read in
 * two ways. */
bool den_guard_framing(struct MHD_Connection *connection, const char *version,
                       const char *uri, struct den_err *err) DEN_CHECKED;
/* The request target alone: starts with '/', no tricks with dots, slashes, NUL. */
bool den_guard_uri(const char *uri, struct den_err *err) DEN_CHECKED;
/* Is this Host header a loopback name or one of `hosts`?  Ports are not looked at. */
bool den_guard_host(const char *host, const char *hosts);
/* Does the Origin header name the same host and port as Host? */
bool den_guard_origin(const char *origin, const char *host);

#endif
