#include "tenants.h"

#include <check.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "rows.h"
#include "str.h"

/* ---- texts ---- */

struct text {
    char *data;
    size_t length, room;
};

static void add(struct text *to, const char *data, size_t length)
{
    if (to->length + length + 1 > to->room) {
        to->room = 2 * (to->length + length) + 256;
        to->data = realloc(to->data, to->room);
        ck_assert_ptr_nonnull(to->data);
    }
    memcpy(to->data + to->length, data, length);
    to->length += length;
    to->data[to->length] = '\0';
}

char *text_replace(const char *text, const char *from, const char *to)
{
    struct text out = {0};
    size_t length = strlen(from);
    add(&out, "", 0);
    for (const char *at; length > 0 && (at = strstr(text, from)) != NULL;
         text = at + length) {
        add(&out, text, (size_t)(at - text));
        add(&out, to, strlen(to));
    }
    add(&out, text, strlen(text));
    return out.data;
}

static void replace(char **text, const char *from, const char *to)
{
    char *replaced = text_replace(*text, from, to);
    free(*text);
    *text = replaced;
}

/* ---- secrets ---- */

enum { SECRETS = 64 };
static char secrets[SECRETS][80];
static size_t secret_count;

void tenant_secret(const char *text)
{
    ck_assert_uint_ge(strlen(text), 6); /* else it is found by chance */
    ck_assert_uint_lt(secret_count, SECRETS);
    ck_assert(den_str_copy(secrets[secret_count++], sizeof secrets[0], text));
}

const char *tenant_leak(const char *text)
{
    for (size_t i = 0; i < secret_count; i++)
        if (strstr(text, secrets[i]) != NULL)
            return secrets[i];
    return NULL;
}

void guess_id(const char *prefix, char *to)
{
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    unsigned char random[26];
    ck_assert_int_eq(getrandom(random, sizeof random, 0), sizeof random);
    char id[27] = "";
    for (size_t i = 0; i < sizeof random; i++)
        id[i] = digits[random[i] % 32];
    id[0] = '0'; /* of a time that there was */
    id[1] = '1';
    ck_assert(den_str_format(to, 32, "%s%s", prefix, id));
    ck_assert(den_id_valid(to, prefix));
}

const char *fresh_address(char *to, size_t size)
{
    static unsigned number;
    number++;
    (void)snprintf(to, size, "X-Real-IP: 10.%u.%u.%u", number >> 16 & 255U,
                   number >> 8 & 255U, number & 255U);
    return to;
}

/* ---- asking ---- */

static size_t collect(char *data, size_t size, size_t n, void *to)
{
    struct text *text = to;
    add(text, data, size * n);
    return size * n;
}

/* One header line; what is new in every answer is only named. */
static size_t collect_header(char *data, size_t size, size_t n, void *to)
{
    static const char *const passing[] = {"Date:", "X-Request-Id:"};
    struct text *text = to;
    size_t length = size * n;
    for (size_t i = 0; i < sizeof passing / sizeof *passing; i++)
        if (strncasecmp(data, passing[i], strlen(passing[i])) == 0) {
            add(text, passing[i], strlen(passing[i]));
            add(text, "\r\n", 2);
            return length;
        }
    add(text, data, length);
    return length;
}

/* "request_id":"..." in a problem. */
static void forget_request(struct text *body)
{
    static const char key[] = "\"request_id\":\"";
    char *at = body->data != NULL ? strstr(body->data, key) : NULL;
    if (at != NULL)
        for (at += strlen(key); *at != '\0' && *at != '"'; at++)
            *at = '.';
}

static void set_body(CURL *curl, const struct question *q)
{
    if (strcmp(q->method, "HEAD") == 0)
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    if (q->body != NULL) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->length);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, q->body);
    } else if (strcmp(q->method, "POST") == 0) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, 0L);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
    }
}

static void perform(const char *base, const struct question *q, struct told *ret,
                    struct text *head, struct text *body)
{
    static CURL *curl;
    char url[600], type[120];
    struct curl_slist *lines = curl_slist_append(NULL, "Expect:");
    (void)snprintf(url, sizeof url, "%s%s", base, q->path);
    if (q->type != NULL) {
        (void)snprintf(type, sizeof type, "Content-Type: %s", q->type);
        lines = curl_slist_append(lines, type);
    }
    if (q->header != NULL)
        lines = curl_slist_append(lines, q->header);
    if (curl == NULL)
        curl = curl_easy_init();
    curl_easy_reset(curl); /* connections stay */
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, q->method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, lines);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 60L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    set_body(curl, q);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, collect_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, head);
    CURLcode code = curl_easy_perform(curl);
    ck_assert_msg(code == CURLE_OK, "%s %s: %s", q->method, q->path,
                  curl_easy_strerror(code));
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &ret->status);
    curl_easy_getinfo(curl, CURLINFO_TOTAL_TIME, &ret->second);
    curl_slist_free_all(lines);
}

static char *etag_of(const char *head)
{
    const char *at = strcasestr(head, "\r\nETag: ");
    if (at == NULL)
        return strdup("");
    at += strlen("\r\nETag: ");
    return strndup(at, strcspn(at, "\r\n"));
}

struct told tenant_ask(const char *base, const struct question *q, const char *asked)
{
    struct told told = {0};
    struct text head = {0}, body = {0};
    perform(base, q, &told, &head, &body);
    forget_request(&body);
    told.etag = etag_of(head.data);
    /* A body of bytes is looked at up to its first 0: there are none but of files. */
    add(&head, body.data != NULL ? body.data : "", body.length);
    told.text = head.data;
    free(body.data);
    if (asked != NULL && asked[0] != '\0')
        replace(&told.text, asked, "ASKED");
    return told;
}

void told_free(struct told *told)
{
    free(told->text);
    free(told->etag);
    *told = (struct told){0};
}
