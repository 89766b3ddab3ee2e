/* What every peer needs and what has nothing to do with shared memory. */
#ifndef PEER_H
#define PEER_H

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The error names the call. */
_Noreturn static inline void die(const char *call)
{
    fprintf(stderr, "error: %s: %s\n", call, strerror(errno));
    exit(EXIT_FAILURE);
}

_Noreturn static inline void usage(const char *arguments)
{
    fprintf(stderr, "usage: %s\n", arguments);
    exit(2);
}

/* A whole number from 0 up, and nothing else. */
static inline int number(const char *text)
{
    char *end;

    errno = 0;
    long value = strtol(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < 0 || value > INT_MAX) {
        fprintf(stderr, "error: %s is no number from 0 to %d\n", text, INT_MAX);
        exit(2);
    }
    return (int)value;
}

/* The texts say sleep(1); a test can't wait that long. */
static inline void pause_for(int microseconds)
{
    struct timespec left = {microseconds / 1000000, microseconds % 1000000 * 1000L};

    while (nanosleep(&left, &left) == -1)
        if (errno != EINTR)
            die("nanosleep");
}

/* Every line at once, even into a pipe: whoever started us waits for it. */
static inline void print_lines_at_once(void)
{
    if (setvbuf(stdout, NULL, _IOLBF, 0) != 0)
        die("setvbuf");
}

#endif
