#ifndef DEN_OUTLOOK_H
#define DEN_OUTLOOK_H

/* What is known of the queue for den_service_outlook: the order of the jobs and when they
 * will end, looked up anew when the queue has changed, but not at every change. */

#include "err.h"

struct den_outlooks;
bool den_outlooks_new(struct den_outlooks **ret, struct den_err *err) DEN_CHECKED;
void den_outlooks_free(struct den_outlooks *outlooks); /* NULL is fine */

#endif
