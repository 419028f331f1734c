/* The report of an experiment as one picture that stands alone: SVG 1.1, white ground,
 * text as text, crops as PNG within. */

#include <math.h>
#include <string.h>

#include "experiment_api.h"
#include "str.h"

#define WIDTH 960       /* of the picture, in SVG units */
#define MARGIN 24       /* around everything */
#define CROP 144        /* side of a crop */
#define CROPS_A_LINE 6  /* CROPS_A_LINE * (CROP + GAP) - GAP fits between the margins */
#define GAP 9           /* between crops */
#define CAPTION 36      /* two lines below a crop */
#define CROPS_MOST 60   /* rows with a crop; more say nothing in a picture */
#define PLOT_HEIGHT 360 /* of the axes */
#define PLOT_WIDTH 620
#define LINES_MOST 16 /* rows with a line */

/* Colours that differ for the colour-blind, too [Okabe and Ito 2008]; lines of the second
 * round are dashed. */
static const char *const colours[] = {"#000000", "#e69f00", "#56b4e9", "#009e73",
                                      "#0072b2", "#d55e00", "#cc79a7", "#8a7f00"};
#define COLOURS (sizeof colours / sizeof colours[0])

struct drawing {
    struct den_buf *to;
    const struct den_experiment_state *state;
    const struct den_experiment *e;
};

/* Text is valid UTF-8 without control characters; what XML 1.0 does not have besides
 * (U+FFFE and U+FFFF) becomes a question mark. */
static void put_escaped(struct den_buf *to, const char *text)
{
    static const struct {
        char c;
        const char *entity;
    } entities[] = {{'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}, {'"', "&quot;"}};
    for (; *text != '\0'; text++) {
        size_t i = 0;
        while (i < 4 && entities[i].c != *text)
            i++;
        if (i < 4)
            den_buf_puts(to, entities[i].entity);
        else if (strncmp(text, "\xef\xbf\xbe", 3) == 0 ||
                 strncmp(text, "\xef\xbf\xbf", 3) == 0) {
            den_buf_puts(to, "?");
            text += 2;
        } else
            den_buf_add(to, text, 1);
    }
}

/* anchor: start, middle or end. */
static void put_label(struct drawing *d, double x, double y, const char *anchor,
                      const char *colour, const char *text)
{
    den_buf_printf(d->to, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\" fill=\"%s\">",
                   x, y, anchor, colour);
    put_escaped(d->to, text);
    den_buf_puts(d->to, "</text>\n");
}

/* A name, cut off when it would run into what stands beside it. */
static void put_name(struct drawing *d, double x, double y, size_t most, const char *name)
{
    char text[DEN_EXPERIMENT_NAME + 4];
    (void)den_str_copy(text, sizeof text - 3, name);
    if (strlen(text) > most) {
        text[most] = '\0';
        den_utf8_trim(text);
        (void)den_str_copy(text + strlen(text), 4, "...");
    }
    put_label(d, x, y, "start", "#000000", text);
}

static void put_line(struct drawing *d, double x1, double y1, double x2, double y2,
                     const char *colour)
{
    den_buf_printf(d->to,
                   "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" "
                   "stroke=\"%s\"/>\n",
                   x1, y1, x2, y2, colour);
}

static int digits_of(const struct den_experiment *e)
{
    const struct den_metric *metric = den_metric_find(e->metrics[0]);
    return metric != NULL && strcmp(metric->unit, "dB") == 0 ? 2 : 4;
}

/* "psnr_matched [dB]" */
static void name_metric(const struct den_experiment *e, char *to, size_t size)
{
    const struct den_metric *metric = den_metric_find(e->metrics[0]);
    if (metric != NULL && metric->unit[0] != '\0')
        (void)den_str_format(to, size, "%s [%s]", metric->name, metric->unit);
    else
        (void)den_str_copy(to, size, e->metrics[0]);
}

/* ---- crops ---- */

/* Number `place` of the crops; value NaN: none is shown. */
static void put_crop(struct drawing *d, size_t place, double top, const char *name,
                     double value, const char *png)
{
    size_t line = place / CROPS_A_LINE, column = place % CROPS_A_LINE;
    double x = MARGIN + (double)column * (CROP + GAP);
    double y = top + (double)line * (CROP + CAPTION + GAP);
    char text[32];
    den_buf_printf(d->to,
                   "<image x=\"%.1f\" y=\"%.1f\" width=\"%d\" height=\"%d\" "
                   "style=\"image-rendering:pixelated\" "
                   "xlink:href=\"data:image/png;base64,",
                   x, y, CROP, CROP);
    den_buf_puts(d->to, png);
    den_buf_puts(d->to, "\"/>\n");
    put_name(d, x, y + CROP + 14, 20, name);
    if (!isfinite(value))
        return;
    (void)den_str_format(text, sizeof text, "%.*f", digits_of(d->e), value);
    put_label(d, x, y + CROP + 29, "start", "#555555", text);
}

static double shown_value(const struct drawing *d, size_t row)
{
    struct den_experiment_place p = {.row = row, .sample = den_experiment_shown(d->e)};
    const struct den_experiment_result *r =
        &d->state->results[den_experiment_cell(d->e, p)];
    return r->state == DEN_CELL_DONE ? r->values[0] : (double)NAN;
}

/* draw false: only how many there are. */
static size_t put_crops(struct drawing *d, const struct den_experiment_crops *crops,
                        double top, bool draw)
{
    size_t count = 0;
    if (crops->noisy != NULL && draw)
        put_crop(d, count, top, "noisy",
                 d->state->baselines[0].there ? d->state->baselines[0].values[0]
                                              : (double)NAN,
                 crops->noisy);
    count += crops->noisy != NULL;
    for (size_t row = 0; row < d->e->row_count && row < CROPS_MOST; row++) {
        if (crops->row[row] == NULL)
            continue;
        if (draw)
            put_crop(d, count, top, d->e->rows[row].name, shown_value(d, row),
                     crops->row[row]);
        count++;
    }
    if (crops->reference != NULL && draw)
        put_crop(d, count, top, "reference", (double)NAN, crops->reference);
    return count + (crops->reference != NULL);
}

/* ---- learning curves ---- */

struct axes {
    double left, top;                    /* corner of the axes */
    double low, high;                    /* of the metric */
    double fewest, most;                 /* training images */
    size_t rows;                         /* drawn */
    size_t order[DEN_EXPERIMENT_COUNTS]; /* sample counts, ascending by images */
    size_t count;                        /* of these */
};

static double x_of(const struct axes *a, double images)
{
    if (!(a->most > a->fewest))
        return a->left + PLOT_WIDTH / 2.0;
    const double inset = 30; /* so that no point lies on an axis */
    return a->left + inset +
           (PLOT_WIDTH - 2 * inset) * log(images / a->fewest) / log(a->most / a->fewest);
}

static double y_of(const struct axes *a, double value)
{
    return a->top + PLOT_HEIGHT * (a->high - value) / (a->high - a->low);
}

static struct den_spread spread_at(const struct drawing *d, size_t row, size_t sample)
{
    return den_experiment_spread(d->e, d->state->results, row, sample, 0);
}

static double images_at(const struct drawing *d, size_t sample)
{
    return den_experiment_images(d->e, d->state->results, sample);
}

/* Sample counts that have results, by insertion: there are at most 32. */
static void sort_samples(const struct drawing *d, struct axes *a)
{
    for (size_t i = 0; i < d->e->sample_count; i++) {
        double images = images_at(d, i);
        if (!(images > 0))
            continue;
        size_t at = a->count++;
        for (; at > 0 && images_at(d, a->order[at - 1]) > images; at--)
            a->order[at] = a->order[at - 1];
        a->order[at] = i;
    }
}

/* What all points with their bars need; false when there is no point. */
static bool find_range(const struct drawing *d, struct axes *a)
{
    bool any = false;
    for (size_t row = 0; row < a->rows; row++)
        for (size_t i = 0; i < a->count; i++) {
            struct den_spread s = spread_at(d, row, a->order[i]);
            double bar = isfinite(s.sem) ? s.sem : 0;
            if (s.n == 0)
                continue;
            a->low = any ? fmin(a->low, s.mean - bar) : s.mean - bar;
            a->high = any ? fmax(a->high, s.mean + bar) : s.mean + bar;
            any = true;
        }
    if (!any)
        return false;
    double room =
        a->high > a->low ? (a->high - a->low) * 0.08 : fmax(fabs(a->high), 1) / 100;
    a->low -= room;
    a->high += room;
    a->fewest = images_at(d, a->order[0]);
    a->most = images_at(d, a->order[a->count - 1]);
    return true;
}

/* 1, 2 or 5 times a power of ten, so that 4 to 10 marks fit. */
static double tick_step(double range)
{
    double power = pow(10, floor(log10(range / 5)));
    double ratio = range / 5 / power;
    return power * (ratio < 2 ? 1 : ratio < 5 ? 2 : 5);
}

static void put_axes(struct drawing *d, const struct axes *a)
{
    char text[96];
    double step = tick_step(a->high - a->low), bottom = a->top + PLOT_HEIGHT;
    int digits = step < 1 ? (int)ceil(-log10(step) - 1e-9) : 0;
    for (double k = ceil(a->low / step); k * step <= a->high; k++) {
        put_line(d, a->left, y_of(a, k * step), a->left + PLOT_WIDTH, y_of(a, k * step),
                 "#dddddd");
        (void)den_str_format(text, sizeof text, "%.*f", digits, k * step);
        put_label(d, a->left - 6, y_of(a, k * step) + 4, "end", "#000000", text);
    }
    for (size_t i = 0; i < a->count; i++) {
        double x = x_of(a, images_at(d, a->order[i]));
        put_line(d, x, bottom, x, bottom + 5, "#000000");
        (void)den_str_format(text, sizeof text, "%.0f", images_at(d, a->order[i]));
        put_label(d, x, bottom + 19, "middle", "#000000", text);
    }
    put_line(d, a->left, a->top, a->left, bottom, "#000000");
    put_line(d, a->left, bottom, a->left + PLOT_WIDTH, bottom, "#000000");
    put_label(d, a->left + PLOT_WIDTH / 2.0, bottom + 38, "middle", "#000000",
              "noisy images to train on (logarithmic)");
    name_metric(d->e, text, sizeof text);
    put_label(d, a->left, a->top - 10, "start", "#000000", text);
}

/* A line, its bars and its entry in the legend.  Rows are moved apart a little, so that
 * bars do not hide each other. */
static void put_curve(struct drawing *d, const struct axes *a, size_t row)
{
    const char *colour = colours[row % COLOURS];
    double shift = 3 * ((double)row - (double)(a->rows - 1) / 2), y;
    bool first = true;
    for (size_t i = 0; i < a->count; i++) {
        struct den_spread s = spread_at(d, row, a->order[i]);
        double x = x_of(a, images_at(d, a->order[i])) + shift;
        if (s.n == 0)
            continue;
        if (first)
            den_buf_printf(d->to,
                           "<polyline fill=\"none\" stroke-width=\"1.5\" stroke=\"%s\"%s "
                           "points=\"",
                           colour, row >= COLOURS ? " stroke-dasharray=\"5 3\"" : "");
        den_buf_printf(d->to, "%.1f,%.1f ", x, y_of(a, s.mean));
        first = false;
    }
    if (!first)
        den_buf_puts(d->to, "\"/>\n");
    for (size_t i = 0; i < a->count; i++) {
        struct den_spread s = spread_at(d, row, a->order[i]);
        double x = x_of(a, images_at(d, a->order[i])) + shift;
        if (s.n == 0)
            continue;
        den_buf_printf(d->to, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n",
                       x, y_of(a, s.mean), colour);
        if (isfinite(s.sem))
            put_line(d, x, y_of(a, s.mean - s.sem), x, y_of(a, s.mean + s.sem), colour);
    }
    y = a->top + 12 + 20 * (double)row;
    put_line(d, a->left + PLOT_WIDTH + 20, y - 4, a->left + PLOT_WIDTH + 44, y - 4,
             colour);
    put_name(d, a->left + PLOT_WIDTH + 50, y, 24, d->e->rows[row].name);
}

static void put_curves(struct drawing *d, double top)
{
    struct axes a = {.left = MARGIN + 50, .top = top + 30};
    a.rows = d->e->row_count < LINES_MOST ? d->e->row_count : LINES_MOST;
    sort_samples(d, &a);
    if (!find_range(d, &a)) {
        put_label(d, MARGIN, top + 30, "start", "#555555", "No cell is finished yet.");
        return;
    }
    put_axes(d, &a);
    for (size_t row = 0; row < a.rows; row++)
        put_curve(d, &a, row);
}

/* ---- the whole ---- */

void den_experiment_svg(const struct den_experiment_report *report,
                        const struct den_experiment_crops *crops, struct den_buf *to)
{
    struct drawing d = {to, report->state, report->state->experiment};
    const double title = 20, heading = 34;
    char text[200], metric[64];
    size_t count = put_crops(&d, crops, 0, false);
    size_t lines = (count + CROPS_A_LINE - 1) / CROPS_A_LINE;
    double crops_top = MARGIN + title + heading;
    double plot_top = crops_top + (double)lines * (CROP + CAPTION + GAP) + heading;
    double height = plot_top + 30 + PLOT_HEIGHT + 60 + MARGIN;
    den_buf_printf(to,
                   "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
                   "<svg xmlns=\"http://www.w3.org/2000/svg\" "
                   "xmlns:xlink=\"http://www.w3.org/1999/xlink\" width=\"%d\" "
                   "height=\"%.0f\" viewBox=\"0 0 %d %.0f\" font-family=\"sans-serif\" "
                   "font-size=\"12\">\n"
                   "<title>Experiment %s</title>\n"
                   "<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n",
                   WIDTH, height, WIDTH, height, report->job->id);
    (void)den_str_format(text, sizeof text, "Experiment %s: %zu of %zu cells",
                         report->job->id, report->state->done, den_experiment_cells(d.e));
    put_label(&d, MARGIN, MARGIN + title, "start", "#000000", text);
    name_metric(d.e, metric, sizeof metric);
    (void)den_str_format(
        text, sizeof text,
        "(a) A part of the first test image, trained with the first seed; "
        "below: %s, mean over the test images",
        metric);
    put_label(&d, MARGIN, crops_top - 10, "start", "#000000", text);
    (void)put_crops(&d, crops, crops_top, true);
    put_label(&d, MARGIN, plot_top, "start", "#000000",
              "(b) Mean and standard error over seeds");
    put_curves(&d, plot_top);
    den_buf_puts(to, "</svg>\n");
}
