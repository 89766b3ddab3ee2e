/* The ring that ring-send and ring-receive share, for C: the counterpart of common/src/ring.rs.
 *
 * Every word is atomic, because another process may store it. An index that the other side stores is checked
 * each time it is loaded, and so is a length.
 */
#ifndef RING_H
#define RING_H

#include <fcntl.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "peer.h"

enum { PLACES = 16384, MAGIC = 0x52494e47, VERSION = 1, APART = 64, PACKED = 4 };

/* In the place of a length: the stream ends here. */
#define END UINT32_MAX

struct Ring {
    _Atomic uint32_t magic, version, places, apart, unused[12];
    /* Stored by the sender. */
    _Atomic uint32_t put, packed_taken, begun, begun_bytes, sender_pid, unused1[11];
    /* Stored by the receiver. */
    _Atomic uint32_t taken, received, receiver_pid, unused2[13];
    _Atomic uint32_t sender_sleeps, receiver_sleeps, unused3[14];
    _Atomic uint32_t place[PLACES];
};

_Static_assert(offsetof(struct Ring, put) == 64, "the sender's line");
_Static_assert(offsetof(struct Ring, taken) == 128, "the receiver's line");
_Static_assert(offsetof(struct Ring, sender_sleeps) == 192, "the sleepers' line");
_Static_assert(sizeof(struct Ring) == 256 + 4 * PLACES, "no padding");

_Noreturn static inline void broken(const char *field)
{
    fprintf(stderr, "error: the ring's %s cannot be\n", field);
    exit(EXIT_FAILURE);
}

/* A new file gets its header before it gets its name. */
static inline void create_ring(const char *path)
{
    char new_path[4096];
    uint32_t header[4] = {MAGIC, VERSION, PLACES, APART};

    snprintf(new_path, sizeof(new_path), "%s.%ld", path, (long)getpid());
    int fd = open(new_path, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd == -1)
        die("open");
    if (ftruncate(fd, sizeof(struct Ring)) == -1)
        die("ftruncate");
    if (pwrite(fd, header, sizeof(header), 0) != (ssize_t)sizeof(header))
        die("pwrite");
    if (link(new_path, path) == -1 && errno != EEXIST)
        die("link");
    if (unlink(new_path) == -1 || close(fd) == -1)
        die("unlink");
}

/* The ring, with the lock on `byte`, which only one process has. */
static inline struct Ring *open_ring(const char *path, off_t byte)
{
    struct stat found;
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};
    int fd;

    while ((fd = open(path, O_RDWR | O_CLOEXEC)) == -1) {
        if (errno != ENOENT)
            die("open");
        create_ring(path);
    }
    if (fstat(fd, &found) == -1)
        die("fstat");
    if (found.st_size != (off_t)sizeof(struct Ring))
        broken("size");
    if (fcntl(fd, F_OFD_SETLK, &lock) == -1)
        die("fcntl(F_OFD_SETLK)");
    struct Ring *ring =
        mmap(NULL, sizeof(struct Ring), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (ring == MAP_FAILED)
        die("mmap");
    if (ring->magic != MAGIC || ring->version != VERSION || ring->places != PLACES)
        broken("header");
    if (ring->apart != APART && ring->apart != PACKED)
        broken("distance of the indices");
    /* fd stays open: the lock goes with it. */
    return ring;
}

static inline _Atomic uint32_t *taken_of(struct Ring *ring)
{
    return ring->apart == PACKED ? &ring->packed_taken : &ring->taken;
}

static inline uint32_t filled(uint32_t put, uint32_t taken)
{
    if (put - taken > PLACES)
        broken("indices");
    return put - taken;
}

/* Sleeps while `word` is `seen`: at most a second, because a killed peer wakes nobody. */
static inline void sleep_while(_Atomic uint32_t *word, uint32_t seen, _Atomic uint32_t *sleeps)
{
    struct timespec second = {1, 0};

    atomic_store_explicit(sleeps, 1, memory_order_relaxed);
    /* The note, then the kernel's look at the word. Pairs with the fence in wake. */
    atomic_thread_fence(memory_order_seq_cst);
    syscall(SYS_futex, word, FUTEX_WAIT, seen, &second);
    atomic_store_explicit(sleeps, 0, memory_order_relaxed);
}

static inline void wake(_Atomic uint32_t *word, _Atomic uint32_t *sleeps)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (atomic_load_explicit(sleeps, memory_order_relaxed) != 0)
        syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX);
}

#endif
