/* What posix-writer and posix-reader of the lessons have agreed on: a page whose first two words are
 * these. `ready` is stored last, and loaded first.
 */
#ifndef POSIX_H
#define POSIX_H

#include <stdatomic.h>
#include <stdint.h>

struct Shared_words {
    _Atomic uint32_t ready;
    _Atomic uint32_t value;
};

_Static_assert(sizeof(struct Shared_words) == 8, "size");
_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "an atomic int needs a lock");

#endif
