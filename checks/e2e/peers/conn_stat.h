/* The record that the programs share, for C: the counterpart of common/src/conn_stat.rs.
 *
 * As there, the same 68 bytes have two types. The texts' struct is what everybody agrees on; the
 * shared one is what these programs access. Another process stores at any moment, and a plain
 * `int` promises the compiler that nobody does: with `while (p->count < n)` it may load once and
 * loop for ever. `volatile` would keep it from that, but `volatile p->count++` is still three steps
 * that two writers can interleave. `_Atomic` promises both. The text is words, not characters,
 * because both sides must access the same bytes with the same width.
 */
#ifndef CONN_STAT_H
#define CONN_STAT_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct Conn_stat {
    int count;
    char ip[64];
};

struct Shared_conn_stat {
    _Atomic int count;
    _Atomic uint32_t ip[16];
};

/* C lets an atomic be larger than its value, or hide a lock that no other process would know. */
_Static_assert(sizeof(struct Shared_conn_stat) == sizeof(struct Conn_stat), "size");
_Static_assert(_Alignof(struct Shared_conn_stat) == _Alignof(struct Conn_stat), "alignment");
_Static_assert(offsetof(struct Shared_conn_stat, ip) == offsetof(struct Conn_stat, ip), "offset");
_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "an atomic int needs a lock");

/* The text, then the count: whoever sees this count sees this text. Pairs with load. */
static inline void store(struct Shared_conn_stat *shared, const struct Conn_stat *stat)
{
    uint32_t words[16];

    memcpy(words, stat->ip, sizeof(words));
    for (int i = 0; i < 16; i++)
        atomic_store_explicit(&shared->ip[i], words[i], memory_order_relaxed);
    atomic_store_explicit(&shared->count, stat->count, memory_order_release);
}

/* The count, then the text. Pairs with store. */
static inline struct Conn_stat load(struct Shared_conn_stat *shared)
{
    struct Conn_stat stat;
    uint32_t words[16];

    stat.count = atomic_load_explicit(&shared->count, memory_order_acquire);
    for (int i = 0; i < 16; i++)
        words[i] = atomic_load_explicit(&shared->ip[i], memory_order_relaxed);
    memcpy(stat.ip, words, sizeof(words));
    return stat;
}

#endif
