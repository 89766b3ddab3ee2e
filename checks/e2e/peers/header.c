/* Comes first and makes the segment, or comes second and uses it: as header of the lessons does.
 *
 *     header KEY [stop]
 *
 * With `stop` it stops itself (SIGSTOP) after it has made the segment and before it says so: a creator
 * that is slow, or dead.
 */
#define _XOPEN_SOURCE 700
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/shm.h>

#include "peer.h"

/* "LESN", and the layout that is below. */
enum { VERSION = 2, SIZE = 16 };
static const uint32_t magic = 0x4e53454c;

struct Board {
    _Atomic uint32_t magic, version, size;
    _Atomic uint32_t visits;
};

_Static_assert(sizeof(struct Board) == SIZE, "size");
_Static_assert(offsetof(struct Board, visits) == 12, "offset");
_Static_assert(ATOMIC_INT_LOCK_FREE == 2, "an atomic int needs a lock");

int main(int argc, char *argv[])
{
    if (argc != 2 && argc != 3)
        usage("header KEY [stop]");
    key_t key = number(argv[1]);
    int created = 1;

    int shmid = shmget(key, SIZE, 0600 | IPC_CREAT | IPC_EXCL);
    if (shmid == -1 && errno == EEXIST) {
        created = 0;
        shmid = shmget(key, SIZE, 0600);
    }
    if (shmid == -1)
        die("shmget");
    struct Board *board = shmat(shmid, NULL, 0);
    if (board == (void *)-1)
        die("shmat");

    if (created) {
        if (argc == 3)
            raise(SIGSTOP);
        /* The magic number last of all. Pairs with the load below. */
        atomic_store_explicit(&board->version, VERSION, memory_order_relaxed);
        atomic_store_explicit(&board->size, SIZE, memory_order_relaxed);
        atomic_store_explicit(&board->magic, magic, memory_order_release);
    }
    uint32_t found = atomic_load_explicit(&board->magic, memory_order_acquire);
    uint32_t version = atomic_load_explicit(&board->version, memory_order_relaxed);
    uint32_t size = atomic_load_explicit(&board->size, memory_order_relaxed);
    if (found != magic || version != VERSION || size != SIZE) {
        fprintf(stderr, "error: magic 0x%08x, version %u, %u bytes\n", found, version, size);
        return 1;
    }
    uint32_t visit = atomic_fetch_add_explicit(&board->visits, 1, memory_order_relaxed) + 1;
    printf("version %u, %u bytes: visit %u\n", version, size, visit);
    if (visit == 2) {
        if (shmctl(shmid, IPC_RMID, NULL) == -1)
            die("shmctl(IPC_RMID)");
        printf("removed: true\n");
    }
    return 0;
}
