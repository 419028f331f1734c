/* The guard over request lines and headers: the input is "VERSION\n", "TARGET\n", then
 * lines "name\tvalue\n" as libmicrohttpd would hand them over. */

#include <string.h>
#include <strings.h>

#include "fuzz.h"
#include "guard.h"

enum { TEXT = 4096 };

/* The next line, NUL-terminated in place; NULL at the end. */
static char *next(char **rest)
{
    return *rest != NULL ? strsep(rest, "\n") : NULL;
}

/* What a request that was let through promises, counted a second time. */
struct seen {
    unsigned hosts, lengths, codings;
};

static void count(struct seen *seen, const char *name, const char *value)
{
    promise(name[0] != '\0' && strpbrk(name, " \t\r\v\f:()[]{}<>@,;\\\"/?=") == NULL);
    promise(strpbrk(value, "\r\v\f\x01\x7f") == NULL);
    seen->hosts += strcasecmp(name, "host") == 0;
    seen->lengths += strcasecmp(name, "content-length") == 0;
    seen->codings += strcasecmp(name, "transfer-encoding") == 0;
    if (strcasecmp(name, "transfer-encoding") == 0)
        promise(strcasecmp(value, "chunked") == 0);
    promise(strncasecmp(name, "content-length", 14) != 0 || name[14] == '\0');
    promise(strncasecmp(name, "transfer-encoding", 17) != 0 || name[17] == '\0');
}

static bool check_headers(char *rest, const char *version)
{
    struct den_guard guard = {.hosts = 0};
    struct seen seen = {0, 0, 0};
    struct den_err err = DEN_ERR_INIT;
    char *line;
    while ((line = next(&rest)) != NULL) {
        char *value = strchr(line, '\t');
        if (value == NULL)
            continue;
        *value++ = '\0';
        if (!den_guard_header(&guard, line, strlen(line), value, strlen(value), &err)) {
            promise(err.code == DEN_E_MALFORMED && err.text[0] != '\0');
            return false;
        }
        /* Only what is let through is looked at; a refused set may be refused later. */
        if (strcasecmp(line, "transfer-encoding") != 0)
            count(&seen, line, value);
        else
            seen.codings++;
    }
    if (!den_guard_finish(&guard, version, &err)) {
        promise(err.code == DEN_E_MALFORMED && err.text[0] != '\0');
        return false;
    }
    promise(seen.hosts <= 1 && seen.lengths + seen.codings <= 1);
    promise(seen.hosts == 1 || strcmp(version, "HTTP/1.1") != 0);
    promise(seen.codings == 0 || (guard.chunked && strcmp(version, "HTTP/1.1") == 0));
    return true;
}

/* A target that was let through stays below the root, however it is decoded. */
static void check_target(const char *target)
{
    struct den_err err = DEN_ERR_INIT;
    if (!den_guard_uri(target, &err)) {
        promise(err.code == DEN_E_MALFORMED && err.text[0] != '\0');
        return;
    }
    promise(target[0] == '/');
    size_t path = strcspn(target, "?");
    for (size_t i = 0; i < path; i++) {
        promise((unsigned char)target[i] > 0x20 && (unsigned char)target[i] < 0x7f);
        promise(target[i] != '\\');
        promise(strncasecmp(target + i, "%2e", 3) != 0);
        promise(strncasecmp(target + i, "%2f", 3) != 0);
        promise(strncasecmp(target + i, "%5c", 3) != 0);
        promise(strncmp(target + i, "%0", 2) != 0 && strncmp(target + i, "%1", 2) != 0);
        bool two = strncmp(target + i, "/..", 3) == 0;
        promise(!two || (i + 3 < path && target[i + 3] != '/'));
    }
}

static void check_hosts(const char *host, const char *other)
{
    bool known = den_guard_host(host, "a.example b.example");
    promise(!known || strpbrk(host, "/\\@ ") == NULL ||
            strcspn(host, ":") < strcspn(host, "/\\@ ") || host[0] == '[');
    promise(den_guard_host(host, NULL));
    if (den_guard_origin(other, host))
        promise(strlen(other) > strlen(host));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char text[TEXT];
    if (size >= TEXT)
        return 0;
    memcpy(text, data, size);
    text[size] = '\0';
    char *rest = text;
    const char *version = next(&rest), *target = next(&rest);
    if (version == NULL || target == NULL)
        return 0;
    check_target(target);
    check_hosts(target, version);
    (void)check_headers(rest, version);
    return 0;
}
