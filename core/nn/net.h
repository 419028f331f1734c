#ifndef DEN_NET_H
#define DEN_NET_H

/* Nets: each is one file and one row of den_nets[]. */

#include "graph.h"

struct den_net_options {
    size_t channels_in, channels_out;
    size_t width;       /* ngf or ndf: channels of the first layer */
    size_t depth;       /* downs of a U-Net (5-8) or of care (1-5), layers of a PatchGAN
                           (1-5) */
    bool instance_norm; /* else batch norm */
    bool dropout;
    bool tanh_output;           /* else linear */
    enum den_winograd winograd; /* how convolutions may be computed */
    size_t kernel;              /* where has_kernel: side of the kernels, 3 or 5 */
};

#define DEN_NET_LEVELS_MAX 8
struct den_net {
    const char *name, *doc;
    size_t depth_min, depth_max; /* of options->depth */
    bool has_kernel;             /* options->kernel counts; else kernels are 4 wide */
    /* Input sides must be multiples of this. */
    size_t (*multiple_of)(const struct den_net_options *options);
    bool (*check)(const struct den_net_options *options, struct den_err *err);
    den_node (*build)(struct den_graph *g, den_node x,
                      const struct den_net_options *options);
    /* Does the parameter of this name belong to the encoder, that is, to a layer before
     * the first that enlarges a map?  NULL: the net has none. */
    bool (*encodes)(const char *param);
    /* The encoder alone, with the same parameters: its deepest map; maps [levels] takes
     * those that the way up sees as well, largest first (NULL: nobody wants them).
     * Both NULL: there is no encoder. */
    den_node (*encode)(struct den_graph *g, den_node x,
                       const struct den_net_options *options, den_node *maps);
    size_t (*levels)(const struct den_net_options *options); /* <= DEN_NET_LEVELS_MAX */
};

/* "unet": generator of pix2pix [Isola et al., CVPR 2017; U-Net: Ronneberger et al.,
 * 2015]; parameters named as UnetGenerator's state_dict (model.model.0.weight,
 * model.model.1.model.1.weight, ...). "patchgan": discriminator with `depth` strided
 * layers; NLayerDiscriminator's names (model.0.weight, ...).  Input = concat(noisy, clean
 * or fake).  "care": residual U-Net of 3 x 3 convolutions [Weigert et al., 2018]; its
 * parameters are down.0.0.weight, ... (see net_care.c). */
extern const struct den_net den_net_unet, den_net_patchgan, den_net_care;
extern const struct den_net *const den_nets[]; /* ends with NULL */
const struct den_net *den_net_find(const char *name);
/* The net's `build` in a graph that computes as the options say. */
den_node den_net_build(const struct den_net *net, struct den_graph *g, den_node x,
                       const struct den_net_options *options);

/* ---- for net_*.c ---- */
#define DEN_NET_CHANNELS_MAX 64
#define DEN_NET_WIDTH_MAX 512
/* Refuses options outside the ranges above or outside min_depth to max_depth. */
bool den_net_check_ranges(const struct den_net_options *options, size_t min_depth,
                          size_t max_depth, struct den_err *err) DEN_CHECKED;
/* Channels at level 0, 1, ...: width times 1, 2, 4, 8, 8, 8, ... */
size_t den_net_channels(size_t width, size_t level);

#endif
