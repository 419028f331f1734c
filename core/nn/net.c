#include "net.h"

#include <string.h>

/* One row per net. */
const struct den_net *const den_nets[] = {&den_net_unet, &den_net_patchgan, &den_net_care,
                                          NULL};

const struct den_net *den_net_find(const char *name)
{
    for (size_t i = 0; den_nets[i] != NULL; i++)
        if (strcmp(den_nets[i]->name, name) == 0)
            return den_nets[i];
    return NULL;
}

den_node den_net_build(const struct den_net *net, struct den_graph *g, den_node x,
                       const struct den_net_options *options)
{
    den_graph_set_winograd(g, options->winograd);
    return net->build(g, x, options);
}

/* Fields are named as in the settings of a run. */
static bool check_range(const char *field, const char *what, size_t value, size_t min,
                        size_t max, struct den_err *err)
{
    if (value >= min && value <= max)
        return true;
    return den_err_field(err, DEN_E_INVALID, field, "%s is %zu; allowed are %zu to %zu.",
                         what, value, min, max);
}

bool den_net_check_ranges(const struct den_net_options *options, size_t min_depth,
                          size_t max_depth, struct den_err *err)
{
    return check_range("channels_in", "The number of input channels",
                       options->channels_in, 1, DEN_NET_CHANNELS_MAX, err) &&
           check_range("channels_out", "The number of output channels",
                       options->channels_out, 1, DEN_NET_CHANNELS_MAX, err) &&
           check_range("width", "The width of the net", options->width, 1,
                       DEN_NET_WIDTH_MAX, err) &&
           check_range("depth", "The depth of the net", options->depth, min_depth,
                       max_depth, err);
}

size_t den_net_channels(size_t width, size_t level)
{
    return level < 3 ? width << level : 8 * width;
}
