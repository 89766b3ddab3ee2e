/* Counts in a System V segment, as shmwrite.c of the text does.
 *
 * Partner: sysv_read.c or shm-sysv-reader, started before or after: whoever comes first creates
 * the segment. It stays when the writer ends.
 *
 *     sysv_write KEY TICKS MICROSECONDS
 */
#define _XOPEN_SOURCE 700
#include <sys/shm.h>

#include "conn_stat.h"
#include "peer.h"

int main(int argc, char *argv[])
{
    if (argc != 4)
        usage("sysv_write KEY TICKS MICROSECONDS");
    key_t key = number(argv[1]);
    int ticks = number(argv[2]);
    int interval = number(argv[3]);
    print_lines_at_once();

    /* The text's 0666 applies only if the segment is not there yet. */
    int shmid = shmget(key, sizeof(struct Conn_stat), 0666 | IPC_CREAT);
    if (shmid == -1)
        die("shmget");

    struct Shared_conn_stat *shared = shmat(shmid, NULL, 0);
    if (shared == (void *)-1)
        die("shmat");
    fprintf(stderr, "Memory attached at %p\n", (void *)shared);

    struct Conn_stat stat = {0, "127.0.0.1"};
    store(shared, &stat);

    /* The text prints nothing here. We do, so that a reader is known to be able to see it. */
    for (int i = 0; i < ticks; i++) {
        int count = ++shared->count;
        printf("count: %d\n", count);
        pause_for(interval);
    }

    if (shmdt(shared) == -1)
        die("shmdt");
    return 0;
}
