#include "client.h"

#include <check.h>
#include <curl/curl.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "clock.h"
#include "den_check.h"
#include "fs.h"
#include "mem.h"
#include "str.h"

struct bytes {
    char *data;
    size_t length, room;
};

static size_t collect(char *data, size_t size, size_t n, void *to)
{
    struct bytes *bytes = to;
    if (bytes->length + size * n >= bytes->room) {
        size_t room = 2 * (bytes->length + size * n) + 1;
        char *grown = realloc(bytes->data, room);
        if (grown == NULL)
            return 0;
        bytes->data = grown;
        bytes->room = room;
    }
    memcpy(bytes->data + bytes->length, data, size * n);
    bytes->length += size * n;
    bytes->data[bytes->length] = '\0';
    return size * n;
}

/* With DENOISED_TEST_ANSWERS=FILE every exchange becomes a line of it, for a validator of
 * the contract. */
static void note(const char *method, const char *path, const char *type, const void *body,
                 size_t length, const struct answer *a)
{
    const char *file = getenv("DENOISED_TEST_ANSWERS");
    char media[128];
    if (file == NULL || a->status == 0)
        return;
    answer_header(a, "Content-Type", media, sizeof media);
    bool json = type != NULL && strcmp(type, "application/json") == 0 && body != NULL;
    json_t *asked = json ? json_loadb(body, length, JSON_DECODE_ANY, NULL) : NULL;
    json_t *line = json_pack("{ss ss si ss sO* so*}", "method", method, "path", path,
                             "status", (int)a->status, "type", media, "body", a->json,
                             "request", asked != NULL ? asked : json_null());
    char *text = line != NULL ? json_dumps(line, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    json_decref(line);
    if (text == NULL) /* a path that is no UTF-8 */
        return;
    size_t size = strlen(text);
    text[size] = '\n'; /* one write a line, for programs that run beside each other */
    int fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    ck_assert(fd >= 0 && write(fd, text, size + 1) == (ssize_t)size + 1);
    close(fd);
    free(text);
}

struct answer try_ask(const char *method, const char *base, const char *path,
                      const char *type, const void *body, size_t length,
                      const char *header, const char **ret_fault)
{
    struct answer a = {0};
    struct bytes head = {0}, content = {0};
    char url[1024], content_type[160];
    (void)snprintf(url, sizeof url, "%s%s", base, path);
    CURL *curl = curl_easy_init();
    struct curl_slist *lines = curl_slist_append(NULL, "Expect:");
    if (type != NULL) {
        (void)snprintf(content_type, sizeof content_type, "Content-Type: %s", type);
        lines = curl_slist_append(lines, content_type);
    }
    if (header != NULL)
        lines = curl_slist_append(lines, header);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, lines);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 120L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    if (strcmp(method, "HEAD") == 0)
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    if (body != NULL) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)length);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body);
    } else if (strcmp(method, "POST") == 0) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE, 0L);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, "");
    }
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &content);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, collect);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, &head);
    CURLcode code = curl_easy_perform(curl);
    *ret_fault = code == CURLE_OK ? NULL : curl_easy_strerror(code);
    if (code == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &a.status);
    curl_slist_free_all(lines);
    curl_easy_cleanup(curl);
    a.body = content.data != NULL ? content.data : calloc(1, 1);
    a.length = content.length;
    a.headers = head.data != NULL ? head.data : calloc(1, 1);
    char media[128];
    if (strstr(answer_header(&a, "Content-Type", media, sizeof media), "json") != NULL)
        a.json = json_loadb(a.body, a.length, JSON_DECODE_ANY, NULL);
    note(method, path, type, body, length, &a);
    return a;
}

struct answer ask(const char *method, const char *base, const char *path,
                  const char *type, const void *body, size_t length, const char *header)
{
    const char *fault = NULL;
    struct answer a = try_ask(method, base, path, type, body, length, header, &fault);
    ck_assert_msg(fault == NULL, "%s %s%s: %s", method, base, path, fault);
    return a;
}

struct answer get(const char *base, const char *path)
{
    return ask("GET", base, path, NULL, NULL, 0, NULL);
}

struct answer post_json(const char *base, const char *path, const char *json)
{
    return ask("POST", base, path, "application/json", json, strlen(json), NULL);
}

struct answer post_file(const char *base, const char *path, const char *file)
{
    struct den_err err = DEN_ERR_INIT;
    char *data = NULL;
    size_t length = 0;
    ck_assert_msg(den_fs_read(file, (size_t)1 << 30, &data, &length, &err), "%s",
                  err.text);
    struct answer a =
        ask("POST", base, path, "application/octet-stream", data, length, NULL);
    den_free(data);
    return a;
}

void answer_free(struct answer *a)
{
    free(a->body);
    free(a->headers);
    json_decref(a->json);
    *a = (struct answer){0};
}

const char *answer_header(const struct answer *a, const char *name, char *to, size_t size)
{
    size_t length = strlen(name);
    to[0] = '\0';
    for (const char *line = a->headers; line != NULL && *line != '\0';) {
        if (strncasecmp(line, name, length) == 0 && line[length] == ':') {
            const char *value = line + length + 1 + strspn(line + length + 1, " ");
            (void)snprintf(to, size, "%.*s", (int)strcspn(value, "\r\n"), value);
        }
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    return to;
}

const json_t *at(const json_t *value, const char *path)
{
    char key[64];
    while (value != NULL && *path != '\0') {
        size_t length = strcspn(path, ".");
        (void)snprintf(key, sizeof key, "%.*s", (int)length, path);
        int64_t index = 0;
        if (json_is_array(value) && den_parse_int(key, 0, INT32_MAX, &index, NULL))
            value = json_array_get(value, (size_t)index);
        else
            value = json_object_get(value, key);
        path += length + (path[length] == '.');
    }
    return value;
}

const char *text_at(const json_t *value, const char *path)
{
    const char *text = json_string_value(at(value, path));
    return text != NULL ? text : "";
}

double number_at(const json_t *value, const char *path)
{
    const json_t *number = at(value, path);
    return json_is_number(number) ? json_number_value(number) : (double)NAN;
}

void upload(const char *base, const char *file, char *id)
{
    char path[512];
    const char *slash = strrchr(file, '/');
    (void)snprintf(path, sizeof path, "/v1/images?name=%s",
                   slash != NULL ? slash + 1 : file);
    struct answer a = post_file(base, path, file);
    ck_assert_msg(a.status == 201 || a.status == 200, "upload: %ld %s", a.status, a.body);
    (void)snprintf(id, 32, "%s", text_at(a.json, "id"));
    answer_free(&a);
}

void submit_job(const char *base, const char *json, char *id)
{
    struct answer a = post_json(base, "/v1/jobs", json);
    ck_assert_msg(a.status == 202, "%s: %ld %s", json, a.status, a.body);
    (void)snprintf(id, 32, "%s", text_at(a.json, "id"));
    answer_free(&a);
}

void submit_denoise(const char *base, const char *image, const char *by, char *id)
{
    char body[400];
    int n = snprintf(body, sizeof body, "{\"kind\":\"denoise\",\"image\":\"%s\",%s}",
                     image, by);
    ck_assert_int_lt(n, (int)sizeof body);
    submit_job(base, body, id);
}

json_t *wait_job(const char *base, const char *id, double seconds)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/v1/jobs/%s", id);
    seconds *= test_sanitized() ? 5 : 1;
    double end = den_monotonic_s() + seconds;
    for (;;) {
        struct answer a = get(base, path);
        ck_assert_int_eq(a.status, 200);
        if (json_is_string(at(a.json, "finished_at"))) {
            json_t *job = json_incref(a.json);
            answer_free(&a);
            return job;
        }
        ck_assert_msg(den_monotonic_s() < end, "job %s did not end in %.0f s: %s", id,
                      seconds, a.body);
        answer_free(&a);
        (void)usleep(50000);
    }
}

json_t *wait_success(const char *base, const char *id, double seconds)
{
    json_t *job = wait_job(base, id, seconds);
    ck_assert_msg(strcmp(text_at(job, "state"), "succeeded") == 0, "%s: %s",
                  text_at(job, "state"), text_at(job, "error.detail"));
    return job;
}
