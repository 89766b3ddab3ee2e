/* Writes the messages in a ring to stdout, as ring-receive does.
 *
 * Partner: ring_send.c or ring-send, in either order.
 *
 *     ring_receive RING
 */
#define _GNU_SOURCE
#include "ring.h"

/* The next message, in `bytes`, which holds as many as the ring; or END. */
static uint32_t receive(struct Ring *ring, unsigned char *bytes, uint32_t taken)
{
    uint32_t put;

    for (;;) {
        /* Pairs with the store in ring_send.c: what is counted is there. */
        put = atomic_load_explicit(&ring->put, memory_order_acquire);
        if (filled(put, taken) != 0)
            break;
        sleep_while(&ring->put, put, &ring->receiver_sleeps);
    }
    /* Loaded once: between two loads it could change. */
    uint32_t length = atomic_load_explicit(&ring->place[taken % PLACES], memory_order_relaxed);
    if (length == END)
        return END;
    if (length > 4 * (PLACES - 1) || 1 + (length + 3) / 4 > filled(put, taken))
        broken("length");
    for (uint32_t at = 0; at < length; at += 4) {
        _Atomic uint32_t *place = &ring->place[(taken + 1 + at / 4) % PLACES];
        uint32_t word = atomic_load_explicit(place, memory_order_relaxed);
        memcpy(bytes + at, &word, 4);
    }
    return length;
}

int main(int argc, char *argv[])
{
    static unsigned char bytes[4 * PLACES];
    uint32_t length;

    if (argc != 2)
        usage("ring_receive RING");
    struct Ring *ring = open_ring(argv[1], offsetof(struct Ring, taken));
    uint32_t taken = *taken_of(ring);
    filled(ring->put, taken);
    ring->receiver_pid = (uint32_t)getpid();
    do {
        length = receive(ring, bytes, taken);
        taken += length == END ? 1 : 1 + (length + 3) / 4;
        ring->received = taken;
        if (length != END && fwrite(bytes, 1, length, stdout) != length)
            die("fwrite");
        if (fflush(stdout) != 0)
            die("fflush");
        /* Pairs with the load in ring_send.c: the places may be stored to. */
        atomic_store_explicit(taken_of(ring), taken, memory_order_release);
        wake(taken_of(ring), &ring->sender_sleeps);
    } while (length != END);
    ring->receiver_pid = 0;
    if (munmap(ring, sizeof(*ring)) == -1)
        die("munmap");
    return 0;
}
