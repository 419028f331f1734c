/* The web page: files of api/web/, which are part of the program. */

#include <string.h>

#include "handlers.h"
#include "mem.h"
#include "range.h"
#include "str.h"

struct web_file {
    const char *name, *sha256;
    size_t length;
    const char *bytes;
};
#include "web_files.inc"

/* By the ending of a name; what has none of these is not for a browser. */
static const struct {
    const char *ending, *media;
} kinds[] = {
    {".html", "text/html; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".svg", "image/svg+xml"},
};

static const char *media_of(const char *name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (den_str_ends(name, kinds[i].ending))
            return kinds[i].media;
    return "application/octet-stream";
}

static const struct web_file *find(const char *name)
{
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++)
        if (strcmp(files[i].name, name) == 0)
            return &files[i];
    return NULL;
}

/* A browser asks each time, and a server of another version answers with other files. */
static bool reply_web(const struct den_request *request, const char *name,
                      struct den_reply *reply, struct den_err *err)
{
    const struct web_file *file = find(name);
    const char *known = den_request_header(request, "If-None-Match");
    char tag[80];
    if (file == NULL)
        return den_err_set(err, DEN_E_NOT_FOUND, "the page has no file '%.64s'",
                           den_utf8_printable(name) ? name : "?");
    (void)den_str_format(tag, sizeof tag, "\"%s\"", file->sha256);
    den_reply_header(reply, "ETag", tag);
    den_reply_header(reply, "Cache-Control", "no-cache");
    if (known != NULL && den_etag_listed(known, tag)) {
        /* Headers of a 304 replace those that a browser has kept: without its type the
         * page would get the policy of data, under which nothing of it runs. */
        den_reply_header(reply, "Content-Type", media_of(file->name));
        den_reply_status(reply, 304);
        return true;
    }
    char *copy = den_new(file->length, 1, err);
    if (copy == NULL)
        return false;
    memcpy(copy, file->bytes, file->length);
    den_reply_take(reply, media_of(file->name), copy, file->length);
    return true;
}

DEN_HANDLER(den_h_page)
{
    (void)app;
    return reply_web(request, "index.html", reply, err);
}

DEN_HANDLER(den_h_web)
{
    (void)app;
    return reply_web(request, den_request_param(request, "file"), reply, err);
}
