/* Shows the counts in a System V segment and then removes it, as shmread.c of the text does.
 *
 * Partner: sysv_write.c or shm-sysv-writer, started before or after: whoever comes first creates
 * the segment.
 *
 *     sysv_read KEY TICKS MICROSECONDS
 */
#define _XOPEN_SOURCE 700
#include <sys/shm.h>

#include "conn_stat.h"
#include "peer.h"

int main(int argc, char *argv[])
{
    if (argc != 4)
        usage("sysv_read KEY TICKS MICROSECONDS");
    key_t key = number(argv[1]);
    int ticks = number(argv[2]);
    int interval = number(argv[3]);
    print_lines_at_once();

    int shmid = shmget(key, sizeof(struct Conn_stat), 0666 | IPC_CREAT);
    if (shmid == -1)
        die("shmget");

    /* The text's flags: this reader could also write. */
    struct Shared_conn_stat *shared = shmat(shmid, NULL, 0);
    if (shared == (void *)-1)
        die("shmat");
    fprintf(stderr, "Memory attached at %p\n", (void *)shared);

    /* 64 characters at most, even if nobody has stored a NUL. */
    for (int i = 0; i < ticks; i++) {
        struct Conn_stat stat = load(shared);
        printf("ip = %.64s, count: %d\n", stat.ip, stat.count);
        pause_for(interval);
    }

    if (shmdt(shared) == -1)
        die("shmdt");
    if (shmctl(shmid, IPC_RMID, NULL) == -1)
        die("shmctl(IPC_RMID)");
    return 0;
}
