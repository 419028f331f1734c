/* Resumable uploads: the tus protocol 1.0.0 [tus.io/protocols/resumable-upload], core and
 * the extensions below.  A finished upload is an image. */

#include <nettle/base16.h>
#include <nettle/memops.h>
#include <nettle/sha2.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base64.h"
#include "handlers.h"
#include "log.h"
#include "mem.h"
#include "str.h"
#include "uploads.h"

#define VERSION "1.0.0"
#define EXTENSIONS "creation,checksum,expiration,termination"

/* ---- headers ---- */

static bool speaks(const struct den_request *request, struct den_err *err)
{
    const char *version = den_request_header(request, "Tus-Resumable");
    return version == NULL || strcmp(version, VERSION) == 0 ||
           den_err_set(err, DEN_E_PRECONDITION,
                       "this server speaks version " VERSION
                       " of the tus protocol (header Tus-Resumable)");
}

static bool header_bytes(const struct den_request *request, const char *name,
                         uint64_t *ret, struct den_err *err)
{
    const char *text = den_request_header(request, name);
    int64_t value = 0;
    if (text == NULL)
        return den_err_field(err, DEN_E_MALFORMED, name, "the header %s is missing",
                             name);
    if (!den_parse_int(text, 0, INT64_MAX, &value, NULL))
        return den_err_field(err, DEN_E_MALFORMED, name,
                             "the header %s must be a number of bytes", name);
    *ret = (uint64_t)value;
    return true;
}

static void set_bytes(struct den_reply *reply, const char *name, uint64_t value)
{
    char text[24];
    den_str_format(text, sizeof text, "%llu", (unsigned long long)value);
    den_reply_header(reply, name, text);
}

/* As an HTTP date [RFC 9110, 5.6.7].  Its names are English: no part of the program
 * calls setlocale. */
static void set_date(struct den_reply *reply, const char *name, int64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm t;
    char text[40];
    if (gmtime_r(&seconds, &t) != NULL &&
        strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &t) > 0)
        den_reply_header(reply, name, text);
}

/* "name aW1n,filetype dGlm": pairs of a key and a value in base64; of all of them only
 * the name is of use here, as "name" or "filename". */
static bool read_name(const struct den_request *request, char *to, size_t size,
                      struct den_err *err)
{
    const char *at = den_request_header(request, "Upload-Metadata");
    den_str_copy(to, size, "image");
    for (; at != NULL && *at != '\0'; at += *at == ',') {
        at += strspn(at, " ");
        size_t pair = strcspn(at, ","), key = strcspn(at, " ,");
        bool wanted = (key == 4 && memcmp(at, "name", 4) == 0) ||
                      (key == 8 && memcmp(at, "filename", 8) == 0);
        size_t length = 0, value = key < pair ? key + 1 : pair;
        size_t end = pair;
        while (end > value && at[end - 1] == ' ')
            end--;
        if (wanted) {
            if (!den_base64_decode(at + value, end - value, (uint8_t *)to, size - 1,
                                   &length))
                return den_err_field(err, DEN_E_MALFORMED, "Upload-Metadata",
                                     "the name in the header Upload-Metadata must be "
                                     "base64 of 1 to %zu bytes",
                                     size - 1);
            to[length] = '\0';
            if (strlen(to) != length)
                return den_err_field(err, DEN_E_MALFORMED, "Upload-Metadata",
                                     "the name in the header Upload-Metadata has a NUL");
        }
        at += pair;
    }
    const char *last = den_str_file_name(to);
    memmove(to, last, strlen(last) + 1);
    return true;
}

/* ---- begin, look, end ---- */

DEN_HANDLER(den_h_upload_options)
{
    struct den_api *api = app;
    (void)request;
    (void)err;
    den_reply_status(reply, 204);
    den_reply_header(reply, "Tus-Resumable", VERSION);
    den_reply_header(reply, "Tus-Version", VERSION);
    den_reply_header(reply, "Tus-Extension", EXTENSIONS);
    den_reply_header(reply, "Tus-Checksum-Algorithm", "sha256");
    set_bytes(reply, "Tus-Max-Size", den_http_upload_max(api->http));
    return true;
}

static json_t *json_upload(const struct den_upload_row *row, uint64_t offset)
{
    return json_pack("{ss ss sI sI so so so}", "id", row->id, "name", row->name, "length",
                     (json_int_t)row->length, "offset", (json_int_t)offset, "image",
                     den_json_text(row->image), "created_at",
                     den_json_time(row->created_ms), "expires_at",
                     den_json_time(row->expires_ms));
}

static bool reply_upload(struct den_reply *reply, unsigned status,
                         const struct den_upload_row *row, uint64_t offset,
                         struct den_err *err)
{
    den_reply_header(reply, "Tus-Resumable", VERSION);
    set_bytes(reply, "Upload-Offset", offset);
    set_bytes(reply, "Upload-Length", row->length);
    set_date(reply, "Upload-Expires", row->expires_ms);
    return den_reply_json(reply, status, json_upload(row, offset), err);
}

DEN_HANDLER(den_h_upload_add)
{
    struct den_api *api = app;
    struct den_upload_row row;
    char name[DEN_NAME_SIZE], location[80];
    uint64_t length = 0;
    if (!speaks(request, err) || !read_name(request, name, sizeof name, err) ||
        !header_bytes(request, "Upload-Length", &length, err) ||
        !den_service_add_upload(api->service, den_request_owner(request), name, length,
                                den_http_upload_max(api->http), &row, err))
        return false;
    den_str_format(location, sizeof location, "/v1/uploads/%s", row.id);
    den_reply_header(reply, "Location", location);
    return reply_upload(reply, 201, &row, 0, err);
}

DEN_HANDLER(den_h_upload_get)
{
    struct den_api *api = app;
    struct den_upload_row row;
    const char *id;
    uint64_t offset = 0;
    if (!speaks(request, err) || !den_api_id(request, "upl_", &id, err) ||
        !api->store_kind->upload_get(api->store, den_request_owner(request), id, &row,
                                     err) ||
        !den_service_upload_offset(api->service, &row, &offset, err))
        return false;
    den_reply_header(reply, "Cache-Control", "no-store");
    return reply_upload(reply, 200, &row, offset, err);
}

DEN_HANDLER(den_h_upload_delete)
{
    struct den_api *api = app;
    const char *id;
    if (!speaks(request, err) || !den_api_id(request, "upl_", &id, err) ||
        !den_service_delete_upload(api->service, den_request_owner(request), id, err))
        return false;
    den_reply_header(reply, "Tus-Resumable", VERSION);
    den_reply_status(reply, 204);
    return true;
}

/* ---- a part ---- */

struct arrival {
    struct den_upload_part *part;
    bool has_checksum, settled;
    uint8_t checksum[SHA256_DIGEST_SIZE];
};

static bool read_checksum(const struct den_request *request, struct arrival *arrival,
                          struct den_err *err)
{
    static const char algorithm[] = "sha256 ";
    const char *text = den_request_header(request, "Upload-Checksum");
    size_t length = 0;
    if (text == NULL)
        return true;
    arrival->has_checksum = true;
    if (!den_str_starts(text, algorithm))
        return den_err_field(err, DEN_E_MALFORMED, "Upload-Checksum",
                             "the header Upload-Checksum must be 'sha256' and the hash "
                             "in base64");
    text += strlen(algorithm);
    return (den_base64_decode(text, strlen(text), arrival->checksum,
                              sizeof arrival->checksum, &length) &&
            length == sizeof arrival->checksum) ||
           den_err_field(err, DEN_E_MALFORMED, "Upload-Checksum",
                         "the hash in the header Upload-Checksum must be %d bytes in "
                         "base64",
                         SHA256_DIGEST_SIZE);
}

bool den_api_part_begin(void *app, const struct den_request *request,
                        struct den_part *ret, struct den_err *err)
{
    struct den_api *api = app;
    const char *id, *type = den_request_header(request, "Content-Type");
    uint64_t offset = 0;
    if (!speaks(request, err) || !den_api_id(request, "upl_", &id, err))
        return false;
    if (type == NULL || strcasecmp(type, "application/offset+octet-stream") != 0)
        return den_err_set(err, DEN_E_UNSUPPORTED,
                           "the Content-Type of a part must be "
                           "application/offset+octet-stream");
    struct arrival *arrival = den_new(1, sizeof *arrival, err);
    if (arrival == NULL)
        return false;
    if (!read_checksum(request, arrival, err) ||
        !header_bytes(request, "Upload-Offset", &offset, err) ||
        !den_upload_part_open(api->service, den_request_owner(request), id, offset,
                              &arrival->part, err)) {
        den_free(arrival);
        return false;
    }
    *ret = (struct den_part){.fd = arrival->part->fd,
                             .most = arrival->part->row.length - offset,
                             .context = arrival};
    return true;
}

/* Without a checksum, what came before a connection broke stays; with one, nobody can say
 * whether it is good. */
void den_api_part_end(void *app, struct den_part *part)
{
    (void)app;
    struct arrival *arrival = part->context;
    if (arrival->has_checksum && !arrival->settled &&
        !den_upload_part_drop(arrival->part, NULL))
        den_log(DEN_WARN, "part_not_removed", " upload=%s", arrival->part->row.id);
    den_upload_part_close(arrival->part);
    den_free(arrival);
}

static bool hash_is(const struct den_upload *upload, const struct arrival *arrival)
{
    char hex[BASE16_ENCODE_LENGTH(SHA256_DIGEST_SIZE)];
    base16_encode_update(hex, sizeof arrival->checksum, arrival->checksum);
    return memeql_sec(hex, upload->sha256, sizeof hex);
}

DEN_HANDLER(den_h_upload_part)
{
    (void)app;
    (void)request;
    const struct den_upload *upload = den_request_upload(request);
    struct arrival *arrival = upload->part;
    struct den_upload_part *part = arrival->part;
    uint64_t offset = part->start + upload->bytes;
    if (arrival->has_checksum && !hash_is(upload, arrival))
        return den_err_set(err, DEN_E_CHECKSUM,
                           "the part does not have the hash of its header "
                           "Upload-Checksum; send it again from byte %llu",
                           (unsigned long long)part->start);
    arrival->settled = true;
    den_reply_header(reply, "Tus-Resumable", VERSION);
    set_bytes(reply, "Upload-Offset", offset);
    den_reply_status(reply, 204);
    if (offset < part->row.length) {
        set_date(reply, "Upload-Expires", part->row.expires_ms);
        return den_upload_part_keep(part, err);
    }
    struct den_image_row image;
    bool is_new = false;
    char location[80];
    if (!den_upload_part_finish(part, &image, &is_new, err))
        return false;
    den_str_format(location, sizeof location, "/v1/images/%s", image.id);
    den_reply_header(reply, "Location", location);
    return true;
}

DEN_AGAIN(den_again_upload)
{
    struct den_upload_row row;
    char location[80];
    uint64_t offset = 0;
    if (!api->store_kind->upload_get(api->store, den_request_owner(request), object, &row,
                                     err) ||
        !den_service_upload_offset(api->service, &row, &offset, err))
        return false;
    den_str_format(location, sizeof location, "/v1/uploads/%s", row.id);
    den_reply_header(reply, "Location", location);
    return reply_upload(reply, 201, &row, offset, err);
}
