/* Loads what posix-writer of the lessons or posix_write.c has stored, and removes the name.
 *
 *     posix_read /NAME
 */
#define _XOPEN_SOURCE 700
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "peer.h"
#include "posix.h"

int main(int argc, char *argv[])
{
    struct stat about;

    if (argc != 2)
        usage("posix_read /NAME");
    long page = sysconf(_SC_PAGESIZE);

    int fd = shm_open(argv[1], O_RDONLY, 0);
    if (fd == -1)
        die("shm_open");
    /* Without this a load behind the end would be a SIGBUS. */
    if (fstat(fd, &about) == -1)
        die("fstat");
    if (about.st_size < page) {
        fprintf(stderr, "error: it has %lld bytes\n", (long long)about.st_size);
        return 1;
    }
    struct Shared_words *shared = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, 0);
    if (shared == MAP_FAILED)
        die("mmap");

    uint32_t ready = atomic_load_explicit(&shared->ready, memory_order_acquire);
    uint32_t value = atomic_load_explicit(&shared->value, memory_order_relaxed);
    printf("ready %u, load %u\n", ready, value);
    if (shm_unlink(argv[1]) == -1)
        die("shm_unlink");
    return 0;
}
