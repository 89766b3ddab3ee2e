/* Sends stdin through a ring, as ring-send does.
 *
 * Partner: ring_receive.c or ring-receive, in either order.
 *
 *     ring_send RING
 */
#define _GNU_SOURCE
#include "ring.h"

static void send_message(struct Ring *ring, const unsigned char *bytes, uint32_t length)
{
    uint32_t size = length == END ? 0 : length;
    uint32_t words = 1 + (size + 3) / 4;
    uint32_t put = atomic_load_explicit(&ring->put, memory_order_relaxed);
    uint32_t end = put + words;

    for (;;) {
        /* Pairs with the store in ring_receive.c: what was there has been loaded. */
        uint32_t taken = atomic_load_explicit(taken_of(ring), memory_order_acquire);
        if (PLACES - filled(put, taken) >= words)
            break;
        sleep_while(taken_of(ring), taken, &ring->sender_sleeps);
    }
    atomic_store_explicit(&ring->begun_bytes, size, memory_order_relaxed);
    atomic_store_explicit(&ring->begun, end, memory_order_relaxed);
    atomic_signal_fence(memory_order_release);
    atomic_store_explicit(&ring->place[put++ % PLACES], length, memory_order_relaxed);
    for (uint32_t at = 0; at < size; at += 4) {
        uint32_t word = 0;
        memcpy(&word, bytes + at, size - at < 4 ? size - at : 4);
        atomic_store_explicit(&ring->place[put++ % PLACES], word, memory_order_relaxed);
    }
    /* Pairs with the load in ring_receive.c: the message is there. */
    atomic_store_explicit(&ring->put, end, memory_order_release);
    wake(&ring->put, &ring->receiver_sleeps);
}

int main(int argc, char *argv[])
{
    unsigned char bytes[4096];
    ssize_t length;

    if (argc != 2)
        usage("ring_send RING");
    struct Ring *ring = open_ring(argv[1], offsetof(struct Ring, put));
    filled(ring->put, *taken_of(ring));
    ring->begun = ring->put;
    ring->sender_pid = (uint32_t)getpid();
    while ((length = read(STDIN_FILENO, bytes, sizeof(bytes))) > 0)
        send_message(ring, bytes, (uint32_t)length);
    if (length == -1)
        die("read");
    send_message(ring, NULL, END);
    ring->sender_pid = 0;
    if (munmap(ring, sizeof(*ring)) == -1)
        die("munmap");
    return 0;
}
