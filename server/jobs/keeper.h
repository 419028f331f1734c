#ifndef DEN_KEEPER_H
#define DEN_KEEPER_H

/* The thread that keeps the leases: renews those of workers that give signs of life, and
 * puts jobs back whose lease has run out. */

#include "service.h"

struct den_keeper;
bool den_keeper_start(struct den_service *service, struct den_keeper **ret,
                      struct den_err *err) DEN_CHECKED;
/* After the workers have stopped; NULL is fine. */
void den_keeper_stop(struct den_keeper *keeper);

#endif
