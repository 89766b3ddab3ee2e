/* Counts in a mapped file, as map_write.c of the text does.
 *
 * Partner: file_read.c or mmap-file-reader, started after this one. The file stays when the
 * writer ends.
 *
 *     file_write FILE TICKS MICROSECONDS
 */
#define _XOPEN_SOURCE 700
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "conn_stat.h"
#include "peer.h"

int main(int argc, char *argv[])
{
    if (argc != 4)
        usage("file_write FILE TICKS MICROSECONDS");
    int ticks = number(argv[2]);
    int interval = number(argv[3]);
    print_lines_at_once();

    /* O_TRUNC, because this program stands for the text's, and a Rust reader must get on with
     * that: it finds the file empty until ftruncate, so a reader that has mapped the file before
     * gets a SIGBUS if it loads in between. mmap-file-writer does not truncate. */
    int fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0644);
    if (fd == -1)
        die("open");
    if (ftruncate(fd, sizeof(struct Conn_stat)) == -1)
        die("ftruncate");

    struct Shared_conn_stat *shared =
        mmap(NULL, sizeof(struct Conn_stat), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (shared == MAP_FAILED)
        die("mmap");
    if (close(fd) == -1)
        die("close");
    fprintf(stderr, "Memory mapped at %p\n", (void *)shared);

    struct Conn_stat stat = {0, "127.0.0.1"};
    store(shared, &stat);

    /* The text's loop: the count in the file decides, not one of our own. */
    while (shared->count < ticks) {
        int count = ++shared->count;
        printf("count: %d\n", count);
        pause_for(interval);
    }

    if (munmap(shared, sizeof(struct Conn_stat)) == -1)
        die("munmap");
    return 0;
}
