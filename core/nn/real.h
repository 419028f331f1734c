#ifndef DEN_REAL_H
#define DEN_REAL_H

/* core/nn is compiled twice: in float for use, in double (DEN_REAL_DOUBLE) for gradient
 * checks, where finite differences are clean.  Nothing outside core/nn sees anything but
 * float.     */

#ifdef DEN_REAL_DOUBLE
typedef double den_real;
#else
typedef float den_real;
#endif

#endif
