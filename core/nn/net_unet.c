#include "net.h"

#include <string.h>

#include "str.h"

/* Generator of pix2pix [Isola et al., CVPR 2017, section 6.1.1], UnetGenerator of its
 * PyTorch code.  Level k = 1..depth halves the map (E_k) on the way down and doubles it
 * on the way up (D_k): E1 conv;  E_k lrelu(0.2), conv, norm;  innermost: no norm D_k
 * relu, convt, norm, (dropout);  D1 relu, convt, (tanh) Every D_k but the innermost sees
 * concat(E_k, D_k+1).  All kernels 4, stride 2, padding 1.
 *
 * The skip carries E_k AFTER its leaky rectifier, as in that code, where the rectifier
 * works in place: relu(lrelu(x)) = relu(x), and one array serves both readers. */

#define KERNEL 4
#define STRIDE 2
#define PAD 1
#define SLOPE 0.2
#define DEPTH_MIN 5
#define DEPTH_MAX 8

/* Prefix of the parameters of level k in the nested blocks of the PyTorch module. */
struct prefix {
    char text[80];
};

static struct prefix prefix_of(size_t level)
{
    static const char outer[] = "model.model.", second[] = "1.model.",
                      deeper[] = "3.model.";
    struct prefix p = {""};
    size_t inner = level > 2 ? level - 2 : 0;
    den_str_format(p.text, sizeof p.text, "%s%s", outer, level >= 2 ? second : "");
    for (size_t i = 0; i < inner; i++) {
        struct prefix longer = {""};
        den_str_format(longer.text, sizeof longer.text, "%.*s%s",
                       (int)(sizeof longer.text - sizeof deeper), p.text, deeper);
        p = longer;
    }
    return p;
}

/* Name of the layer at `place` in the block of a level. */
static struct prefix layer_name(size_t level, int place)
{
    struct prefix block = prefix_of(level), name = {""};
    den_str_format(name.text, sizeof name.text, "%.*s%d", (int)sizeof name.text - 2,
                   block.text, place);
    return name;
}

static size_t multiple_of(const struct den_net_options *o)
{
    return (size_t)1 << o->depth;
}

static bool check(const struct den_net_options *o, struct den_err *err)
{
    return den_net_check_ranges(o, DEPTH_MIN, DEPTH_MAX, err);
}

static den_node norm(struct den_graph *g, den_node x, const struct den_net_options *o,
                     size_t level, int place)
{
    if (o->instance_norm)
        return den_instance_norm(g, x);
    return den_batch_norm(g, layer_name(level, place).text, x);
}

/* E_k; the outermost and innermost have no norm.  Batch norm makes a bias useless, and
 * PyTorch's code then leaves it out in the whole family. */
static den_node down(struct den_graph *g, den_node x, const struct den_net_options *o,
                     size_t level)
{
    struct prefix name = layer_name(level, level == 1 ? 0 : 1);
    x = den_conv(g, name.text, x, den_net_channels(o->width, level - 1), KERNEL, STRIDE,
                 PAD, o->instance_norm);
    return level == 1 || level == o->depth ? x : norm(g, x, o, level, 2);
}

/* D_k.  The last one has a bias in either family and no norm. */
static den_node up(struct den_graph *g, den_node x, const struct den_net_options *o,
                   size_t level)
{
    bool innermost = level == o->depth;
    struct prefix name = layer_name(level, innermost || level == 1 ? 3 : 5);
    x = den_leaky_relu(g, x, 0);
    if (level == 1)
        return den_convt(g, name.text, x, o->channels_out, KERNEL, STRIDE, PAD, true);
    x = den_convt(g, name.text, x, den_net_channels(o->width, level - 2), KERNEL, STRIDE,
                  PAD, o->instance_norm);
    x = norm(g, x, o, level, innermost ? 4 : 6);
    /* The depth - 5 blocks just above the innermost: levels 5 to depth - 1. */
    if (o->dropout && !innermost && level >= DEPTH_MIN)
        x = den_dropout(g, x, 0.5);
    return x;
}

static den_node encode(struct den_graph *g, den_node x, const struct den_net_options *o,
                       den_node *maps)
{
    for (size_t level = 1; level < o->depth; level++) {
        x = den_leaky_relu(g, down(g, x, o, level), SLOPE);
        if (maps != NULL)
            maps[level - 1] = x;
    }
    return down(g, x, o, o->depth);
}

static size_t levels(const struct den_net_options *o)
{
    return o->depth - 1;
}

static den_node build(struct den_graph *g, den_node x, const struct den_net_options *o)
{
    den_node skip[DEPTH_MAX] = {0};
    x = up(g, encode(g, x, o, skip), o, o->depth);
    for (size_t level = o->depth - 1; level >= 1; level--)
        x = up(g, den_concat(g, skip[level - 1], x), o, level);
    return o->tanh_output ? den_tanh(g, x) : x;
}

/* Every name ends in ".<place in its block>.<weight, bias, ...>": convolution and norm of
 * the way down have places up to 2, those of the way up from 3. */
static bool encodes(const char *param)
{
    const char *end = strrchr(param, '.');
    return end != NULL && end > param + 1 && end[-2] == '.' && end[-1] <= '2';
}

const struct den_net den_net_unet = {
    .name = "unet",
    .doc = "U-Net generator of pix2pix",
    .depth_min = DEPTH_MIN,
    .depth_max = DEPTH_MAX,
    .multiple_of = multiple_of,
    .check = check,
    .build = build,
    .encodes = encodes,
    .encode = encode,
    .levels = levels,
};
