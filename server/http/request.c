#include <arpa/inet.h>
#include <ctype.h>
#include <nettle/base16.h>
#include <string.h>

#include "clock.h"
#include "http_private.h"
#include "log.h"
#include "mem.h"
#include "str.h"

/* Different ones, not secret ones: random bytes of this process, and a count.  A system
 * call for each request would be dear. */
static void fresh_id(struct den_http *http, char *to)
{
    unsigned char bytes[DEN_ID_SEED + 6];
    uint64_t count = atomic_fetch_add(&http->ids, 1);
    memcpy(bytes, http->id_seed, DEN_ID_SEED);
    for (size_t i = 0; i < 6; i++)
        bytes[DEN_ID_SEED + i] = (unsigned char)(count >> (40 - 8 * i));
    base16_encode_update(to, sizeof bytes, bytes);
    to[BASE16_ENCODE_LENGTH(sizeof bytes)] = '\0';
}

struct den_request *den_request_new(struct den_http *http, const char *uri)
{
    struct den_request *r = den_calloc(1, sizeof *r);
    if (r == NULL)
        return NULL;
    r->http = http;
    r->started = den_monotonic_s();
    r->err = DEN_ERR_INIT;
    r->upload.fd = -1;
    den_buf_init(&r->body, http->config.json_max);
    den_reply_init(&r->reply, r);
    fresh_id(http, r->id);
    r->uri = den_strdup(uri != NULL ? uri : "");
    char *mark = r->uri != NULL ? strchr(r->uri, '?') : NULL;
    if (mark != NULL) {
        r->query = den_strdup(mark + 1);
        *mark = '\0';
    }
    if (r->uri == NULL || (mark != NULL && r->query == NULL)) {
        den_request_free(r);
        return NULL;
    }
    return r;
}

void den_request_free(struct den_request *r)
{
    if (r == NULL)
        return;
    den_upload_drop(&r->upload);
    den_reply_reset(&r->reply);
    den_buf_release(&r->body);
    den_free(r->uri);
    den_free(r->query);
    den_free(r->params);
    den_free(r);
}

/* ---- who asks -----------------------------------------------------------------------
 */

/* Is word one of the words of list, which spaces separate? */
static bool listed(const char *list, const char *word)
{
    size_t length = strlen(word);
    while (*list != '\0') {
        size_t next = strcspn(list, " ");
        if (next == length && length > 0 && memcmp(list, word, length) == 0)
            return true;
        list += next + (list[next] == ' ');
    }
    return false;
}

/* A socket that listens on [::] shows IPv4 as ::ffff:a.b.c.d; it is the same client. */
static void write_v6(const struct in6_addr *address, char *to, socklen_t size)
{
    if (IN6_IS_ADDR_V4MAPPED(address))
        inet_ntop(AF_INET, address->s6_addr + 12, to, size);
    else
        inet_ntop(AF_INET6, address, to, size);
}

/* A proxy's X-Real-IP is believed when it is an address: it is the one header that nginx
 * replaces and never appends to. */
void den_request_read_client(struct den_request *r)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *from = info != NULL ? info->client_addr : NULL;
    const void *any_family = from;
    if (from != NULL && from->sa_family == AF_INET)
        inet_ntop(AF_INET, &((const struct sockaddr_in *)any_family)->sin_addr, r->client,
                  sizeof r->client);
    else if (from != NULL && from->sa_family == AF_INET6)
        write_v6(&((const struct sockaddr_in6 *)any_family)->sin6_addr, r->client,
                 sizeof r->client);
    if (r->http->config.proxies == NULL || !listed(r->http->config.proxies, r->client))
        return;
    unsigned char any[sizeof(struct in6_addr)];
    const char *real = den_request_header(r, "X-Real-IP");
    if (real != NULL && strlen(real) < sizeof r->client &&
        (inet_pton(AF_INET, real, any) == 1 || inet_pton(AF_INET6, real, any) == 1))
        den_str_copy(r->client, sizeof r->client, real);
}

const char *den_request_client(const struct den_request *r)
{
    return r->client;
}

void den_request_set_user(struct den_request *r, const char *owner, const char *token)
{
    den_str_copy(r->owner, sizeof r->owner, owner);
    den_str_copy(r->token, sizeof r->token, token);
}

const char *den_request_owner(const struct den_request *r)
{
    return r->owner;
}

const char *den_request_token(const struct den_request *r)
{
    return r->token;
}

/* ---- percent decoding -------------------------------------------------------------- */

static unsigned hex(char c)
{
    return isdigit((unsigned char)c) ? (unsigned)(c - '0')
                                     : (unsigned)(tolower((unsigned char)c) - 'a') + 10;
}

/* In place; the guard has seen to it that every '%' has its two digits. */
static bool decode(char *text, bool plus_is_space)
{
    char *to = text;
    for (const char *p = text; *p != '\0'; p++) {
        if (*p == '%') {
            *to++ = (char)(hex(p[1]) * 16 + hex(p[2]));
            p += 2;
        } else
            *to++ = *p == '+' && plus_is_space ? ' ' : *p;
    }
    *to = '\0';
    return den_utf8_printable(text);
}

static bool add_pair(struct den_request *r, char *key, char *value, const char *allowed,
                     struct den_err *err)
{
    char shown[64];
    if (!decode(key, true) || !decode(value, true))
        return den_err_set(err, DEN_E_MALFORMED, "the query is not printable UTF-8");
    if (allowed == NULL || !listed(allowed, key))
        return den_err_field(
            err, DEN_E_MALFORMED, key, "the query key %s is not known here, allowed: %s",
            den_log_quote(key, shown, sizeof shown), allowed == NULL ? "none" : allowed);
    if (den_request_query(r, key) != NULL)
        return den_err_field(err, DEN_E_MALFORMED, key,
                             "the query key '%s' is given twice", key);
    if (r->pair_count == DEN_QUERY_KEYS)
        return den_err_set(err, DEN_E_MALFORMED, "the query has too many keys");
    r->pairs[r->pair_count].key = key;
    r->pairs[r->pair_count++].value = value;
    return true;
}

bool den_request_read_query(struct den_request *r, const char *allowed,
                            struct den_err *err)
{
    char *rest = r->query, *key;
    while (rest != NULL && (key = strsep(&rest, "&")) != NULL) {
        char *value = strchr(key, '=');
        if (value != NULL)
            *value++ = '\0';
        else
            value = key + strlen(key);
        if (*key == '\0' && *value == '\0')
            continue; /* "a=1&" */
        if (!add_pair(r, key, value, allowed, err))
            return false;
    }
    return true;
}

bool den_request_read_params(struct den_request *r, struct den_err *err)
{
    if (r->match.param_count == 0)
        return true;
    size_t size = strlen(r->uri) + DEN_PARAMS + 1;
    char *to = r->params = den_new(size, 1, err);
    if (to == NULL)
        return false;
    for (size_t i = 0; i < r->match.param_count; i++) {
        size_t length = r->match.params[i].value_length;
        memcpy(to, r->match.params[i].value, length); /* the rest is zero already */
        r->param_values[i] = to;
        if (!decode(to, false))
            return den_err_set(err, DEN_E_MALFORMED, "the path is not printable UTF-8");
        to += length + 1;
    }
    return true;
}

/* ---- what handlers ask ------------------------------------------------------------- */

const char *den_request_id(const struct den_request *r)
{
    return r->id;
}

bool den_request_reads(const struct den_request *r)
{
    return strcmp(r->method, "GET") == 0 || strcmp(r->method, "HEAD") == 0;
}

const char *den_request_method(const struct den_request *r)
{
    return r->method;
}

const struct den_route *den_request_route(const struct den_request *r)
{
    return r->match.route;
}

const char *den_request_path(const struct den_request *r)
{
    return r->uri;
}

const char *den_request_param(const struct den_request *r, const char *name)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < r->match.param_count; i++)
        if (r->match.params[i].name_length == length &&
            memcmp(r->match.params[i].name, name, length) == 0)
            return r->param_values[i];
    return NULL;
}

const char *den_request_query(const struct den_request *r, const char *key)
{
    for (size_t i = 0; i < r->pair_count; i++)
        if (strcmp(r->pairs[i].key, key) == 0)
            return r->pairs[i].value;
    return NULL;
}

const char *den_request_header(const struct den_request *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

const char *den_request_body(const struct den_request *r, size_t *ret_length)
{
    *ret_length = r->body.length;
    return r->body.data;
}

const struct den_upload *den_request_upload(const struct den_request *r)
{
    return r->upload.view.sha256 != NULL ? &r->upload.view : NULL;
}

void den_request_take_upload(struct den_request *r)
{
    r->upload.taken = true;
}
