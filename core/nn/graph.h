#ifndef DEN_GRAPH_H
#define DEN_GRAPH_H

/* A static op graph, built once for fixed shapes.  Builders return a small handle; the
 * FIRST build error sticks and is reported once by den_graph_finish, so a net reads as
 * straight-line code. Memory is planned once at finish; a step allocates nothing. */

#include "params.h"

struct den_graph;
typedef int
    den_node; /* handle; negative after an error, and then passed through silently */

enum den_purpose {
    DEN_FOR_TRAINING,  /* values kept until backward has read them, and gradients */
    DEN_FOR_INFERENCE, /* values only; buffers are reused where lifetimes allow */
};

/* All pointers are borrowed and must outlive the graph. */
bool den_graph_new(struct den_params *params, struct den_pool *pool,
                   struct den_graph **ret, struct den_err *err) DEN_CHECKED;
void den_graph_free(struct den_graph *graph);

/* ---- builders: one per op; name is the PyTorch prefix of its parameters, "" if it has
 * none ---- */
den_node den_input(struct den_graph *g, struct den_shape shape);
/* Conv2d: side -> (side + 2 pad - kernel) / stride + 1. */
den_node den_conv(struct den_graph *g, const char *name, den_node x, size_t out,
                  size_t kernel, size_t stride, size_t pad, bool bias);
/* ConvTranspose2d: side -> (side - 1) stride - 2 pad + kernel. */
den_node den_convt(struct den_graph *g, const char *name, den_node x, size_t out,
                   size_t kernel, size_t stride, size_t pad, bool bias);
/* BatchNorm2d: eps 1e-5, momentum 0.1, biased variance in training, unbiased into the
 * running one. */
den_node den_batch_norm(struct den_graph *g, const char *name, den_node x);
/* InstanceNorm2d, no affine, no running statistics, eps 1e-5. */
den_node den_instance_norm(struct den_graph *g, den_node x);
den_node den_leaky_relu(struct den_graph *g, den_node x,
                        double slope); /* slope 0 = ReLU */
den_node den_tanh(struct den_graph *g, den_node x);
den_node den_dropout(struct den_graph *g, den_node x, double p);
/* Channels of a, then those of b. */
den_node den_concat(struct den_graph *g, den_node a, den_node b);
den_node den_add(struct den_graph *g, den_node a, den_node b);
/* MaxPool2d(2): side -> side / 2, rounded down. */
den_node den_max_pool(struct den_graph *g, den_node x);
/* Nearest neighbour: side -> 2 side. */
den_node den_upsample(struct den_graph *g, den_node x);
/* Linear over the flattened map [h][w][c] -> [1][1][out]; file weight (out, c*h*w) in
 * PyTorch's order. */
den_node den_linear(struct den_graph *g, const char *name, den_node x, size_t out,
                    bool bias);

/* Off: every node gets arrays of its own and does its own work, nothing is overwritten,
 * shared or packed, as an oracle for the fused plan (default on).  Before finish. */
void den_graph_set_fusion(struct den_graph *g, bool on);
/* The fast algorithms that convolutions may use (default DEN_WINOGRAD_AUTO).  Before
 * finish. */
void den_graph_set_winograd(struct den_graph *g, enum den_winograd winograd);
/* How the weights of the convolutions built from now on begin (default DEN_INIT_CONV). */
void den_graph_set_init(struct den_graph *g, enum den_param_init init);
/* On: finish packs the weights, which then stay as they are, and drops the values that
 * nothing but packed weights was made from: the params serve this graph alone until they
 * are loaded again (default off).  For inference; before finish. */
void den_graph_set_take_weights(struct den_graph *g, bool on);
/* Beside the output, this node's value may be read after forward, and backward takes a
 * gradient of it.  Before finish. */
void den_graph_tap(struct den_graph *g, den_node node);
/* Plans memory and allocates it.  Reports the first build error, or DEN_E_NO_MEMORY. */
bool den_graph_finish(struct den_graph *g, den_node output, enum den_purpose purpose,
                      struct den_err *err) DEN_CHECKED;
/* The same arithmetic without allocating: bytes that finish would take (parameters not
 * counted). */
bool den_graph_plan(struct den_graph *g, den_node output, enum den_purpose purpose,
                    size_t *ret_bytes, struct den_err *err) DEN_CHECKED;
size_t den_graph_bytes(const struct den_graph *g); /* after finish */
/* Bytes of the values that finish drops, or would drop, and of the largest of them. After
 * plan or finish. */
size_t den_graph_taken_bytes(const struct den_graph *g, size_t *ret_largest);
struct den_shape den_graph_shape(const struct den_graph *g, den_node node);

/* ---- use: host arrays are packed [n][h][w][c] ---- */
void den_graph_set_input(struct den_graph *g, den_node input, const den_real *data);
/* training: batch statistics, dropout on (mask keyed by `key`), running statistics
 * updated. */
void den_graph_forward(struct den_graph *g, bool training, uint64_t key);
void den_graph_get_output(struct den_graph *g, den_real *data);
/* The value of a tapped node, between forward and backward. */
void den_graph_get_tap(struct den_graph *g, den_node tap, den_real *data);
/* dL/d tapped node [n][h][w][c] that comes on its own way, not through the output, for
 * backward passes from now on; borrowed, and read there.  Every tap needs one. */
void den_graph_set_tap_grad(struct den_graph *g, den_node tap, const den_real *dtap);
/* From dL/d output [n][h][w][c]: parameter gradients are ADDED (when wanted), and input
 * gradients are made for den_graph_get_input_grad.  DEN_FOR_TRAINING only, once after
 * each forward with training: only the inputs and the output outlive it. */
void den_graph_backward(struct den_graph *g, const den_real *doutput, bool param_grads);
void den_graph_get_input_grad(struct den_graph *g, den_node input, den_real *data);
/* Off: from now on backward leaves out what only the inputs' gradients need, and they
 * must not be asked for (default on).  At any time.  Must be off where weights are frozen
 * (den_params_freeze). */
void den_graph_set_input_grads(struct den_graph *g, bool on);

#endif
