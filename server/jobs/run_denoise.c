/* An image through a model or a filter, plane by plane: a stack never lies in memory
 * whole.  The result is a copy of the file in which only pixels differ, so pages of which
 * nothing is chosen are not even looked at. */

#include "restorer.h"

#include <inttypes.h>
#include <string.h>

#include "clock.h"
#include "convert.h"
#include "mem.h"
#include "result_name.h"
#include "rewrite.h"
#include "run_kinds.h"
#include "selection.h"
#include "str.h"

/* ---- admission ---- */

/* A page in the file's type has its place in the two pages of float, when it has one
 * channel and no more bytes than they. */
static bool fits_float(const struct den_image_info *info)
{
    return info->channels == 1 && den_dtype_bytes(info->dtype) <= sizeof(float);
}

/* What reading and rewriting hold beside the page: a strip or a tile may be the whole
 * page, packed and not, of the source and of the copy; and the state of the libraries. */
static size_t codec_bytes(const struct den_image_info *info)
{
    enum { PAGES = 4, STATE = 4 << 20 };
    return PAGES * den_image_page_bytes(info) + STATE;
}

static bool plan(struct den_service *s, const struct den_job_row *row,
                 const struct den_image_info *info, const struct den_selection *selection,
                 struct den_job_estimate *ret, struct den_err *err)
{
    size_t bytes = 0, units = 0;
    double rate = 0;
    uint64_t planes = den_selection_planes(selection, info);
    if (!den_restorer_plan(s, row, info->width, info->height, &bytes, &units, err) ||
        !den_restorer_rate(s, row, &rate, &ret->measured, ret->rate, err))
        return false;
    ret->bytes =
        bytes + codec_bytes(info) + (fits_float(info) ? 0 : den_image_page_bytes(info));
    ret->steps = units * planes;
    ret->units = (double)planes * (double)info->width * (double)info->height;
    ret->seconds = rate * ret->units;
    return true;
}

static bool add_selection(const struct den_job_request *request, struct den_job_row *row,
                          struct den_err *err)
{
    return (request->pages[0] == '\0' ||
            den_config_add(row->config, "pages", request->pages, err)) &&
           (request->channels[0] == '\0' ||
            den_config_add(row->config, "channels", request->channels, err));
}

static bool check(struct den_service *s, const struct den_job_request *request,
                  struct den_job_row *row, struct den_job_estimate *ret,
                  struct den_err *err)
{
    struct den_err inner = DEN_ERR_INIT;
    struct den_image_row image;
    struct den_selection selection;
    if (!den_check_unused(request->dataset, "/dataset", "a denoise job", err))
        return false;
    if (request->image[0] == '\0')
        return den_err_field(err, DEN_E_INVALID, "/image",
                             "a denoise job needs an image");
    if (!s->kind->image_get(s->store, row->owner, request->image, &image, &inner))
        return den_err_field(err, inner.code, "/image", "%s", inner.text);
    memcpy(row->image, image.id, sizeof row->image);
    return den_restorer_check(s, request, row, err) &&
           den_selection_parse(request->pages, request->channels, &image.info, &selection,
                               err) &&
           add_selection(request, row, err) &&
           plan(s, row, &image.info, &selection, ret, err);
}

/* ---- a run ---- */

struct stack {
    struct den_restorer restorer;
    struct den_reader *reader;
    struct den_rewriter *rewriter;
    struct den_image_info info;
    char pages[DEN_PAGES_SIZE], channels[DEN_CHANNELS_SIZE]; /* as asked for, "" = all */
    struct den_selection selection;
    float *noisy, *restored; /* a plane each, the restorer's */
    void *raw;               /* a page of the file, ours; NULL: it fits the two above */
    size_t units, ticked;    /* ticks per plane, and so far */
    uint64_t planes, clipped;
};

static bool get_selection(void *context, const char *key, const char *value,
                          struct den_err *err)
{
    struct stack *stack = context;
    (void)err;
    if (strcmp(key, "pages") == 0)
        den_str_copy(stack->pages, sizeof stack->pages, value);
    if (strcmp(key, "channels") == 0)
        den_str_copy(stack->channels, sizeof stack->channels, value);
    return true;
}

/* What the result says about where it comes from. */
static void describe(const struct den_job_row *row, const struct stack *stack, char *to,
                     size_t size)
{
    const struct den_restorer *r = &stack->restorer;
    den_str_format(to, size, "denoised %s; job %s; %s %s%s%s; channels %s; pages %s",
                   DEN_VERSION, row->id, r->model != NULL ? "model" : "filter", r->label,
                   r->model != NULL ? " sha256:" : "", r->sha256,
                   stack->channels[0] != '\0' ? stack->channels : "all",
                   stack->pages[0] != '\0' ? stack->pages : "all");
}

static bool open_buffers(struct stack *stack, struct den_err *err)
{
    if (!den_restorer_size(&stack->restorer, stack->info.width, stack->info.height,
                           &stack->units, err) ||
        !den_restorer_buffers(&stack->restorer, &stack->noisy, &stack->restored, err))
        return false;
    if (!fits_float(&stack->info))
        stack->raw = den_new(1, den_image_page_bytes(&stack->info), err);
    return stack->raw != NULL || fits_float(&stack->info);
}

/* The result goes to a temporary file on the file system of the blobs: taking it over is
 * a rename. */
static bool open_stack(struct den_job_context *context, const struct den_job_row *row,
                       const struct den_image_row *image, struct stack *stack,
                       struct den_err *err)
{
    struct den_service *s = context->service;
    char path[PATH_MAX], origin[1001];
    den_blobs_path(s->blobs, image->sha256, path, sizeof path);
    den_blobs_temporary(s->blobs, context->result, sizeof context->result);
    if (!den_restorer_open(context, row, &stack->restorer, err) ||
        !den_reader_open(path, &s->config.image_limits, &stack->reader, err))
        return false;
    stack->info = *den_reader_info(stack->reader);
    if (!den_config_each(row->config, get_selection, stack, err) ||
        !den_selection_parse(stack->pages, stack->channels, &stack->info,
                             &stack->selection, err) ||
        !open_buffers(stack, err))
        return false;
    describe(row, stack, origin, sizeof origin);
    return den_rewriter_open(path, context->result, &s->config.image_limits, origin,
                             &stack->rewriter, err);
}

static void close_stack(struct den_job_context *context, struct stack *stack)
{
    den_rewriter_abandon(stack->rewriter);
    den_reader_close(stack->reader);
    den_restorer_give_back(context, &stack->restorer);
    den_free(stack->raw);
}

static size_t plane_pixels(const struct stack *stack)
{
    return (size_t)stack->info.width * stack->info.height;
}

/* Nothing is restored yet when a page is read, so that is where it may lie. */
static void *read_place(const struct stack *stack)
{
    return stack->raw != NULL ? stack->raw : stack->restored;
}

static void *plane_of(const struct stack *stack, void *page, uint32_t sample)
{
    return (char *)page +
           sample * plane_pixels(stack) * den_dtype_bytes(stack->info.dtype);
}

/* The sample of the page that was read, as float. */
static bool take_plane(struct stack *stack, uint32_t page, uint32_t sample,
                       struct den_err *err)
{
    size_t n = plane_pixels(stack), width = stack->info.width;
    den_to_float(stack->info.dtype, plane_of(stack, read_place(stack), sample),
                 stack->noisy, n);
    size_t bad =
        den_dtype_is_float(stack->info.dtype) ? den_find_nonfinite(stack->noisy, n) : n;
    return bad == n || den_err_set(err, DEN_E_UNPROCESSABLE,
                                   "page %" PRIu32 ", channel %" PRIu32
                                   " has a pixel that is no finite number at x %zu, y "
                                   "%zu; NaN and infinity are not processed",
                                   page, sample, bad % width, bad / width);
}

/* Where a page has one channel, its noisy values are done with and make room. */
static void put_plane(struct stack *stack, uint32_t sample)
{
    void *page = stack->raw != NULL ? stack->raw : stack->noisy;
    stack->clipped +=
        den_from_float_bits(stack->info.dtype, stack->info.bits, stack->restored,
                            plane_of(stack, page, sample), plane_pixels(stack));
}

static bool run_page(struct den_job_context *context, struct stack *stack, uint32_t page,
                     size_t total, struct den_err *err)
{
    if (!den_reader_page(stack->reader, page, read_place(stack), err))
        return false;
    for (uint32_t sample = 0; sample < stack->info.channels; sample++) {
        if (!den_selection_has(&stack->selection, &stack->info, page, sample))
            continue;
        if (!take_plane(stack, page, sample, err) ||
            !den_restorer_page(&stack->restorer, stack->noisy, stack->restored,
                               &context->progress, stack->ticked, total, err))
            return false;
        put_plane(stack, sample);
        stack->ticked += stack->units;
        stack->planes++;
    }
    return den_rewriter_page(stack->rewriter, page,
                             stack->raw != NULL ? stack->raw : stack->noisy, err);
}

/* Equal values of a series must stay equal, so a model that goes by the image goes by all
 * the planes that it will see. */
static bool see_series(struct den_job_context *context, struct stack *stack, size_t total,
                       struct den_err *err)
{
    struct den_norm_span span = {.any = false};
    if (!den_restorer_by_image(&stack->restorer))
        return true;
    for (uint32_t page = 0; page < stack->info.pages; page++) {
        if (den_selection_of_page(&stack->selection, &stack->info, page) == 0)
            continue;
        if (!den_job_go_on(den_tick(&context->progress, 0, total), err) ||
            !den_reader_page(stack->reader, page, read_place(stack), err))
            return false;
        for (uint32_t sample = 0; sample < stack->info.channels; sample++)
            if (den_selection_has(&stack->selection, &stack->info, page, sample) &&
                (!take_plane(stack, page, sample, err) ||
                 !den_norm_see(&span, stack->noisy, plane_pixels(stack), err)))
                return false;
    }
    den_restorer_set_span(&stack->restorer, &span);
    return true;
}

static bool run_pages(struct den_job_context *context, struct stack *stack,
                      struct den_err *err)
{
    size_t total = stack->units * den_selection_planes(&stack->selection, &stack->info);
    if (!see_series(context, stack, total, err))
        return false;
    for (uint32_t page = 0; page < stack->info.pages; page++)
        if (den_selection_of_page(&stack->selection, &stack->info, page) > 0 &&
            !run_page(context, stack, page, total, err))
            return false;
    struct den_rewriter *rewriter = stack->rewriter;
    stack->rewriter = NULL; /* finish frees it in any case */
    return den_rewriter_finish(rewriter, err);
}

static void report(struct den_job_context *context, const struct stack *stack,
                   struct den_job_row *row)
{
    const struct den_image_info *info = &stack->info;
    row->clipped = stack->clipped;
    row->planes = stack->planes;
    row->planes_left = (uint64_t)info->pages * info->channels - stack->planes;
    den_str_copy(row->dtype, sizeof row->dtype, den_dtype_name(info->dtype));
    den_str_copy(row->model_sha256, sizeof row->model_sha256, stack->restorer.sha256);
    if (stack->clipped > 0)
        den_job_log(context, "%" PRIu64 " pixels were clipped to the range of %s",
                    stack->clipped, row->dtype);
}

static bool run(struct den_job_context *context, struct den_job_row *row,
                struct den_err *err)
{
    struct den_service *s = context->service;
    struct den_image_row image;
    struct stack stack = {.raw = NULL};
    bool done = s->kind->image_get(s->store, row->owner, row->image, &image, err) &&
                open_stack(context, row, &image, &stack, err);
    double began = den_monotonic_s();
    done = done && run_pages(context, &stack, err);
    if (done) {
        den_rates_add(&s->rates, den_restorer_key(&stack.restorer),
                      den_monotonic_s() - began,
                      (double)stack.planes * (double)plane_pixels(&stack));
        den_result_name(image.name, &image.info, row->result_name, row->result_media);
        report(context, &stack, row);
    }
    close_stack(context, &stack);
    return done;
}

const struct den_job_kind den_job_denoise = {
    .name = "denoise",
    .doc = "One image, all pages or some, through a model or a filter; same type and "
           "format.",
    .check = check,
    .run = run,
};
