/* The struct of c-layout of the lessons: where its fields lie, and its bytes in a file.
 *
 *     sample FILE
 *
 * Shows what is in the file; if there is none, makes it first.
 */
#define _XOPEN_SOURCE 700
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "peer.h"

struct sample {
    char tag;
    int value;
    short number;
    char name[9];
};

/* The compiler checks it; c-layout.rs has the same lines. */
_Static_assert(sizeof(struct sample) == 20 && _Alignof(struct sample) == 4, "size");
_Static_assert(offsetof(struct sample, value) == 4, "value");
_Static_assert(offsetof(struct sample, number) == 8, "number");
_Static_assert(offsetof(struct sample, name) == 10, "name");

enum { WORDS = sizeof(struct sample) / sizeof(uint32_t) };

int main(int argc, char *argv[])
{
    struct sample sample;
    uint32_t words[WORDS];

    if (argc != 2)
        usage("sample FILE");

    int fd = open(argv[1], O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd == -1 && errno == EEXIST) {
        fd = open(argv[1], O_RDONLY);
    } else if (fd != -1) {
        /* All of it, and not only the fields: what padding holds is a secret that goes to the file. */
        memset(&sample, 0, sizeof(sample));
        sample.tag = 'c';
        sample.value = -2;
        sample.number = 300;
        memcpy(sample.name, "C", 2);
        if (write(fd, &sample, sizeof(sample)) != sizeof(sample))
            die("write");
    }
    if (fd == -1)
        die("open");
    _Atomic uint32_t *shared = mmap(NULL, sizeof(sample), PROT_READ, MAP_SHARED, fd, 0);
    if (shared == MAP_FAILED)
        die("mmap");

    for (int i = 0; i < WORDS; i++)
        words[i] = atomic_load_explicit(&shared[i], memory_order_acquire);
    memcpy(&sample, words, sizeof(sample));
    printf("tag %c, value %d, number %d, name %.9s\n", sample.tag, sample.value, sample.number,
           sample.name);
    return 0;
}
