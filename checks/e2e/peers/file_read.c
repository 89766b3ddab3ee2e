/* Shows the counts in a mapped file, as map_read.c of the text does.
 *
 * Partner: file_write.c or mmap-file-writer, started before this one: the file must be there.
 *
 *     file_read FILE TICKS MICROSECONDS
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
        usage("file_read FILE TICKS MICROSECONDS");
    int ticks = number(argv[2]);
    int interval = number(argv[3]);
    print_lines_at_once();

    int fd = open(argv[1], O_RDONLY);
    if (fd == -1)
        die("open");

    struct Shared_conn_stat *shared =
        mmap(NULL, sizeof(struct Conn_stat), PROT_READ, MAP_SHARED, fd, 0);
    if (shared == MAP_FAILED)
        die("mmap");
    if (close(fd) == -1)
        die("close");
    fprintf(stderr, "Memory mapped at %p\n", (void *)shared);

    /* 64 characters at most, even if nobody has stored a NUL. */
    for (int i = 0; i < ticks; i++) {
        struct Conn_stat stat = load(shared);
        printf("ip = %.64s, count: %d\n", stat.ip, stat.count);
        pause_for(interval);
    }

    if (munmap(shared, sizeof(struct Conn_stat)) == -1)
        die("munmap");
    return 0;
}
