#include "progress_bar.h"

#include <math.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "clock.h"
#include "str.h"

#define REDRAW_SECONDS 0.1
#define CELLS 30
#define CELLS_NARROW 10 /* 30 would push the time left out of the line */
#define NARROW 110

static int columns(void)
{
    struct winsize size = {0};
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0)
        return 80;
    return size.ws_col;
}

/* One line, cut so that it never wraps (a wrapped line could not be redrawn). */
static void draw(const char *text)
{
    (void)fprintf(stderr, "\r\033[K%.*s", columns() - 1, text);
    (void)fflush(stderr);
}

static void cells(char *to, double fraction)
{
    int count = columns() < NARROW ? CELLS_NARROW : CELLS;
    int full = (int)(fraction * count);
    for (int i = 0; i < count; i++)
        to[i] = i < full ? '#' : '.';
    to[count] = '\0';
}

static void remaining(const struct den_bar *bar, double now, double fraction, char *to,
                      size_t size)
{
    double gained = fraction - bar->first, spent = now - bar->begun;
    to[0] = '\0';
    if (gained <= 0 || spent < 2 || fraction >= 1)
        return;
    double left = spent * (1 - fraction) / gained;
    int64_t whole = (int64_t)fmin(left, 1e6);
    (void)den_str_format(to, size, "  %d:%02d left", (int)(whole / 60),
                         (int)(whole % 60));
}

void den_bar_show(const struct den_cli *cli, struct den_bar *bar, const char *label,
                  double fraction, double step, double steps)
{
    char line[256], drawn[CELLS + 1], left[32];
    double now = den_monotonic_s();
    if (!cli->bar || !(fraction >= 0 && fraction <= 1))
        return;
    if (bar->begun <= 0) {
        bar->begun = now;
        bar->first = fraction;
    }
    if (now - bar->drawn < REDRAW_SECONDS && fraction < 1)
        return;
    bar->drawn = now;
    cells(drawn, fraction);
    remaining(bar, now, fraction, left, sizeof left);
    (void)den_str_format(line, sizeof line, "%.40s [%s] %3.0f %%  %.0f/%.0f%s%s%s", label,
                         drawn, 100 * fraction, step, steps, left,
                         bar->tail[0] != '\0' ? "  " : "", bar->tail);
    draw(line);
}

void den_bar_say(const struct den_cli *cli, const char *label, const char *words)
{
    char line[256];
    if (!cli->bar)
        return;
    (void)den_str_format(line, sizeof line, "%.60s %s", label, words);
    draw(line);
}

void den_bar_bytes(const struct den_cli *cli, const char *label, double now, double total)
{
    char line[256], drawn[CELLS + 1];
    if (!cli->bar || total <= 0)
        return;
    cells(drawn, now / total);
    bool small = total < 1e6;
    double unit = small ? 1e3 : 1e6;
    (void)den_str_format(line, sizeof line, "%.40s [%s] %.1f of %.1f %s", label, drawn,
                         now / unit, total / unit, small ? "kB" : "MB");
    draw(line);
}

void den_bar_clear(const struct den_cli *cli)
{
    if (!cli->bar)
        return;
    (void)fputs("\r\033[K", stderr);
    (void)fflush(stderr);
}
