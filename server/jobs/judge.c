#include "judge.h"

#include "mem.h"

static bool make_room(struct den_judge *judge, size_t pixels, struct den_err *err)
{
    if (pixels <= judge->room)
        return true;
    den_judge_release(judge);
    judge->target = den_new(pixels, sizeof(float), err);
    judge->restored = den_new(pixels, sizeof(float), err);
    if (judge->target == NULL || judge->restored == NULL)
        return false;
    judge->room = pixels;
    return true;
}

bool den_judge_page(struct den_judge *judge, size_t sample, struct den_err *err)
{
    const struct den_sample *at = den_dataset_at(judge->dataset, sample);
    if (!make_room(judge, at->width * at->height, err))
        return false;
    judge->noisy = at->noisy;
    judge->c = (struct den_metric_case){
        .width = at->width, .height = at->height, .reference = judge->target};
    den_dataset_target(judge->dataset, sample, 0, 0, at->width, at->height, false,
                       judge->target);
    den_gain_match(judge->target, at->noisy, at->width * at->height, &judge->c.a,
                   &judge->c.b);
    return true;
}

void den_judge_release(struct den_judge *judge)
{
    den_free(judge->target);
    den_free(judge->restored);
    judge->target = judge->restored = NULL;
    judge->room = 0;
}
