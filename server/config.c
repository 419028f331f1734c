#include "config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#include "fs.h"
#include "log.h"
#include "mem.h"
#include "str.h"

#define AT(member) offsetof(struct den_config, member)
/* clang-format off */
#define TEXT(key, fallback, choices, help) \
    {#key, DEN_CONFIG_TEXT, fallback, 0, 0, choices, help, AT(key), \
     sizeof((struct den_config *)NULL)->key}
#define INT(key, fallback, min, max, help) \
    {#key, DEN_CONFIG_INT, fallback, min, max, NULL, help, AT(key), 0}
#define REAL(key, fallback, min, max, help) \
    {#key, DEN_CONFIG_REAL, fallback, min, max, NULL, help, AT(key), 0}
/* clang-format on */

const struct den_config_row den_config_rows[] = {
    TEXT(listen, "127.0.0.1:8080", NULL,
         "address and port, port 0 = a free one; others than loopback need auth"),
    TEXT(auth, "off", "off required",
         "whether who asks must show an access token (denoised token create)"),
    TEXT(plain_http, "refused", "refused allowed",
         "whether tokens may cross a network unencrypted, as behind a proxy with TLS"),
    INT(max_requests_per_s, "0", 0, 100000,
        "requests of one token a second, 0 = no limit; more are refused with 429"),
    TEXT(hosts, "", NULL,
         "Host names besides localhost that a proxy in front passes on, by spaces"),
    TEXT(proxies, "", NULL,
         "addresses, by spaces, of proxies whose X-Real-IP names the client"),
    TEXT(tls_cert, "", NULL, "PEM file with certificate and chain; with tls_key: HTTPS"),
    TEXT(tls_key, "", NULL, "PEM file with its key, mode 600 or 640"),
    TEXT(state, "state", NULL, "folder that keeps everything"),
    TEXT(store, "sqlite", NULL, "where jobs and models are recorded"),
    TEXT(backend, "auto", NULL, "what computes: auto, or a backend's name"),
    INT(threads, "0", 0, 1024, "threads of a worker, 0 = one per core"),
    INT(http_threads, "0", 0, 256, "threads for HTTP, 0 = one per core, at most 8"),
    INT(max_connections, "512", 4, 100000, "connections at a time; more have to wait"),
    INT(max_connections_per_ip, "0", 0, 100000,
        "of them from one address, 0 = no limit, as behind a proxy"),
    INT(max_streams, "1024", 1, 100000, "event streams at a time"),
    INT(max_streams_per_client, "64", 1, 100000, "event streams of one client"),
    INT(idle_timeout_s, "30", 1, 3600, "seconds after which a silent connection ends"),
    INT(header_timeout_s, "10", 1, 3600, "seconds that a request's headers may take"),
    INT(body_timeout_s, "60", 1, 86400,
        "seconds that a body or a reply may take, beside those it earns by moving"),
    INT(min_bytes_per_s, "50000", 1, 1 << 30,
        "bytes of a body or a reply that earn it a second"),
    INT(max_upload_mib, "16384", 1, 16777216, "largest uploaded file, MiB"),
    INT(max_json_kib, "1024", 1, 65536, "largest JSON body, KiB"),
    INT(queue_limit, "1000", 1, 1000000, "jobs that may wait; more are refused with 429"),
    INT(max_attempts, "3", 1, 100,
        "starts of a job that come to nothing, before it counts as failed"),
    INT(workers, "2", 1, 64, "jobs at a time; of two or more workers one never trains"),
    TEXT(training_yields, "true", "true false",
         "whether trainings wait while an image that somebody waits for is worked on"),
    REAL(max_job_seconds, "0", 0, 1e8,
         "seconds that an attempt may take, 0 = as long as it likes"),
    REAL(retry_seconds, "10", 0, 600,
         "seconds before the second attempt; doubles with each further one"),
    REAL(lease_seconds, "60", 0.1, 86400,
         "seconds after which the job of a worker that is gone is another's"),
    INT(quota_queued_jobs, "0", 0, 1000000, "jobs of one owner that may wait, 0 = any"),
    INT(quota_running_jobs, "0", 0, 64, "jobs of one owner at work, 0 = any"),
    INT(quota_stored_mib, "0", 0, 1 << 30,
        "MiB of images, results and weights of one owner, 0 = any"),
    INT(quota_compute_seconds_per_day, "0", 0, 100000000,
        "seconds at work of one owner's jobs in a day (UTC), 0 = any"),
    INT(memory_limit_mib, "0", 0, 1 << 30,
        "memory that a job may plan for, MiB, 0 = 80 % of what the machine has"),
    REAL(checkpoint_seconds, "60", 0.1, 86400,
         "seconds between checkpoints of a training"),
    INT(tile, "0", 0, 8192, "side of a tile when denoising, pixels, 0 = the program's"),
    INT(max_side, "65536", 16, 65536, "largest width and height of an image, pixels"),
    INT(max_pages, "20000", 1, 20000, "most pages of an image"),
    INT(max_page_mpix, "256", 1, 4096, "largest page of an image, 2^20 pixels"),
    INT(max_decoded_mib, "16384", 1, 16777216, "largest image when decoded, MiB"),
    INT(max_unpack_ratio, "200", 1, 1000000,
        "decoded bytes over bytes of the file, beside 16 MiB"),
    INT(max_part_mib, "64", 1, 1024, "largest tile of an image, MiB"),
    INT(max_tags, "4096", 16, 65536, "most tags of a page, most chunks of a PNG"),
    INT(min_free_mib, "256", 0, 1 << 30,
        "MiB that uploads must leave free on the disk, 0 = no such mark"),
    INT(ballast_mib, "64", 0, 65536,
        "MiB kept aside, so that running jobs can end when the disk is full"),
    INT(retention_days, "0", 0, 36500,
        "days after which unused images and results are deleted, 0 = never"),
    TEXT(webhook_hosts, "", NULL,
         "hosts, by spaces, as name or name:port, that jobs may have told of their end"),
    TEXT(webhook_networks, "", NULL,
         "networks, by spaces, as 10.0.0.0/8, where those hosts may be; public ones may"),
    TEXT(webhook_key, "", NULL, "file with the key that signs what they are told"),
    TEXT(webhook_ca, "", NULL,
         "PEM file of authorities trusted for those hosts, in place of the system's"),
    TEXT(jail, "required", "required off",
         "whether image files are decoded in processes without rights"),
    INT(decode_seconds, "60", 1, 3600, "seconds that decoding a page may take"),
    INT(decode_memory_mib, "512", 64, 65536,
        "memory of a decoder beside a page of the image, MiB"),
    INT(drain_seconds, "30", 0, 3600, "seconds that requests get to end at shutdown"),
    INT(stall_seconds, "1800", 0, 1000000,
        "seconds of a worker's silence that count as its death, 0 = none do"),
    TEXT(log_level, "info", "debug info warn error", "what is logged to stderr"),
    TEXT(log_format, "logfmt", "logfmt json", "how: key=value pairs, or a JSON object"),
    {.key = NULL},
};
_Static_assert(sizeof den_config_rows / sizeof den_config_rows[0] <= DEN_CONFIG_ROWS + 1,
               "origins has a place for each row");

/* ---- one value ----------------------------------------------------------------------
 */

/* Levenshtein's distance, for short keys; longer ones count as far away. */
static size_t distance(const char *a, const char *b)
{
    enum { LONGEST = 40 };
    size_t row[LONGEST + 1], width = strlen(b);
    if (width > LONGEST || strlen(a) > LONGEST)
        return LONGEST;
    for (size_t j = 0; j <= width; j++)
        row[j] = j;
    for (size_t i = 1; a[i - 1] != '\0'; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= width; j++) {
            size_t replace = diagonal + (a[i - 1] != b[j - 1]);
            size_t skip = 1 + (row[j] < row[j - 1] ? row[j] : row[j - 1]);
            diagonal = row[j];
            row[j] = replace < skip ? replace : skip;
        }
    }
    return row[width];
}

/* Keys that somebody who typed `key` may have meant: "'listen' or 'tile'"; "" if none. */
static void name_near(const char *key, char *to, size_t size)
{
    to[0] = '\0';
    for (const struct den_config_row *row = den_config_rows; row->key != NULL; row++) {
        size_t length = strlen(key);
        bool part = length >= 4 && strstr(row->key, key) != NULL;
        if (!part && distance(key, row->key) > 2)
            continue;
        size_t used = strlen(to);
        den_str_format(to + used, size - used, "%s'%s'", used > 0 ? " or " : "",
                       row->key);
    }
}

static const struct den_config_row *find(const char *key)
{
    for (const struct den_config_row *row = den_config_rows; row->key != NULL; row++)
        if (strcmp(row->key, key) == 0)
            return row;
    return NULL;
}

static bool unknown(const char *key, struct den_err *err)
{
    char near[256], shown[64];
    name_near(key, near, sizeof near);
    den_log_quote(key, shown, sizeof shown);
    if (near[0] != '\0')
        return den_err_field(err, DEN_E_INVALID, key,
                             "there is no setting %s, did you mean %s?", shown, near);
    return den_err_field(err, DEN_E_INVALID, key,
                         "there is no setting %s, --help lists them all", shown);
}

static bool word_of(const char *words, const char *text)
{
    size_t length = strlen(text);
    for (const char *at = words; length > 0 && *at != '\0';) {
        size_t word = strcspn(at, " ");
        if (word == length && memcmp(at, text, word) == 0)
            return true;
        at += word + (at[word] == ' ');
    }
    return false;
}

static bool set_text(const struct den_config_row *row, const char *value, char *to,
                     struct den_err *err)
{
    char shown[80];
    den_log_quote(value, shown, sizeof shown);
    if (!den_utf8_printable(value))
        return den_err_set(err, DEN_E_INVALID, "%s is not printable UTF-8", shown);
    if (value[0] == '\0' && row->fallback[0] != '\0')
        return den_err_set(err, DEN_E_INVALID, "the value is empty");
    if (row->choices != NULL && !word_of(row->choices, value))
        return den_err_set(err, DEN_E_INVALID, "%s is not one of: %s", shown,
                           row->choices);
    if (strlen(value) >= row->size)
        return den_err_set(err, DEN_E_INVALID, "the text has more than %zu bytes",
                           row->size - 1);
    return den_str_copy(to, row->size, value);
}

static bool set_value(const struct den_config_row *row, const char *value,
                      struct den_config *config, struct den_err *err)
{
    char *place = (char *)config + row->offset;
    int64_t whole = 0;
    double real = 0;
    switch (row->type) {
    case DEN_CONFIG_TEXT:
        return set_text(row, value, place, err);
    case DEN_CONFIG_INT:
        if (!den_parse_int(value, (int64_t)row->min, (int64_t)row->max, &whole, err))
            return false;
        memcpy(place, &whole, sizeof whole);
        return true;
    case DEN_CONFIG_REAL:
        if (!den_parse_double(value, row->min, row->max, &real, err))
            return false;
        memcpy(place, &real, sizeof real);
        return true;
    }
    return false;
}

bool den_config_set(struct den_config *config, const char *key, const char *value,
                    enum den_config_origin origin, struct den_err *err)
{
    const struct den_config_row *row = find(key);
    struct den_err why = DEN_ERR_INIT;
    if (row == NULL)
        return unknown(key, err);
    if (!set_value(row, value, config, &why))
        return den_err_field(err, why.code, key, "%s: %s", key, why.text);
    config->origins[row - den_config_rows] = (unsigned char)origin;
    return true;
}

/* ---- listen -------------------------------------------------------------------------
 */

static bool is_loopback(const char *address)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, address, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, address, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

static bool is_address(const char *address)
{
    unsigned char any[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, address, any) == 1 ||
           inet_pton(AF_INET6, address, any) == 1;
}

/* Whom anybody can reach must know who asks, and nobody may read the tokens on the way.
 */
static bool may_be_public(const struct den_config *config, struct den_err *err)
{
    if (strcmp(config->auth, "required") != 0)
        return den_err_field(err, DEN_E_INVALID, "listen",
                             "listen: %s can be reached from other machines, so set auth "
                             "= required, or listen on 127.0.0.1 and put a proxy that "
                             "knows its users in front",
                             config->address);
    return config->tls_cert[0] != '\0' || strcmp(config->plain_http, "allowed") == 0 ||
           den_err_field(err, DEN_E_INVALID, "listen",
                         "listen: %s can be reached from other machines, and without TLS "
                         "everybody on the way can read the access tokens: set tls_cert "
                         "and tls_key, or plain_http = allowed where a proxy in front "
                         "speaks TLS or the network is trusted",
                         config->address);
}

/* "127.0.0.1:8080", "localhost:0" or "[::1]:8080" to address and port. */
static bool split_listen(struct den_config *config, struct den_err *err)
{
    const char *text = config->listen, *colon = strrchr(text, ':');
    int64_t port = 0;
    struct den_err why = DEN_ERR_INIT;
    size_t length = colon == NULL ? 0 : (size_t)(colon - text);
    if (length >= 2 && text[0] == '[' && text[length - 1] == ']') {
        text++;
        length -= 2;
    }
    if (length == 0 || length >= sizeof config->address)
        return den_err_field(err, DEN_E_INVALID, "listen",
                             "listen: '%s' is not ADDRESS:PORT", config->listen);
    if (!den_parse_int(colon + 1, 0, 65535, &port, &why))
        return den_err_field(err, DEN_E_INVALID, "listen", "listen: the port %s",
                             why.text);
    memcpy(config->address, text, length);
    config->address[length] = '\0';
    if (strcmp(config->address, "localhost") == 0)
        den_str_copy(config->address, sizeof config->address, "127.0.0.1");
    if (!is_address(config->address))
        return den_err_field(err, DEN_E_INVALID, "listen",
                             "listen: '%s' is not an IP address", config->address);
    if (!is_loopback(config->address) && !may_be_public(config, err))
        return false;
    config->port = (uint16_t)port;
    return true;
}

/* ---- lists --------------------------------------------------------------------------
 */

/* The daemon compares texts, so an address is written as inet_ntop writes it. */
static bool good_proxy(const char *word, struct den_err *err)
{
    unsigned char address[sizeof(struct in6_addr)];
    char usual[INET6_ADDRSTRLEN];
    int family = strchr(word, ':') != NULL ? AF_INET6 : AF_INET;
    if (inet_pton(family, word, address) != 1)
        return den_err_set(err, DEN_E_INVALID, "'%.64s' is not an IP address", word);
    return inet_ntop(family, address, usual, sizeof usual) != NULL &&
           (strcmp(word, usual) == 0 ||
            den_err_set(err, DEN_E_INVALID, "write '%s' as %s", word, usual));
}

static bool good_host(const char *word, struct den_err *err)
{
    static const char name[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_";
    unsigned char address[sizeof(struct in6_addr)];
    char inner[INET6_ADDRSTRLEN];
    size_t length = strlen(word);
    if (word[strspn(word, name)] == '\0')
        return true;
    if (word[0] == '[' && word[length - 1] == ']' &&
        den_str_format(inner, sizeof inner, "%.*s", (int)length - 2, word + 1) &&
        inet_pton(AF_INET6, inner, address) == 1)
        return true;
    return den_err_set(err, DEN_E_INVALID,
                       "'%.64s' is not the name of a host, without scheme and port",
                       word);
}

/* A name that no request or peer can have would pass for one that never comes. */
static bool check_list(const char *key, const char *list,
                       bool (*good)(const char *word, struct den_err *err),
                       struct den_err *err)
{
    char word[sizeof((struct den_config *)NULL)->hosts];
    struct den_err why = DEN_ERR_INIT;
    for (const char *at = list + strspn(list, " "); *at != '\0'; at += strspn(at, " ")) {
        size_t length = strcspn(at, " ");
        if (den_str_format(word, sizeof word, "%.*s", (int)length, at) &&
            !good(word, &why))
            return den_err_field(err, DEN_E_INVALID, key, "%s: %s", key, why.text);
        at += length;
    }
    return true;
}

/* ---- sources ------------------------------------------------------------------------
 */

/* Where faults go when all are asked for; NULL: the first is the last. */
struct faults {
    struct den_buf *out;
    size_t count;
};

/* false: reading stops here, with err. */
static bool note(struct faults *faults, struct den_err *err)
{
    if (faults == NULL)
        return false;
    den_buf_printf(faults->out, "%s\n", err->text);
    faults->count++;
    *err = DEN_ERR_INIT;
    return true;
}

static char *trim(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t length = strlen(text);
    while (length > 0 && isspace((unsigned char)text[length - 1]))
        text[--length] = '\0';
    return text;
}

/* A copy of key with '-' as '_', for flags; in lower case for the environment. */
static bool plain_key(const char *key, size_t length, bool lower, char *to, size_t size)
{
    if (length >= size)
        return false;
    for (size_t i = 0; i < length; i++) {
        char c = key[i] == '-' && !lower ? '_' : key[i];
        to[i] = lower ? (char)tolower((unsigned char)c) : c;
    }
    to[length] = '\0';
    return true;
}

static bool read_line(struct den_config *config, char *line, size_t number,
                      struct den_err *err)
{
    struct den_err why = DEN_ERR_INIT;
    char *text = trim(line);
    if (text[0] == '#' || text[0] == '\0')
        return true;
    char *equals = strchr(text, '=');
    if (equals == NULL)
        return den_err_set(err, DEN_E_MALFORMED,
                           "line %zu of the configuration file is not 'key = value'",
                           number);
    *equals = '\0';
    char *key = trim(text), *value = trim(equals + 1);
    if (!den_config_set(config, key, value, DEN_ORIGIN_FILE, &why))
        return den_err_field(err, why.code, why.field,
                             "line %zu of the configuration file: %s", number, why.text);
    return true;
}

static bool read_file(struct den_config *config, const char *path, struct faults *faults,
                      struct den_err *err)
{
    enum { FILE_MAX = 1 << 20 };
    char *text = NULL, *rest, *line;
    size_t length = 0, number = 0;
    struct den_err why = DEN_ERR_INIT;
    bool good = den_fs_read(path, FILE_MAX, &text, &length, &why);
    if (!good)
        return den_err_set(err, why.code, "the configuration file: %s", why.text);
    if (strlen(text) != length)
        good = den_err_set(err, DEN_E_MALFORMED,
                           "the configuration file has a NUL character");
    rest = text;
    while (good && (line = strsep(&rest, "\n")) != NULL)
        good = read_line(config, line, ++number, err) || note(faults, err);
    den_free(text);
    return good;
}

static bool read_environment(struct den_config *config, char *const environment[],
                             struct faults *faults, struct den_err *err)
{
    static const char prefix[] = "DENOISED_";
    char key[64], near[256];
    for (char *const *entry = environment; entry != NULL && *entry != NULL; entry++) {
        const char *name = *entry + strlen(prefix), *equals = strchr(*entry, '=');
        if (!den_str_starts(*entry, prefix) || equals == NULL || equals < name ||
            !plain_key(name, (size_t)(equals - name), true, key, sizeof key))
            continue;
        name_near(key, near, sizeof near);
        if (find(key) == NULL && near[0] == '\0')
            continue; /* e.g. DENOISED_SERVICE_HOST, which Kubernetes sets */
        if (!den_config_set(config, key, equals + 1, DEN_ORIGIN_ENVIRONMENT, err) &&
            !note(faults, err))
            return false;
    }
    return true;
}

/* ---- the command line ----------------------------------------------------------------
 */

struct flag {
    char key[64];
    const char *value;
};

/* *argv is at a flag; moves it past its value.  *ret_is_flag false: it was a word. */
static bool next_flag(char *const **argv, struct flag *ret, bool *ret_is_flag,
                      struct den_err *err)
{
    const char *text = *(*argv)++;
    char shown[64];
    *ret_is_flag = den_str_starts(text, "--");
    if (!*ret_is_flag)
        return true;
    text += 2;
    size_t length = strcspn(text, "=");
    if (!plain_key(text, length, false, ret->key, sizeof ret->key))
        return den_err_set(err, DEN_E_INVALID, "there is no flag %s",
                           den_log_quote(text, shown, sizeof shown));
    ret->value = text[length] == '=' ? text + length + 1 : NULL;
    bool alone = strcmp(ret->key, "help") == 0 || strcmp(ret->key, "version") == 0;
    if (alone || ret->value != NULL)
        return true;
    if (find(ret->key) == NULL && strcmp(ret->key, "config") != 0)
        return unknown(ret->key, err);
    ret->value = **argv;
    if (ret->value == NULL)
        return den_err_set(err, DEN_E_INVALID, "--%s needs a value", ret->key);
    (*argv)++;
    return true;
}

/* The word behind `config`. */
static bool config_word(const char *word, enum den_config_action *ret)
{
    static const char *const words[] = {"show", "check", "example"};
    static const enum den_config_action actions[] = {DEN_ACTION_SHOW, DEN_ACTION_CHECK,
                                                     DEN_ACTION_EXAMPLE};
    for (size_t i = 0; word != NULL && i < sizeof words / sizeof words[0]; i++)
        if (strcmp(word, words[i]) == 0) {
            *ret = actions[i];
            return true;
        }
    return false;
}

/* What to do, and the file. */
static bool read_words(char *const argv[], enum den_config_action *action,
                       const char **file, struct den_err *err)
{
    char shown[64];
    char *const *at = argv + 1;
    if (*at != NULL && strcmp(*at, "config") == 0) {
        if (!config_word(at[1], action))
            return den_err_set(err, DEN_E_INVALID,
                               "config needs the word show, check or example");
        at += 2;
    }
    while (*at != NULL) {
        struct flag flag;
        bool is_flag = false;
        const char *word = *at;
        if (!next_flag(&at, &flag, &is_flag, err))
            return false;
        if (!is_flag)
            return den_err_set(err, DEN_E_INVALID, "%s is not a flag or a command",
                               den_log_quote(word, shown, sizeof shown));
        if (strcmp(flag.key, "help") == 0)
            *action = DEN_ACTION_HELP;
        else if (strcmp(flag.key, "version") == 0)
            *action = DEN_ACTION_VERSION;
        else if (strcmp(flag.key, "config") == 0)
            *file = flag.value;
    }
    return true;
}

static bool read_flags(struct den_config *config, char *const argv[],
                       struct faults *faults, struct den_err *err)
{
    char *const *at = argv + 1;
    while (*at != NULL) {
        struct flag flag;
        bool is_flag = false;
        if (!next_flag(&at, &flag, &is_flag, err))
            return false;
        if (is_flag && flag.value != NULL && strcmp(flag.key, "config") != 0 &&
            !den_config_set(config, flag.key, flag.value, DEN_ORIGIN_FLAG, err) &&
            !note(faults, err))
            return false;
    }
    return true;
}

static bool set_defaults(struct den_config *config, struct den_err *err)
{
    for (const struct den_config_row *row = den_config_rows; row->key != NULL; row++)
        if (!set_value(row, row->fallback, config, err))
            return false;
    return true;
}

static bool read_all(struct den_config *config, const char *file, char *const argv[],
                     char *const environment[], struct faults *faults,
                     struct den_err *err)
{
    return (file == NULL || read_file(config, file, faults, err) || note(faults, err)) &&
           (read_environment(config, environment, faults, err) || note(faults, err)) &&
           (read_flags(config, argv, faults, err) || note(faults, err)) &&
           (split_listen(config, err) || note(faults, err)) &&
           (check_list("hosts", config->hosts, good_host, err) || note(faults, err)) &&
           (check_list("proxies", config->proxies, good_proxy, err) || note(faults, err));
}

bool den_config_load(char *const argv[], char *const environment[],
                     struct den_config *ret, enum den_config_action *ret_action,
                     struct den_err *err)
{
    struct den_config config = {.port = 0};
    enum den_config_action action = DEN_ACTION_SERVE;
    const char *file = NULL;
    if (!read_words(argv, &action, &file, err) || !set_defaults(&config, err))
        return false;
    if ((action == DEN_ACTION_SERVE || action == DEN_ACTION_SHOW) &&
        !read_all(&config, file, argv, environment, NULL, err))
        return false;
    *ret = config;
    *ret_action = action;
    return true;
}

size_t den_config_check(char *const argv[], char *const environment[],
                        struct den_config *ret, struct den_buf *out)
{
    struct den_config config = {.port = 0};
    enum den_config_action action = DEN_ACTION_CHECK;
    struct faults faults = {.out = out};
    struct den_err err = DEN_ERR_INIT;
    const char *file = NULL;
    if (!read_words(argv, &action, &file, &err) || !set_defaults(&config, &err) ||
        !read_all(&config, file, argv, environment, &faults, &err))
        (void)note(&faults, &err);
    *ret = config;
    return faults.count;
}

/* ---- comparing -----------------------------------------------------------------------
 */

void den_config_changes(const struct den_config *a, const struct den_config *b, char *to,
                        size_t size)
{
    to[0] = '\0';
    for (const struct den_config_row *row = den_config_rows; row->key != NULL; row++) {
        const char *left = (const char *)a + row->offset,
                   *right = (const char *)b + row->offset;
        bool same = row->type == DEN_CONFIG_TEXT ? strcmp(left, right) == 0
                                                 : memcmp(left, right, 8) == 0;
        size_t used = strlen(to);
        if (!same)
            den_str_format(to + used, size - used, "%s%s", used > 0 ? "," : "", row->key);
    }
}

/* ---- text for people ------------------------------------------------------------------
 */

static void add_value(const struct den_config *config, const struct den_config_row *row,
                      struct den_buf *out)
{
    const char *place = (const char *)config + row->offset;
    int64_t whole = 0;
    double real = 0;
    switch (row->type) {
    case DEN_CONFIG_TEXT:
        den_buf_puts(out, place);
        break;
    case DEN_CONFIG_INT:
        memcpy(&whole, place, sizeof whole);
        den_buf_printf(out, "%" PRId64, whole);
        break;
    case DEN_CONFIG_REAL:
        memcpy(&real, place, sizeof real);
        den_buf_printf(out, "%.15g", real);
        break;
    }
}

bool den_config_given(const struct den_config *config, const char *key)
{
    const struct den_config_row *row = find(key);
    return row != NULL && config->origins[row - den_config_rows] != DEN_ORIGIN_DEFAULT;
}

void den_config_show(const struct den_config *config, struct den_buf *out)
{
    static const char *const origins[] = {"default", "file", "environment", "flag"};
    for (const struct den_config_row *row = den_config_rows; row->key != NULL; row++) {
        size_t origin = config->origins[row - den_config_rows];
        den_buf_printf(out, "# %s (%s)\n%s = ", row->help, origins[origin], row->key);
        add_value(config, row, out);
        den_buf_puts(out, "\n");
    }
}

void den_config_example(struct den_buf *out)
{
    den_buf_puts(out, "# Settings of denoised, with their defaults.  Take away the # in "
                      "front of a key to set it.\n# denoised config check --config FILE "
                      "names all that is wrong in FILE.\n");
    for (const struct den_config_row *row = den_config_rows; row->key != NULL; row++) {
        den_buf_printf(out, "\n# %s", row->help);
        if (row->type != DEN_CONFIG_TEXT)
            den_buf_printf(out, "; %.10g to %.10g", row->min, row->max);
        else if (row->choices != NULL)
            den_buf_printf(out, "; one of: %s", row->choices);
        den_buf_printf(out, "\n#%s =%s%s\n", row->key,
                       row->fallback[0] != '\0' ? " " : "", row->fallback);
    }
}

void den_config_help(struct den_buf *out)
{
    den_buf_puts(out, "usage: denoised [--config FILE] [--KEY VALUE]...\n"
                      "       denoised config show|check [--config FILE] "
                      "[--KEY VALUE]...\n"
                      "       denoised config example\n"
                      "       denoised backup DIR [--state DIR]\n"
                      "       denoised check [--gc [--dry-run]] [--state DIR]\n"
                      "       denoised token create NAME --owner OWNER --scope "
                      "SCOPE,SCOPE [--expires DAYS]\n"
                      "       denoised token list [--json] | revoke ID|NAME\n"
                      "       denoised audit verify | show [--since DAY] [--json]\n"
                      "       denoised --help | --version\n\n"
                      "Settings: a flag counts before DENOISED_KEY in the environment, "
                      "that before\n`key = value` in FILE, that before the default.\n\n");
    for (const struct den_config_row *row = den_config_rows; row->key != NULL; row++) {
        den_buf_printf(out, "  --%-20s %s\n  %22s ", row->key, row->help, "");
        if (row->type != DEN_CONFIG_TEXT)
            den_buf_printf(out, "%.10g to %.10g, ", row->min, row->max);
        else if (row->choices != NULL)
            den_buf_printf(out, "one of %s, ", row->choices);
        den_buf_printf(out, "default %s\n",
                       row->fallback[0] != '\0' ? row->fallback : "none");
    }
}
