#include "guard.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "log.h"
#include "str.h"

/* libmicrohttpd 0.9.75 accepts framing that another parser in front of it may read
 * differently: that is how requests are smuggled.  Everything here was seen to pass the
 * library; RFC 9110 and 9112 are the measure. */

static bool token_char(unsigned char c)
{
    return isalnum(c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool name_is(const char *key, const char *name)
{
    return strcasecmp(key, name) == 0;
}

/* "Transfer-Encodingchunked" is what the library makes of a folded header line, and
 * "Content-Length\t" of white space before the colon. */
static bool name_pretends(const char *key, const char *name)
{
    size_t length = strlen(name);
    return strncasecmp(key, name, length) == 0 && key[length] != '\0';
}

static bool refuse_header(const char *what, const char *key, struct den_err *err)
{
    char shown[64];
    return den_err_set(err, DEN_E_MALFORMED, "%s %s", what,
                       den_log_quote(key, shown, sizeof shown));
}

static bool check_name(const char *key, size_t length, struct den_err *err)
{
    for (size_t i = 0; i < length; i++)
        if (!token_char((unsigned char)key[i]))
            return refuse_header("a character is not allowed in the header name", key,
                                 err);
    if (length == 0 || name_pretends(key, "Transfer-Encoding") ||
        name_pretends(key, "Content-Length"))
        return refuse_header("there is no header", key, err);
    return true;
}

bool den_guard_header(struct den_guard *guard, const char *key, size_t key_length,
                      const char *value, size_t value_length, struct den_err *err)
{
    if (!check_name(key, key_length, err))
        return false;
    for (size_t i = 0; i < value_length; i++) {
        unsigned char c = (unsigned char)value[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return refuse_header("a control character is in the header", key, err);
    }
    guard->hosts += name_is(key, "Host");
    guard->lengths += name_is(key, "Content-Length");
    if (name_is(key, "Transfer-Encoding")) {
        guard->codings++;
        guard->chunked = value != NULL && strcasecmp(value, "chunked") == 0;
    }
    return true;
}

bool den_guard_finish(const struct den_guard *guard, const char *version,
                      struct den_err *err)
{
    bool one_one = strcmp(version, "HTTP/1.1") == 0;
    if (guard->hosts > 1 || (guard->hosts == 0 && one_one))
        return den_err_set(err, DEN_E_MALFORMED,
                           "there must be one Host header, there are %u", guard->hosts);
    if (guard->lengths > 1)
        return den_err_set(err, DEN_E_MALFORMED, "there are %u Content-Length headers",
                           guard->lengths);
    if (guard->codings > 0 && guard->lengths > 0)
        return den_err_set(err, DEN_E_MALFORMED,
                           "Content-Length and Transfer-Encoding exclude each other");
    return guard->codings == 0 || (guard->codings == 1 && one_one && guard->chunked) ||
           den_err_set(
               err, DEN_E_MALFORMED,
               "Transfer-Encoding must be exactly chunked, once, and with HTTP/1.1");
}

/* ---- the headers of a connection --------------------------------------------------- */

struct walk {
    struct den_guard guard;
    struct den_err *err;
    bool good;
};

static enum MHD_Result check_header(void *cls, enum MHD_ValueKind kind, const char *key,
                                    size_t key_length, const char *value,
                                    size_t value_length)
{
    (void)kind;
    struct walk *walk = cls;
    walk->good =
        den_guard_header(&walk->guard, key, key_length, value, value_length, walk->err);
    return walk->good ? MHD_YES : MHD_NO;
}

bool den_guard_framing(struct MHD_Connection *connection, const char *version,
                       const char *uri, struct den_err *err)
{
    struct walk walk = {.err = err, .good = true};
    MHD_get_connection_values_n(connection, MHD_HEADER_KIND, check_header, &walk);
    return walk.good && den_guard_finish(&walk.guard, version, err) &&
           den_guard_uri(uri, err);
}

/* ---- the request target ---------------------------------------------------------- */

static bool bad_uri(const char *why, struct den_err *err)
{
    return den_err_set(err, DEN_E_MALFORMED, "the request target %s", why);
}

/* Value of %XX at p, or -1. */
static int escaped(const char *p)
{
    static const char digits[] = "0123456789abcdef";
    if (p[0] != '%' || p[1] == '\0' || p[2] == '\0')
        return -1;
    const char *high = strchr(digits, tolower((unsigned char)p[1]));
    const char *low = strchr(digits, tolower((unsigned char)p[2]));
    return high == NULL || low == NULL ? -1
                                       : (int)(high - digits) * 16 + (int)(low - digits);
}

/* In the path an escaped dot, slash or backslash serves only to hide from a proxy's
 * rules.  In the query they are ordinary, as in ?name=a%2Fb. */
static bool check_escape(int value, bool in_path, struct den_err *err)
{
    if (value < 0)
        return bad_uri("has a '%' without two hexadecimal digits", err);
    if (value < 0x20 || value == 0x7f)
        return bad_uri("has an escaped control character", err);
    if (in_path && strchr("./\\", value) != NULL)
        return bad_uri("has an escaped dot, slash or backslash in the path", err);
    return true;
}

static bool dot_segment(const char *slash)
{
    size_t length = strcspn(slash + 1, "/?");
    return (length == 1 && slash[1] == '.') ||
           (length == 2 && slash[1] == '.' && slash[2] == '.');
}

bool den_guard_uri(const char *uri, struct den_err *err)
{
    if (uri == NULL || uri[0] != '/')
        return bad_uri("must start with '/'", err);
    bool in_path = true;
    for (const char *p = uri; *p != '\0'; p++) {
        unsigned char c = (unsigned char)*p;
        if (c <= 0x20 || c >= 0x7f || c == '\\' || c == '#')
            return bad_uri("has a character that must be percent-encoded", err);
        if (c == '?')
            in_path = false;
        if (c == '%' && !check_escape(escaped(p), in_path, err))
            return false;
        if (c == '/' && in_path && dot_segment(p))
            return bad_uri("has a '.' or '..' segment", err);
    }
    return true;
}

/* ---- who is meant, and who asks --------------------------------------------------- */

/* Length of the name in "name:port" or "[::1]:port". */
static size_t name_length(const char *host)
{
    if (host[0] == '[') {
        const char *end = strchr(host, ']');
        return end == NULL ? 0 : (size_t)(end - host) + 1;
    }
    return strcspn(host, ":");
}

static bool same(const char *a, size_t a_length, const char *b, size_t b_length)
{
    return a_length == b_length && strncasecmp(a, b, a_length) == 0;
}

/* 127.0.0.0/8 in the usual four numbers. */
static bool loopback_number(const char *host, size_t length)
{
    return length >= 9 && strncmp(host, "127.", 4) == 0 &&
           strspn(host, "0123456789.") == length;
}

/* A page of a foreign site can make its own name resolve to 127.0.0.1 (DNS rebinding),
 * but cannot change the Host header that the browser then sends. */
bool den_guard_host(const char *host, const char *hosts)
{
    size_t length = name_length(host);
    if (hosts == NULL || same(host, length, "localhost", 9) ||
        same(host, length, "[::1]", 5) || loopback_number(host, length))
        return true;
    while (*hosts != '\0') {
        size_t next = strcspn(hosts, " ");
        if (next > 0 && same(host, length, hosts, next))
            return true;
        hosts += next + (hosts[next] == ' ');
    }
    return false;
}

bool den_guard_origin(const char *origin, const char *host)
{
    const char *authority = strstr(origin, "://");
    return authority != NULL && strcasecmp(authority + 3, host) == 0;
}
