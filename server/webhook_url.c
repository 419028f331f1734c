#include "webhook_url.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <string.h>

#include "str.h"

/* ---- addresses ----------------------------------------------------------------------
 */

/* Not globally reachable, or a way to such [IANA special-purpose address registries]. */
static const char special[] =
    "0.0.0.0/8 10.0.0.0/8 100.64.0.0/10 127.0.0.0/8 169.254.0.0/16 172.16.0.0/12 "
    "192.0.0.0/24 192.0.2.0/24 192.88.99.0/24 192.168.0.0/16 198.18.0.0/15 "
    "198.51.100.0/24 203.0.113.0/24 224.0.0.0/4 240.0.0.0/4 "
    "2001::/23 2001:db8::/32 2002::/16 3fff::/20";
/* And of IPv6 nothing else is: */
static const char global[] = "2000::/3";

static void map(const struct in_addr *from, struct in6_addr *to)
{
    *to = (struct in6_addr){0};
    to->s6_addr[10] = to->s6_addr[11] = 0xff;
    memcpy(to->s6_addr + 12, from, 4);
}

static bool is_mapped(const struct in6_addr *address)
{
    static const uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    return memcmp(address, prefix, sizeof prefix) == 0;
}

static bool read_one(const char *text, size_t length, struct in6_addr *address,
                     unsigned *bits)
{
    char word[64];
    struct in_addr four;
    int64_t prefix = 0;
    if (!den_str_format(word, sizeof word, "%.*s", (int)length, text))
        return false;
    char *slash = strchr(word, '/');
    if (slash == NULL)
        return false;
    *slash = '\0';
    bool is_four = inet_pton(AF_INET, word, &four) == 1;
    if (!is_four && inet_pton(AF_INET6, word, address) != 1)
        return false;
    if (!den_parse_int(slash + 1, 0, is_four ? 32 : 128, &prefix, NULL))
        return false;
    if (is_four)
        map(&four, address);
    *bits = (unsigned)prefix + (is_four ? 96 : 0);
    return true;
}

bool den_networks_read(const char *text, struct den_networks *ret, struct den_err *err)
{
    struct den_networks all = {.count = 0};
    for (const char *at = text + strspn(text, " "); *at != '\0'; at += strspn(at, " ")) {
        size_t length = strcspn(at, " ");
        if (all.count == DEN_NETWORKS)
            return den_err_set(err, DEN_E_INVALID, "there are more than %d networks",
                               DEN_NETWORKS);
        if (!read_one(at, length, &all.rows[all.count].address,
                      &all.rows[all.count].bits))
            return den_err_set(err, DEN_E_INVALID,
                               "'%.*s' is not a network, as 10.0.0.0/8 or fd00::/8",
                               (int)(length < 64 ? length : 64), at);
        all.count++;
        at += length;
    }
    *ret = all;
    return true;
}

static bool within(const struct in6_addr *address, const struct in6_addr *network,
                   unsigned bits)
{
    unsigned bytes = bits / 8, rest = bits % 8;
    if (memcmp(address, network, bytes) != 0)
        return false;
    if (rest == 0)
        return true;
    unsigned mask = 0xffU << (8 - rest);
    return ((address->s6_addr[bytes] ^ network->s6_addr[bytes]) & mask & 0xffU) == 0;
}

static bool in_any(const struct in6_addr *address, const struct den_networks *networks)
{
    for (size_t i = 0; i < networks->count; i++)
        if (within(address, &networks->rows[i].address, networks->rows[i].bits))
            return true;
    return false;
}

static bool in_list(const struct in6_addr *address, const char *list)
{
    struct den_networks networks;
    return den_networks_read(list, &networks, NULL) && in_any(address, &networks);
}

bool den_webhook_address(const struct sockaddr *address,
                         const struct den_networks *networks)
{
    struct in6_addr six;
    if (address->sa_family == AF_INET)
        map(&((const struct sockaddr_in *)(const void *)address)->sin_addr, &six);
    else if (address->sa_family == AF_INET6)
        six = ((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    else
        return false;
    if (in_any(&six, networks))
        return true;
    return !in_list(&six, special) && (is_mapped(&six) || in_list(&six, global));
}

/* ---- URLs ---------------------------------------------------------------------------
 */

static bool is_allowed(const char *host, const char *port, const char *hosts)
{
    char want[DEN_WEBHOOK_SIZE + 8];
    bool usual = strcmp(port, "443") == 0;
    if (!den_str_format(want, sizeof want, "%s:%s", host, port))
        return false;
    for (const char *at = hosts + strspn(hosts, " "); *at != '\0';) {
        size_t length = strcspn(at, " ");
        if ((usual && length == strlen(host) && memcmp(at, host, length) == 0) ||
            (length == strlen(want) && memcmp(at, want, length) == 0))
            return true;
        at += length;
        at += strspn(at, " ");
    }
    return false;
}

/* The part of the URL, as curl's own parser reads it; NULL when there is none. */
static char *part(CURLU *url, CURLUPart which, unsigned flags)
{
    char *text = NULL;
    return curl_url_get(url, which, &text, flags) == CURLUE_OK ? text : NULL;
}

static bool check(CURLU *url, const char *hosts, struct den_err *err)
{
    char *host = part(url, CURLUPART_HOST, 0),
         *port = part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT),
         *user = part(url, CURLUPART_USER, 0), *word = part(url, CURLUPART_PASSWORD, 0),
         *fragment = part(url, CURLUPART_FRAGMENT, 0);
    bool done = true;
    if (user != NULL || word != NULL || fragment != NULL)
        done = den_err_set(err, DEN_E_INVALID,
                           "a webhook has no user, password or fragment");
    else if (host == NULL || port == NULL || !is_allowed(host, port, hosts))
        done = den_err_set(err, DEN_E_INVALID,
                           "'%.64s' is not among the hosts that this server may call",
                           host != NULL ? host : "");
    curl_free(host);
    curl_free(port);
    curl_free(user);
    curl_free(word);
    curl_free(fragment);
    return done;
}

bool den_webhook_check(const char *url, const char *hosts, struct den_err *err)
{
    if (hosts[0] == '\0')
        return den_err_set(err, DEN_E_INVALID,
                           "this server calls no webhooks (setting webhook_hosts)");
    /* curl's parser forgives a slash too few or too many. */
    if (!den_str_starts(url, "https://") || url[strlen("https://")] == '/')
        return den_err_set(err, DEN_E_INVALID, "a webhook must begin with https://");
    for (const char *p = url; *p != '\0'; p++)
        if (*p <= ' ' || *p > '~' || *p == '\\')
            return den_err_set(err, DEN_E_INVALID,
                               "a webhook is a URL of visible ASCII characters");
    if (strlen(url) >= DEN_WEBHOOK_SIZE)
        return den_err_set(err, DEN_E_INVALID, "a webhook has at most %d characters",
                           DEN_WEBHOOK_SIZE - 1);
    CURLU *parsed = curl_url();
    if (parsed == NULL)
        return den_err_set(err, DEN_E_NO_MEMORY, "there is not enough memory");
    bool done = curl_url_set(parsed, CURLUPART_URL, url, 0) == CURLUE_OK
                    ? check(parsed, hosts, err)
                    : den_err_set(err, DEN_E_INVALID, "the webhook is not a URL");
    curl_url_cleanup(parsed);
    return done;
}
