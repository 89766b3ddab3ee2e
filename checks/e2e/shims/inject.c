/* What may happen between two system calls of a program, made to happen: the tests preload this
 * library (LD_PRELOAD, see ld.so(8)) and name in INJECT what it is to do. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
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

static int is_record(const char *path)
{
    const char *name = strrchr(path, '/');
    return name != NULL && strcmp(name, "/record") == 0;
}

/* A file system that knows no files without a name; and what may have become of the file before it is opened. */
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
    /* The file was a regular one a moment ago. */
    if (injected("a FIFO takes its place") && is_record(path)) {
        unlink(path);
        mkfifo(path, 0600);
    }
    static int tries;
    if (is_record(path) && (injected("a lease for good") || (injected("a lease for a moment") && ++tries < 3))) {
        errno = EAGAIN;
        return -1;
    }
    return REAL("open", const char *, int, ...)(path, flags, mode);
}

static void count_to_5(const char *path, int flags)
{
    int record[17] = { 5 }, file = REAL("open", const char *, int, ...)(path, O_WRONLY | flags, 0644);
    if (file < 0 || write(file, record, sizeof record) != sizeof record)
        abort();
    close(file);
}

/* Another writer has counted to 5 as soon as the new file has its name, or a moment before, once. */
int linkat(int old_directory, const char *old, int new_directory, const char *new, int flags)
{
    static int there;
    if (injected("another file is faster") && !there++)
        count_to_5(new, O_CREAT | O_EXCL);
    int done = REAL("linkat", int, const char *, int, const char *, int)(
        old_directory, old, new_directory, new, flags);
    if (injected("another writer is faster") && done == 0)
        count_to_5(new, 0);
    return done;
}

/* The program itself, and not what it forks. */
static pid_t program;

__attribute__((constructor)) static void begin(void)
{
    program = getpid();
}

/* The parent is killed before its child could ask to go with it. Tells the test which child it is. */
int prctl(int option, ...)
{
    va_list arguments;
    va_start(arguments, option);
    unsigned long argument = va_arg(arguments, unsigned long);
    va_end(arguments);
    if (injected("the parent dies") && option == PR_SET_PDEATHSIG) {
        dprintf(STDERR_FILENO, "child %d\n", (int)getpid());
        /* Another child may have killed it: then whoever is the parent now is left alone. */
        if (getppid() == program)
            kill(program, SIGKILL);
        while (getppid() == program)
            sched_yield();
    }
    return REAL("prctl", int, ...)(option, argument, 0UL, 0UL, 0UL);
}

/* Somebody opens the file for writing while this process has its lease: a signal asks for that back. And what a
 * signal does to who waits for a record lock. */
int fcntl(int file, int command, ...)
{
    va_list arguments;
    va_start(arguments, command);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    static int interrupted;
    if (injected("a signal interrupts") && command == F_OFD_SETLKW && interrupted++ % 2 == 0) {
        errno = EINTR;
        return -1;
    }
    int done = REAL("fcntl", int, int, ...)(file, command, argument);
    if (injected("somebody opens the leased file") && command == F_SETLEASE && done == 0
        && (int)(long)argument == F_RDLCK) {
        char name[64];
        snprintf(name, sizeof name, "/proc/self/fd/%d", file);
        if (REAL("open", const char *, int, ...)(name, O_WRONLY | O_NONBLOCK, 0) < 0
            && errno == EWOULDBLOCK)
            dprintf(STDERR_FILENO, "opened while leased\n");
    }
    return done;
}
