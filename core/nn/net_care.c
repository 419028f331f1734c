#include "net.h"
#include "str.h"

/* U-Net of CARE [Weigert et al., Nature Methods 15 (2018); defaults of its package
 * CSBDeep, models/config.py and internals/blocks.py], after the U-Net of Ronneberger et
 * al. (2015).  With w = width, d = depth, every convolution k x k with zero padding that
 * keeps the size, a bias, and a rectifier behind it:
 *     down.l.0, down.l.1   l = 0 .. d-1: to w 2^l channels; then 2 x 2 max pooling
 *     middle.0, middle.1   to w 2^d, back to w 2^(d-1)
 *     up.l.0, up.l.1       l = d-1 .. 0: of concat(nearest upsampling, down.l.1) to w
 * 2^l, then to w 2^(l-1) (w at level 0) out                  1 x 1, no rectifier; the
 * net's input is added to it No norm layers: what the net does to an image does not
 * depend on the batch.  Each of these names has a .weight (co, ci, k, k) and a .bias
 * (co), in this order of creation. Weights begin uniform as by Glorot and Bengio, biases
 * as 0. */

#define DEPTH_MIN 1
#define DEPTH_MAX 5

struct care {
    struct den_graph *g;
    const struct den_net_options *o;
};

static size_t multiple_of(const struct den_net_options *o)
{
    return (size_t)1 << o->depth;
}

static bool check(const struct den_net_options *o, struct den_err *err)
{
    if (!den_net_check_ranges(o, DEPTH_MIN, DEPTH_MAX, err))
        return false;
    if (o->kernel != 3 && o->kernel != 5)
        return den_err_field(err, DEN_E_INVALID, "kernel",
                             "The kernels of the net care are 3 or 5 pixels wide, not "
                             "%zu.",
                             o->kernel);
    if (o->channels_in != o->channels_out)
        return den_err_field(err, DEN_E_INVALID, "channels_out",
                             "The net care adds its input to its output, so it cannot "
                             "make %zu channels from %zu.",
                             o->channels_out, o->channels_in);
    if (o->tanh_output)
        return den_err_field(err, DEN_E_INVALID, "output",
                             "The net care has a linear output, not tanh.");
    if (o->dropout)
        return den_err_field(err, DEN_E_INVALID, "dropout",
                             "The net care has no dropout.");
    return true;
}

static den_node conv(const struct care *c, const char *block, size_t place, den_node x,
                     size_t channels)
{
    char name[32];
    den_str_format(name, sizeof name, "%s.%zu", block, place);
    x = den_conv(c->g, name, x, channels, c->o->kernel, 1, c->o->kernel / 2, true);
    return den_leaky_relu(c->g, x, 0);
}

/* Two convolutions; the second one's channels are those of the next level. */
static den_node pair(const struct care *c, const char *block, den_node x, size_t first,
                     size_t second)
{
    return conv(c, block, 1, conv(c, block, 0, x, first), second);
}

static den_node level_pair(const struct care *c, const char *way, size_t level,
                           den_node x, size_t first, size_t second)
{
    char block[24];
    den_str_format(block, sizeof block, "%s.%zu", way, level);
    return pair(c, block, x, first, second);
}

/* Down and middle; maps [depth]: those that are pooled. */
static den_node encode(struct den_graph *g, den_node x, const struct den_net_options *o,
                       den_node *maps)
{
    const struct care c = {g, o};
    size_t depth = o->depth, width = o->width;
    den_graph_set_init(g, DEN_INIT_GLOROT);
    for (size_t level = 0; level < depth; level++) {
        size_t channels = width << level;
        x = level_pair(&c, "down", level, x, channels, channels);
        if (maps != NULL)
            maps[level] = x;
        x = den_max_pool(g, x);
    }
    x = pair(&c, "middle", x, width << depth, width << (depth - 1));
    den_graph_set_init(g, DEN_INIT_CONV);
    return x;
}

static size_t levels(const struct den_net_options *o)
{
    return o->depth;
}

static den_node build(struct den_graph *g, den_node x, const struct den_net_options *o)
{
    const struct care c = {g, o};
    den_node skip[DEPTH_MAX] = {0}, y;
    size_t depth = o->depth, width = o->width;
    y = encode(g, x, o, skip);
    den_graph_set_init(g, DEN_INIT_GLOROT);
    for (size_t level = depth; level-- > 0;) {
        size_t next = level > 0 ? width << (level - 1) : width;
        y = den_concat(g, den_upsample(g, y), skip[level]);
        y = level_pair(&c, "up", level, y, width << level, next);
    }
    y = den_conv(g, "out", y, o->channels_out, 1, 1, 0, true);
    den_graph_set_init(g, DEN_INIT_CONV);
    return den_add(g, y, x);
}

static bool encodes(const char *param)
{
    return den_str_starts(param, "down.") || den_str_starts(param, "middle.");
}

const struct den_net den_net_care = {
    .name = "care",
    .doc = "residual U-Net of 3 x 3 or 5 x 5 convolutions, as in CARE",
    .depth_min = DEPTH_MIN,
    .depth_max = DEPTH_MAX,
    .has_kernel = true,
    .multiple_of = multiple_of,
    .check = check,
    .build = build,
    .encodes = encodes,
    .encode = encode,
    .levels = levels,
};
