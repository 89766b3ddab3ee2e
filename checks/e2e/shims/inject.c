/* What may happen between two system calls of a program, made to happen: the tests preload this
 * library (LD_PRELOAD, see ld.so(8)) and name in INJECT what it is to do. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <unistd.h>

static int injected(const char *what)
{
    const char *wanted = getenv("INJECT");
    return wanted != NULL && strcmp(wanted, what) == 0;
}

#define REAL(name, ...) ((int (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name))

/* Somebody removes the segment right after it was found, once. */
int shmget(key_t key, size_t size, int flags)
{
    static int done;
    int id = REAL("shmget", key_t, size_t, int)(key, size, flags);
    if (injected("segment vanishes") && id >= 0 && flags == 0 && !done++)
        REAL("shmctl", int, int, struct shmid_ds *)(id, IPC_RMID, NULL);
    return id;
}

/* The id is another, larger segment's by the time it is attached: the second look finds that. */
int shmctl(int id, int command, struct shmid_ds *status)
{
    static int looks;
    int done = REAL("shmctl", int, int, struct shmid_ds *)(id, command, status);
    if (injected("another segment has the id") && command == IPC_STAT && ++looks == 2)
        status->shm_segsz += 4096;
    return done;
}

/* Tells the test which set it is. */
int semget(key_t key, int count, int flags)
{
    int id = REAL("semget", key_t, int, int)(key, count, flags);
    if (injected("no undo list left"))
        dprintf(STDERR_FILENO, "set %d\n", id);
    return id;
}

int semop(int id, struct sembuf *operations, size_t count)
{
    static int interrupted;
    if (injected("no undo list left")) {
        errno = ENOSPC;
        return -1;
    }
    if (injected("a signal interrupts") && interrupted++ % 2 == 0) {
        errno = EINTR;
        return -1;
    }
    return REAL("semop", int, struct sembuf *, size_t)(id, operations, count);
}

/* A file system that knows no files without a name. */
int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    if (injected("no O_TMPFILE") && (flags & O_TMPFILE) == O_TMPFILE) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return REAL("open", const char *, int, ...)(path, flags, mode);
}

/* Another writer has counted to 5 as soon as the new file has its name. */
int linkat(int old_directory, const char *old, int new_directory, const char *new, int flags)
{
    int done = REAL("linkat", int, const char *, int, const char *, int)(
        old_directory, old, new_directory, new, flags);
    if (injected("another writer is faster") && done == 0) {
        int count = 5, file = REAL("open", const char *, int, ...)(new, O_WRONLY, 0);
        if (file < 0 || write(file, &count, sizeof count) != sizeof count)
            abort();
        close(file);
    }
    return done;
}
