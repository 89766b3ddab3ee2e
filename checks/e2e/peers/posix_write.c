/* Makes a POSIX object and stores 42 there, as posix-writer of the lessons does.
 *
 * Partner: posix-reader or posix_read.c, afterwards. The name stays when this one ends.
 *
 *     posix_write /NAME
 */
#define _XOPEN_SOURCE 700
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "peer.h"
#include "posix.h"

int main(int argc, char *argv[])
{
    if (argc != 2)
        usage("posix_write /NAME");
    long page = sysconf(_SC_PAGESIZE);

    int fd = shm_open(argv[1], O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd == -1)
        die("shm_open");
    if (ftruncate(fd, page) == -1)
        die("ftruncate");
    struct Shared_words *shared = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (shared == MAP_FAILED)
        die("mmap");

    atomic_store_explicit(&shared->value, 42, memory_order_relaxed);
    atomic_store_explicit(&shared->ready, 1, memory_order_release);
    printf("stored 42\n");
    return 0;
}
