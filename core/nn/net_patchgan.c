#include "net.h"
#include "str.h"

/* PatchGAN discriminator of pix2pix [Isola et al., CVPR 2017, section 6.1.2],
 * NLayerDiscriminator of its PyTorch code:
 *     conv s2, lrelu;  depth - 1 times conv s2, norm, lrelu;  conv s1, norm, lrelu;
 *     conv s1 to one channel of raw logits
 * All kernels 4, padding 1, slope 0.2.  Parameters count as model.0 for the first
 * convolution and model.(3 i - 1), model.(3 i) for convolution and norm number i. */

#define KERNEL 4
#define PAD 1
#define SLOPE 0.2
#define DEPTH_MIN 1
#define DEPTH_MAX 5

static den_node conv(struct den_graph *g, den_node x, size_t place, size_t out,
                     size_t stride, bool bias)
{
    char name[32];
    den_str_format(name, sizeof name, "model.%zu", place);
    return den_conv(g, name, x, out, KERNEL, stride, PAD, bias);
}

static den_node norm(struct den_graph *g, den_node x, const struct den_net_options *o,
                     size_t place)
{
    char name[32];
    if (o->instance_norm)
        return den_instance_norm(g, x);
    den_str_format(name, sizeof name, "model.%zu", place);
    return den_batch_norm(g, name, x);
}

static size_t multiple_of(const struct den_net_options *o)
{
    (void)o;
    return 1;
}

static bool check(const struct den_net_options *o, struct den_err *err)
{
    return den_net_check_ranges(o, DEPTH_MIN, DEPTH_MAX, err);
}

static den_node build(struct den_graph *g, den_node x, const struct den_net_options *o)
{
    x = den_leaky_relu(g, conv(g, x, 0, o->width, 2, true), SLOPE);
    for (size_t i = 1; i <= o->depth; i++) {
        size_t stride = i < o->depth ? 2 : 1;
        x = conv(g, x, 3 * i - 1, den_net_channels(o->width, i), stride,
                 o->instance_norm);
        x = den_leaky_relu(g, norm(g, x, o, 3 * i), SLOPE);
    }
    return conv(g, x, 3 * o->depth + 2, 1, 1, true);
}

const struct den_net den_net_patchgan = {
    .name = "patchgan",
    .doc = "PatchGAN discriminator of pix2pix",
    .depth_min = DEPTH_MIN,
    .depth_max = DEPTH_MAX,
    .multiple_of = multiple_of,
    .check = check,
    .build = build,
};
