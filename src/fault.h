/* Hooks for tests, compiled in with FC_FAULTS only: fail the n-th system call or
 * allocation, and stop at a named step of a protocol. Without FC_FAULTS they cost nothing. */
#ifndef FC_FAULT_H
#define FC_FAULT_H

#include <stdbool.h>

enum { FC__FAULT_ALLOC, FC__FAULT_SYSCALL, FC__FAULT_KINDS };

#ifdef FC_FAULTS
/* Counts a possible failure of this kind; true: fail now. */
bool fc__fault(int kind);
/* Called at each named step; a test may kill or stop the process there. */
void fc__step(const char *name);

/* For tests: the n-th from now fails (1 is the next), 0 for none. Returns how many of the
 * kind have passed since the last call. */
long fc__fault_set(int kind, long nth);
extern void (*_Atomic fc__step_hook)(const char *name); /* also in the helper thread */

#define FC__FAULT(kind) fc__fault(FC__FAULT_##kind)
#define FC__STEP(name)  fc__step(name)
#else
#define FC__FAULT(kind) false
#define FC__STEP(name)  ((void)0)
#endif

#endif
