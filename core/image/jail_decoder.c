/* The decoder's side of a session.  It runs behind the lock: no path, no new descriptor,
 * no log.  The rows of den_formats[] do not know where they run. */
#include "jail_private.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "format.h"

struct decoder {
    int session, input, output;
    const struct den_format *format;
    void *state;
    void *pixels; /* a page, shared with the daemon; NULL at first */
};

/* The page's memory comes with the first request that needs it. */
static bool take_pixels(struct decoder *d, uint64_t bytes, int fd, struct den_err *err)
{
    if (d->pixels != NULL)
        return true;
    void *pixels =
        fd < 0 ? MAP_FAILED
               : mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (pixels == MAP_FAILED)
        return den_err_set(err, DEN_E_NO_MEMORY, "there is not enough memory for a page");
    d->pixels = pixels;
    return true;
}

static bool open_file(struct decoder *d, const struct den_jail_request *request,
                      struct den_image_info *info, struct den_err *err)
{
    d->format = den_format_of_file(d->input, err);
    return d->format != NULL && d->format->open(d->input, request->file_bytes,
                                                &request->limits, info, &d->state, err);
}

static bool rewrite_file(struct decoder *d, const struct den_jail_request *request,
                         struct den_image_info *info, struct den_err *err)
{
    d->format = den_format_of_file(d->input, err);
    if (d->format == NULL)
        return false;
    if (d->format->rewrite == NULL)
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "images of the format %s can be read, but not rewritten",
                           d->format->name);
    return d->format->rewrite(d->input, request->file_bytes, d->output, &request->limits,
                              request->provenance, info, &d->state, err);
}

static bool act(struct decoder *d, const struct den_jail_request *request, int fd,
                struct den_image_info *info, struct den_err *err)
{
    bool opens = request->action == DEN_JAIL_OPEN || request->action == DEN_JAIL_REWRITE;
    if (opens == (d->format != NULL))
        return den_err_set(err, DEN_E_INTERNAL, "requests came in a wrong order");
    switch (request->action) {
    case DEN_JAIL_OPEN:
        return open_file(d, request, info, err);
    case DEN_JAIL_READ:
        return take_pixels(d, request->page_bytes, fd, err) &&
               d->format->read(d->state, request->page, d->pixels, err);
    case DEN_JAIL_REWRITE:
        return rewrite_file(d, request, info, err);
    case DEN_JAIL_REPLACE:
        return take_pixels(d, request->page_bytes, fd, err) &&
               d->format->replace(d->state, request->page, d->pixels, err);
    case DEN_JAIL_COMPLETE:
        return d->format->complete(d->state, err);
    }
    return false;
}

void den_jail_decode(int session, int input, int output)
{
    struct decoder d = {.session = session, .input = input, .output = output};
    struct den_jail_request request;
    int fd = -1;
    size_t fds = 0;
    while (den_jail_receive(session, &request, sizeof request, &fd, 1, &fds) == 0) {
        struct den_jail_answer answer;
        memset(&answer, 0, sizeof answer);
        answer.number = request.number;
        answer.err = DEN_ERR_INIT;
        answer.done = act(&d, &request, fds > 0 ? fd : -1, &answer.info, &answer.err);
        den_jail_close_all(&fd, fds);
        if (den_jail_send(session, &answer, sizeof answer, NULL, 0) != 0)
            break;
    }
}
