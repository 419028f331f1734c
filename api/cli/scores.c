#include "scores.h"

#include "json_get.h"
#include "table.h"

/* PSNR' and SSIM' judge by the clean image fitted to the noisy one in gain and offset. */
static const struct {
    const char *name, *head;
    int digits;
} metrics[] = {
    {"psnr_matched", ">PSNR' [dB]", 2},
    {"ssim_matched", ">SSIM'", 4},
    {"psnr", ">PSNR [dB]", 2},
    {"ssim", ">SSIM", 4},
    {"nrmse", ">NRMSE", 4},
};
#define METRICS (sizeof metrics / sizeof metrics[0])

static void add_score(struct den_table *table, const json_t *score, int digits)
{
    const json_t *mean = json_object_get(score, "mean"),
                 *sd = json_object_get(score, "sd");
    if (!json_is_number(mean))
        den_table_add(table, "%s", "-");
    else if (!json_is_number(sd)) /* one image has no spread */
        den_table_add(table, "%.*f", digits, json_number_value(mean));
    else
        den_table_add(table, "%.*f +- %.*f", digits, json_number_value(mean), digits,
                      json_number_value(sd));
}

bool den_scores_print(const json_t *report, struct den_err *err)
{
    const char *heads[METRICS + 3] = {"method"};
    struct den_table table;
    for (size_t i = 0; i < METRICS; i++)
        heads[i + 1] = metrics[i].head;
    heads[METRICS + 1] = ">n";
    den_table_init(&table, heads);
    const char *method;
    json_t *scores;
    json_object_foreach(json_object_get(report, "mean"), method, scores)
    {
        den_table_add(&table, "%s", method);
        for (size_t i = 0; i < METRICS; i++)
            add_score(&table, json_object_get(scores, metrics[i].name),
                      metrics[i].digits);
        den_table_add(&table, "%.0f",
                      den_get_number(json_object_get(scores, metrics[0].name), "n"));
    }
    bool done = den_table_print(&table, stdout, err);
    den_table_release(&table);
    if (done)
        (void)fputs("mean +- standard deviation over images; with ': the clean image is "
                    "first fitted to the noisy one in gain and offset\n",
                    stderr);
    return done;
}
