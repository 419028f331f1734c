/* An image through a model or a filter, page by page: a stack never lies in memory
 * whole. */

#include "restorer.h"

#include <string.h>

#include "mem.h"
#include "run_kinds.h"
#include "str.h"

static bool check(struct den_service *s, const struct den_job_request *request,
                  struct den_job_row *row, struct den_job_estimate *ret,
                  struct den_err *err)
{
    struct den_err inner = DEN_ERR_INIT;
    struct den_image_row image;
    size_t bytes = 0, units = 0;
    if (!den_check_unused(request->dataset, "/dataset", "a denoise job", err))
        return false;
    if (request->image[0] == '\0')
        return den_err_field(err, DEN_E_INVALID, "/image",
                             "a denoise job needs an image");
    if (!s->kind->image_get(s->store, request->image, &image, &inner))
        return den_err_field(err, inner.code, "/image", "%s", inner.text);
    memcpy(row->image, image.id, sizeof row->image);
    size_t width = image.info.width, height = image.info.height;
    if (!den_restorer_check(s, request, row, err) ||
        !den_restorer_plan(s, row, width, height, &bytes, &units, err))
        return false;
    ret->bytes = bytes;
    ret->steps = units * image.info.pages;
    return true;
}

/* "cell.ome.tif" -> "cell.ome_denoised.tif": only the last suffix is one. */
static void name_result(const struct den_image_row *image, struct den_job_row *row)
{
    const char *suffix = "", *media = "application/octet-stream";
    for (size_t i = 0; den_formats[i] != NULL; i++)
        if (strcmp(den_formats[i]->name, image->info.format) == 0) {
            suffix = den_formats[i]->suffix;
            media = den_formats[i]->media_type;
        }
    enum { ADDED = 32 }; /* room for what is appended */
    char stem[DEN_NAME_SIZE - ADDED];
    den_str_copy(stem, sizeof stem, image->name);
    den_utf8_trim(stem);
    char *dot = strrchr(stem, '.');
    if (dot != NULL && dot != stem)
        *dot = '\0';
    den_str_format(row->result_name, sizeof row->result_name, "%s_denoised%s", stem,
                   suffix);
    den_str_copy(row->result_media, sizeof row->result_media, media);
}

struct stack {
    struct den_restorer restorer;
    struct den_reader *reader;
    struct den_writer *writer;
    struct den_image_info info;
    float *noisy, *restored; /* a page each, the restorer's */
    size_t units;            /* ticks per page */
    uint64_t clipped;
};

/* The result goes to a temporary file on the file system of the blobs: taking it over is
 * a rename. */
static bool open_stack(struct den_job_context *context, const struct den_job_row *row,
                       const struct den_image_row *image, struct stack *stack,
                       struct den_err *err)
{
    struct den_service *s = context->service;
    char path[PATH_MAX];
    den_blobs_path(s->blobs, image->sha256, path, sizeof path);
    den_blobs_temporary(s->blobs, context->result, sizeof context->result);
    if (!den_restorer_open(context, row, &stack->restorer, err) ||
        !den_reader_open(path, &s->config.image_limits, &stack->reader, err))
        return false;
    stack->info = *den_reader_info(stack->reader);
    if (stack->info.channels != 1)
        return den_err_set(err, DEN_E_UNPROCESSABLE,
                           "the image has %u channels; only 1 is denoised",
                           (unsigned)stack->info.channels);
    if (!den_restorer_size(&stack->restorer, stack->info.width, stack->info.height,
                           &stack->units, err) ||
        !den_restorer_buffers(&stack->restorer, &stack->noisy, &stack->restored, err) ||
        !den_writer_open(context->result, &stack->info, &stack->writer, err))
        return false;
    /* Nothing is restored yet when a page is unpacked, and the noisy one is done with
     * when the restored one is packed: each is room for the other in the file's type,
     * unless that is wider than float. */
    if (den_dtype_bytes(stack->info.dtype) > sizeof *stack->restored)
        return true;
    den_reader_lend(stack->reader, stack->restored);
    den_writer_lend(stack->writer, stack->noisy);
    return true;
}

static void close_stack(struct den_job_context *context, struct stack *stack)
{
    den_writer_abandon(stack->writer);
    den_reader_close(stack->reader);
    den_restorer_give_back(context, &stack->restorer);
}

static bool run_pages(struct den_job_context *context, struct stack *stack,
                      struct den_err *err)
{
    size_t total = stack->units * stack->info.pages;
    for (uint32_t page = 0; page < stack->info.pages; page++)
        if (!den_reader_page_float(stack->reader, page, stack->noisy, err) ||
            !den_restorer_page(&stack->restorer, stack->noisy, stack->restored,
                               &context->progress, page * stack->units, total, err) ||
            !den_writer_page_float(stack->writer, stack->restored, &stack->clipped, err))
            return false;
    struct den_writer *writer = stack->writer;
    stack->writer = NULL; /* finish frees it in any case */
    return den_writer_finish(writer, err);
}

static bool run(struct den_job_context *context, struct den_job_row *row,
                struct den_err *err)
{
    struct den_service *s = context->service;
    struct den_image_row image;
    struct stack stack = {0};
    bool done = s->kind->image_get(s->store, row->image, &image, err) &&
                open_stack(context, row, &image, &stack, err) &&
                run_pages(context, &stack, err);
    if (done) {
        name_result(&image, row);
        row->clipped = stack.clipped;
        if (stack.clipped > 0)
            den_job_log(context, "%llu pixels were clipped to the range of %s",
                        (unsigned long long)stack.clipped,
                        den_dtype_name(stack.info.dtype));
    }
    close_stack(context, &stack);
    return done;
}

const struct den_job_kind den_job_denoise = {
    .name = "denoise",
    .doc = "One image, all pages, through a model or a filter; same type and format.",
    .check = check,
    .run = run,
};
