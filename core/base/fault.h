#ifndef DEN_FAULT_H
#define DEN_FAULT_H

/* Named places where a test lets the program die, at the edges between two states on
 * disk.  Nothing of it is in the programs that are installed: only objects built with
 * -DDEN_FAULTS have them (see tests/torture/faults.h, where every name is listed). */

#ifdef DEN_FAULTS
void den_failpoint(const char *name);
#define DEN_FAILPOINT(name) den_failpoint(name)
#else
#define DEN_FAILPOINT(name) ((void)0)
#endif

#endif
